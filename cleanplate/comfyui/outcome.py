"""What a run left on the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OutputFile:
    """A file that a run left on the server; `kind` is its folder there: output or temp."""

    name: str
    subfolder: str
    kind: str


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        prompt_id: the server's name of the run.
        files: saved files in the order of the nodes; previews only where nothing was saved.
        warnings: sentences about parts of the workflow that the server left out.
    """

    prompt_id: str
    files: tuple[OutputFile, ...]
    warnings: tuple[str, ...] = ()


def chosen_files(outputs: dict[str, Any]) -> tuple[OutputFile, ...]:
    """The files of a run's outputs (node id -> what it shows) that an `Outcome` has."""
    files = [
        OutputFile(str(item["filename"]), str(item.get("subfolder") or ""), str(item["type"]))
        for node in outputs.values()
        for items in node.values()
        if isinstance(items, list)
        for item in items
        if isinstance(item, dict) and item.get("filename") and item.get("type")
    ]
    files = list(dict.fromkeys(files))
    return tuple([file for file in files if file.kind == "output"] or files)
