"""Workflows in API format: reading them, finding their nodes, naming them to a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .wording import cut

Workflow = dict[str, dict[str, Any]]
"""The API format: node id -> ``{"class_type", "inputs", "_meta"}``."""


def load_workflow(path: str | Path) -> Workflow:
    """Read a workflow in API format.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no JSON, no workflow, or a workflow in the format of the canvas.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no workflow file {path}.")
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    if isinstance(found, dict) and "nodes" in found and "links" in found:
        raise ValueError(
            f"{path} is a workflow for the canvas: use its twin in workflows/api/, or save it with "
            "Export (API) in ComfyUI's menu."
        )
    if isinstance(found, dict) and isinstance(found.get("prompt"), dict):
        found = found["prompt"]
    if (
        not isinstance(found, dict)
        or not found
        or not all(isinstance(n, dict) and "class_type" in n for n in found.values())
    ):
        raise ValueError(f"{path} is no ComfyUI workflow in API format.")
    for node in found.values():
        node.setdefault("inputs", {})
    return found


def find_input(workflow: Workflow, left: str) -> tuple[str, str]:
    """Find what ``NODE.INPUT`` means: (node id, input name).

    NODE is an id, else a title, else a class type; a title or class type must occur once. Both
    sides may hold dots.

    Raises:
        ValueError: no such node, or several.
    """
    places = [i for i, letter in enumerate(left) if letter == "."]
    for at in places:
        name = left[:at]
        nodes = _named(workflow, name)
        if len(nodes) > 1:
            raise ValueError(
                f"the workflow has {len(nodes)} nodes {name!r}: use the id of one of them, "
                f"{', '.join(nodes)}."
            )
        if nodes:
            return nodes[0], left[at + 1 :]
    known = ", ".join(f"{key} ({title(workflow, key)})" for key in workflow)
    raise ValueError(f"the workflow has no node {left[: places[0]]!r}: it has {cut(known)}.")


def title(workflow: Workflow, node: str) -> str:
    """What the canvas shows on a node: its title, else its class."""
    found = workflow.get(_known_node(workflow, node))
    if found is None:
        return f"node {node}"
    return str(found.get("_meta", {}).get("title") or found["class_type"])


def label(workflow: Workflow, node: str, class_type: str | None = None) -> str:
    """A node for a sentence: the class that the user knows, and its id."""
    known = _known_node(workflow, node)
    own = workflow[known]["class_type"] if known in workflow else class_type or "a node"
    inner = f", in its {class_type}" if class_type and class_type != own else ""
    return f"{own} (node {known}{inner})"


def _named(workflow: Workflow, name: str) -> list[str]:
    if name in workflow:
        return [name]
    titled = [k for k, n in workflow.items() if n.get("_meta", {}).get("title") == name]
    return titled or [k for k, n in workflow.items() if n["class_type"] == name]


def _known_node(workflow: Workflow, node: str) -> str:
    """The node of the workflow that a node made while it ran stems from."""
    return node if node in workflow else node.partition(".")[0]
