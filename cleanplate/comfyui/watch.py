"""Following a run by the messages of the websocket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import ServerError
from .failures import node_failure
from .workflow import Workflow, label, title

Progress = Callable[[str, int, int], None]
"""Called with what runs, how much of it is done, and how much there is (0: not known)."""


class Watch:
    """What the messages of the websocket say of one run."""

    def __init__(self, workflow: Workflow, progress: Progress) -> None:
        self.done = False
        self._workflow = workflow
        self._progress = progress
        self._node: str | None = None

    def where(self) -> str:
        """What runs, for the end of a sentence."""
        if self._node is None:
            return "nothing of it had run"
        return f"at {label(self._workflow, self._node)}"

    def take(self, message: dict[str, Any], prompt_id: str) -> None:
        """Take one message; those of other runs are passed over.

        Raises:
            ServerError: a node failed, or the run was interrupted.
        """
        data = message.get("data")
        if not isinstance(data, dict) or data.get("prompt_id") != prompt_id:
            return
        kind = message.get("type")
        if kind == "executing":
            if data.get("node") is None:
                self.done = True
            else:
                self._enter(data)
                self._progress(title(self._workflow, str(self._node)), 0, 0)
        elif kind == "progress":
            self._enter(data)
            running = title(self._workflow, str(self._node))
            self._progress(running, int(data["value"]), int(data["max"]))
        elif kind == "execution_success":
            self.done = True
        elif kind == "execution_error":
            raise ServerError(node_failure(self._workflow, data))
        elif kind == "execution_interrupted":
            node = str(data.get("node_id"))
            raise ServerError(
                f"the run was interrupted on the server at {label(self._workflow, node)}."
            )

    def _enter(self, data: dict[str, Any]) -> None:
        self._node = str(data.get("display_node") or data["node"])
