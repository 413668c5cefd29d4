"""The command that removes an object from the selected image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from browser.api_graphs import open_graph
from browser.canvas import Canvas
from PIL import Image
from support.server import ComfyServer

BOTH = pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)

LABEL = "Remove this object with CleanPlate"
COMMAND = "CleanPlate.RemoveObject"
METHOD = "CleanPlate.Remove.Method"
PICTURE = {"1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}}}


def kinds(canvas: Canvas) -> list[str]:
    """The classes that a run would use."""
    return sorted(node["class_type"] for node in canvas.prompt().values())


def titles(canvas: Canvas) -> list[str]:
    return canvas.page.evaluate("() => app.graph.nodes.map((node) => node.title)")


def wait_for_nodes(canvas: Canvas, count: int) -> None:
    canvas.page.wait_for_function("count => app.graph.nodes.length === count", arg=count)


def select_picture(canvas: Canvas) -> None:
    canvas.page.evaluate("() => app.canvas.selectNode(app.graph.getNodeById(1))")


@BOTH
def test_from_the_menu_of_an_image(
    canvas: Canvas, server: ComfyServer, photo: Image.Image, masked_photo: Image.Image
) -> None:
    open_graph(canvas, PICTURE)
    canvas.set_widget("1", "image", server.upload(masked_photo))
    before = canvas.prompt()
    canvas.page.wait_for_timeout(500)  # the page notes a change after a moment
    title = canvas.place_of("1", 0)
    canvas.page.mouse.click(title["x"] + title["width"] / 2, title["y"] + 10, button="right")
    canvas.page.get_by_text(LABEL, exact=True).click()
    wait_for_nodes(canvas, 3)
    assert kinds(canvas) == [
        "CompareImages",
        "LamaRemove",
        "LoadImage",
        "LoadRemovalModel",
        "PrepareMask",
    ]
    (comparer,) = canvas.node_ids("CompareImages")
    (shown,) = canvas.run().outputs[comparer]["after"]
    result: Any = server.image(shown).convert("RGB")
    assert np.abs(np.asarray(result, int) - np.asarray(photo, int)).max() > 20
    assert canvas.overlaps() == []

    canvas.page.mouse.click(800, 840)  # on nothing, so that keys go to the canvas
    canvas.page.keyboard.press("Control+z")
    wait_for_nodes(canvas, 1)
    assert canvas.prompt() == before
    assert canvas.errors == []


@BOTH
def test_without_a_model(canvas: Canvas, server: ComfyServer) -> None:
    server.set_setting(METHOD, "patches")
    try:
        canvas.page.reload()
        canvas.page.wait_for_function("window.app?.graph && window.app.extensionManager")
        canvas.page.get_by_test_id("queue-button").wait_for()
        open_graph(canvas, PICTURE)
        select_picture(canvas)
        canvas.command(COMMAND)
        wait_for_nodes(canvas, 3)
        assert kinds(canvas) == ["CompareImages", "ContentAwareFill", "LoadImage", "PrepareMask"]
    finally:
        server.set_setting(METHOD, "best")
    assert canvas.errors == []


def test_new_nodes_find_room(canvas: Canvas) -> None:
    open_graph(canvas, PICTURE)
    select_picture(canvas)
    canvas.command(COMMAND)
    wait_for_nodes(canvas, 3)
    select_picture(canvas)
    canvas.command(COMMAND)
    wait_for_nodes(canvas, 5)
    assert canvas.overlaps() == []


def test_without_an_image_it_says_what_to_select(canvas: Canvas) -> None:
    canvas.page.evaluate("() => app.graph.clear()")
    canvas.command(COMMAND)
    canvas.page.get_by_text("Select a node with an image and a mask").first.wait_for()
    assert titles(canvas) == []
    assert canvas.errors == []
