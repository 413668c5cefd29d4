"""What a finished prompt looks like, whether a server or this process ran it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Prompt = Mapping[str, Mapping[str, Any]]
"""A graph in API format: node id -> class_type and inputs."""


@dataclass(frozen=True)
class RunResult:
    """The outcome of one prompt."""

    prompt_id: str
    status: Literal["success", "error", "interrupted"]
    messages: tuple[tuple[str, Mapping[str, Any]], ...]
    """Every event of this prompt, in order: (type, data)."""
    executed: frozenset[str]
    """Ids of the nodes that ran, expanded ones included."""
    cached: frozenset[str]
    """Ids of the nodes whose results were taken from the cache."""
    outputs: Mapping[str, Mapping[str, Any]]
    """What the nodes showed in the interface: node id -> ui dict."""
    error: Mapping[str, Any] | None = None
    """ComfyUI's error message (node_id, exception_type, exception_message, ...), if any."""
    texts: tuple[tuple[str, str], ...] = ()
    """Progress texts in order: (node id, text)."""
    results: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Values by node id, only of prompts run in this process: one tuple entry per output."""

    def events(self, kind: str) -> Iterator[Mapping[str, Any]]:
        """The data of every message of one type, for example "progress"."""
        return (data for name, data in self.messages if name == kind)

    def images(self, node_id: str) -> list[Mapping[str, Any]]:
        """References to the images that an output node saved, for `ComfyServer.image`."""
        return list(self.outputs[node_id]["images"])

    def check(self) -> RunResult:
        """Return self; raise if the prompt did not succeed."""
        if self.status != "success":
            error = self.error or {}
            where = f"{error.get('node_type')} ({error.get('node_id')})"
            trace = "".join(error.get("traceback", ()))
            raise AssertionError(
                f"{self.status} in {where}: {error.get('exception_message')}\n{trace}"
            )
        return self


class PromptRejected(Exception):
    """ComfyUI refused a prompt before running it."""

    def __init__(self, error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> None:
        super().__init__(f"{error.get('message')}: {error.get('details')}; {node_errors}")
        self.error = error
        self.node_errors = node_errors


def outcome(
    prompt_id: str,
    messages: list[tuple[str, Mapping[str, Any]]],
    outputs: Mapping[str, Mapping[str, Any]],
    **extra: Any,
) -> RunResult:
    """Build the result from a prompt's messages."""
    status: Literal["success", "error", "interrupted"] = "success"
    error = None
    executed: set[str] = set()
    cached: set[str] = set()
    for kind, data in messages:
        if kind == "execution_cached":
            cached.update(data["nodes"])
        elif kind == "executing" and data["node"] is not None:
            executed.add(data["node"])
        elif kind == "execution_error":
            status, error = "error", data
        elif kind == "execution_interrupted":
            status, error = "interrupted", data
    return RunResult(
        prompt_id=prompt_id,
        status=status,
        messages=tuple(messages),
        executed=frozenset(executed),
        cached=frozenset(cached),
        outputs=outputs,
        error=error,
        **extra,
    )
