"""Converts a workflow as the editor saves it into the API format that the server runs.

The frontend does this when Run is pressed; tests need it without a browser. Covered: ordinary
nodes, links, widgets, reroutes, notes, muted and bypassed nodes. Not covered: subgraphs, group
nodes, primitive nodes, the further widgets that a dynamic combo opens. `/object_info` says which
values are widgets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]
Link = tuple[int, int, str]  # node, output, type

_NOTES = {"MarkdownNote", "Note"}
_REROUTE = "Reroute"
_MUTED, _BYPASSED = 2, 4
_DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
_WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR", "BOUNDING_BOX", _DYNAMIC}
_CONTROLLED = {"seed", "noise_seed"}


class UnknownNode(Exception):
    """A workflow holds a node that the server does not have."""


def ui_to_api(workflow: Json, object_info: Json) -> dict[str, dict[str, Any]]:
    """Return the prompt that the frontend would queue for this workflow."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links: dict[int, Link] = {
        link[0]: (link[1], link[2], link[5]) for link in map(_as_list, workflow["links"])
    }
    prompt: dict[str, dict[str, Any]] = {}
    for node in workflow["nodes"]:
        kind = node["type"]
        if kind in _NOTES or kind == _REROUTE or node.get("mode") in (_MUTED, _BYPASSED):
            continue
        if kind not in object_info:
            raise UnknownNode(f"node {node['id']} is a {kind}, which the server does not have")
        inputs = _widget_inputs(node, object_info[kind])
        for slot in node.get("inputs", ()):
            if slot.get("link") is None:
                continue
            source = _resolve(links[slot["link"]], nodes, links)
            if source is None:
                inputs.pop(slot["name"], None)
            else:
                inputs[slot["name"]] = [str(source[0]), source[1]]
        prompt[str(node["id"])] = {"class_type": kind, "inputs": inputs}
    return prompt


def _as_list(link: Any) -> list[Any]:
    if isinstance(link, Mapping):
        keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        return [link[key] for key in keys]
    return link


def _resolve(link: Link, nodes: Mapping[int, Json], links: Mapping[int, Link]) -> Link | None:
    """Follow a link back through reroutes and bypassed nodes; None where it leads nowhere."""
    origin, output, kind = link
    node = nodes[origin]
    mode = node.get("mode", 0)
    if mode == _MUTED:
        return None
    if mode != _BYPASSED and node["type"] != _REROUTE:
        return link
    slots = node.get("inputs", [])
    # A bypassed output is fed by the input at the same place, if the type fits, else by the first
    # input of its type.
    for slot in [*slots[output : output + 1], *slots]:
        fits = node["type"] == _REROUTE or kind in (slot["type"], "*") or slot["type"] == "*"
        if fits and slot.get("link") is not None:
            return _resolve(links[slot["link"]], nodes, links)
    return None


def _widget_inputs(node: Json, info: Json) -> dict[str, Any]:
    values = node.get("widgets_values") or []
    if isinstance(values, Mapping):
        return {name: values[name] for name, _ in _widgets(info) if name in values}
    inputs: dict[str, Any] = {}
    remaining = iter(values)
    for name, extra in _widgets(info):
        try:
            inputs[name] = next(remaining)
        except StopIteration:
            break  # saved by an older version of the node; the server fills in defaults
        for _ in range(extra):
            next(remaining, None)
    return inputs


def _widgets(info: Json) -> Iterator[tuple[str, int]]:
    """Names of a node's widgets in order, and how many values of no input follow each."""
    for group in ("required", "optional"):
        declared = info["input"].get(group, {})
        for name in info["input_order"].get(group, ()):
            kind, options = declared[name][0], dict(*declared[name][1:2])
            if options.get("forceInput") or not (isinstance(kind, list) or kind in _WIDGETS):
                continue
            seed = kind == "INT" and name in _CONTROLLED
            control = options.get("control_after_generate", seed)
            uploads = any(key in options for key in ("image_upload", "video_upload"))
            yield name, bool(control) + uploads
