"""The blueprints in subgraphs/, as ComfyUI serves them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.locate import PACK
from support.server import PACK_NAME, ComfyServer

NAMES = sorted(path.stem for path in (PACK / "subgraphs").glob("*.json"))
INPUTS, OUTPUTS = -10, -20
"""The ids of the two ends of a subgraph, as links name them."""
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}

Node = dict[str, Any]


@pytest.fixture(scope="module")
def served(server: ComfyServer) -> dict[str, dict[str, Any]]:
    """What ComfyUI serves of this pack, by name."""
    entries = server.get("global_subgraphs")
    pack = f"custom_nodes.{PACK_NAME}"
    return {
        entry["name"]: json.loads(server.get(f"global_subgraphs/{key}")["data"])
        for key, entry in entries.items()
        if entry["info"]["node_pack"] == pack
    }


@pytest.fixture(params=NAMES)
def blueprint(request: pytest.FixtureRequest, served: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return served[request.param]


@pytest.fixture
def subgraph(blueprint: dict[str, Any]) -> dict[str, Any]:
    (found,) = blueprint["definitions"]["subgraphs"]
    return found


def schema(server: ComfyServer, node: Node) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, type and options of each input of a node."""
    sections = server.object_info(node["type"])[node["type"]]["input"]
    found = []
    for section in ("required", "optional"):
        for name, (kind, *options) in sections.get(section, {}).items():
            given = dict(options[0]) if options else {}
            if isinstance(kind, list):
                kind, given["options"] = "COMBO", kind
            found.append((name, kind, given))
    return found


def slots(server: ComfyServer, node: Node) -> list[tuple[str, str]]:
    """Name and type of each input, as the frontend orders them: what has no widget comes first.

    In another order frontend 1.45 shows a promoted widget with the value of another one: it
    finds the widget by the link's slot before it has sorted the slots.
    """
    found = [(name, kind) for name, kind, _ in schema(server, node)]
    return sorted(found, key=lambda slot: slot[1] in WIDGETS)


def values(server: ComfyServer, node: Node) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Name, value and options of each widget; raises when there are more or fewer values."""
    rest = list(node["widgets_values"])
    for name, kind, options in schema(server, node):
        if kind in WIDGETS:
            yield name, rest.pop(0), options
            if options.get("control_after_generate"):
                assert rest.pop(0) in ("fixed", "randomize")
    assert rest == []


def test_all_are_served(served: dict[str, dict[str, Any]]) -> None:
    assert sorted(served) == NAMES
    assert any(name.startswith("Remove Object") for name in NAMES)
    assert any(name.startswith("Refine Region") for name in NAMES)


def test_a_blueprint_is_one_node_with_the_inputs_of_its_subgraph(
    blueprint: dict[str, Any], subgraph: dict[str, Any]
) -> None:
    (host,) = blueprint["nodes"]
    assert host["type"] == subgraph["id"]
    assert host["title"] == subgraph["name"]
    for side in ("inputs", "outputs"):
        ends = [(end["name"], end["type"]) for end in subgraph[side]]
        assert [(slot["name"], slot["type"]) for slot in host[side]] == ends
    assert blueprint["extra"]["BlueprintDescription"] == subgraph["description"]
    assert len(subgraph["inputs"]) <= 11


def test_the_nodes_are_as_comfyui_knows_them(server: ComfyServer, subgraph: dict[str, Any]) -> None:
    known = server.object_info()
    for node in subgraph["nodes"]:
        definition = known[node["type"]]
        assert [(slot["name"], slot["type"]) for slot in node["inputs"]] == slots(server, node)
        outputs = [(slot["name"], slot["type"]) for slot in node["outputs"]]
        assert outputs == list(zip(definition["output_name"], definition["output"], strict=True))
        for name, value, options in values(server, node):
            if "options" in options and name != "model_name":  # files of this computer
                assert value in options["options"]
            if name != "model_name":
                assert value == options.get("default", value)


def test_the_links_agree_with_both_their_ends(subgraph: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in subgraph["nodes"]}
    links = {link["id"]: link for link in subgraph["links"]}
    assert len(links) == len(subgraph["links"])
    for number, link in links.items():
        if link["origin_id"] == INPUTS:
            start = subgraph["inputs"][link["origin_slot"]]
            assert number in start["linkIds"]
        else:
            start = nodes[link["origin_id"]]["outputs"][link["origin_slot"]]
            assert number in start["links"]
        if link["target_id"] == OUTPUTS:
            end = subgraph["outputs"][link["target_slot"]]
            assert end["linkIds"] == [number]
        else:
            end = nodes[link["target_id"]]["inputs"][link["target_slot"]]
            assert end["link"] == number
        assert start["type"] == end["type"] == link["type"]
    ends = [slot["link"] for node in nodes.values() for slot in node["inputs"] if slot["link"]]
    starts = [
        number
        for node in nodes.values()
        for slot in node["outputs"]
        for number in slot["links"] or []
    ]
    starts += [number for slot in subgraph["inputs"] for number in slot["linkIds"]]
    ends += [number for slot in subgraph["outputs"] for number in slot["linkIds"]]
    assert sorted(starts) == sorted(ends) == sorted(links)


def test_no_nodes_lie_on_one_another(subgraph: dict[str, Any]) -> None:
    boxes = sorted((*node["pos"], *node["size"]) for node in subgraph["nodes"])
    for i, (x, y, width, height) in enumerate(boxes):
        for left, top, _, tall in boxes[i + 1 :]:
            assert left >= x + width or top >= y + height or top + tall <= y
