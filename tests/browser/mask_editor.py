"""ComfyUI's mask editor, used with the mouse."""

from __future__ import annotations

from collections.abc import Callable

from browser.canvas import Canvas


def paint_mask(
    canvas: Canvas,
    node: str,
    stroke: list[tuple[float, float]],
    before_saving: Callable[[], object] | None = None,
) -> str:
    """Paint a mask with the mask editor and return the name of the masked picture.

    `stroke` holds the corners of a line in parts of the picture's width and height.
    """
    before = canvas.widget(node, "image")
    canvas.command("Comfy.Canvas.FitView")
    canvas.page.wait_for_function(
        "id => app.graph.getNodeById(id).imgs?.[0]?.naturalWidth > 0", arg=node
    )
    canvas.page.evaluate("id => app.canvas.selectNode(app.graph.getNodeById(id))", node)
    canvas.command("Comfy.MaskEditor.OpenMaskEditor")
    # The editor shows the picture before it listens to the pointer, and then moves it.
    canvas.dialog.get_by_test_id("pointer-zone").wait_for()
    picture = canvas.dialog.locator("#maskEditorCanvasContainer")
    picture.element_handle().wait_for_element_state("stable")
    box = picture.bounding_box()
    assert box is not None
    mouse = canvas.page.mouse
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
    mouse.move(*corners[0])
    mouse.down()
    for corner in corners[1:]:
        mouse.move(*corner, steps=20)
    mouse.up()
    canvas.page.wait_for_function(
        """() => {
            const layers = document.querySelectorAll("#maskEditorCanvasContainer canvas");
            const mask = layers[2].getContext("2d");
            const { width, height } = layers[2];
            return mask.getImageData(0, 0, width, height).data.some((value) => value > 0);
        }"""
    )
    if before_saving:
        before_saving()
    canvas.dialog.locator("button", has_text="Save").click()
    canvas.dialog.wait_for(state="detached")
    canvas.page.wait_for_function(
        """([id, before]) => app.graph.getNodeById(id).widgets
            .find((widget) => widget.name === "image").value !== before""",
        arg=[node, before],
    )
    return canvas.widget(node, "image")
