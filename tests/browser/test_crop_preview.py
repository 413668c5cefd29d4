"""The crop that CropAroundMask shows, before and after a run."""

from __future__ import annotations

import json

import pytest
from browser.api_graphs import open_graph
from browser.canvas import Canvas
from browser.conftest import TakePicture
from PIL import Image
from support.server import ComfyServer

BOTH = pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)

Box = list[int]
PARTS = ("crop", "mask", "changing")
CROP = {"image": ["1", 0], "mask": ["1", 1], "context_pixels": 16}
GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "CropAroundMask", "inputs": CROP},
    "3": {
        "class_type": "UpscaleToModelRes",
        "inputs": {"image": ["2", 1], "mask": ["2", 2], "model_family": "SD 1.5"},
    },
    "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
}
"""A picture, cropped around its mask, enlarged and shown; in API format."""


def drawn(canvas: Canvas, part: str) -> Box:
    """A box of the drawing, in pixels of the image."""
    shape = canvas.page.locator(f".cleanplate-crop rect.cc-{part}").last
    return [int(shape.get_attribute(side) or -1) for side in ("x", "y", "width", "height")]


def wait_for_crop(canvas: Canvas, box: Box) -> None:
    canvas.page.wait_for_function(
        """box => {
            const crop = document.querySelector(".cleanplate-crop rect.cc-crop");
            return crop && ["x", "y", "width", "height"]
                .every((side, i) => crop[side].baseVal.value === box[i]);
        }""",
        arg=box,
    )


def caption(canvas: Canvas) -> str:
    return canvas.page.locator(".cc-caption").inner_text()


def wait_for_caption(canvas: Canvas, text: str) -> None:
    canvas.page.locator(".cc-caption", has_text=text).wait_for()


@BOTH
def test_the_crop_is_shown_before_a_run_and_is_what_the_run_takes(
    canvas: Canvas,
    server: ComfyServer,
    masked_photo: Image.Image,
    object_mask: Image.Image,
    take_picture: TakePicture,
) -> None:
    open_graph(canvas, GRAPH)
    wait_for_caption(canvas, "paint over what shall go")
    name = server.upload(masked_photo)
    canvas.set_widget("1", "image", name)
    size = f"{masked_photo.width} x {masked_photo.height}"
    wait_for_caption(canvas, f"of {size}")
    before = {part: drawn(canvas, part) for part in PARTS}
    left, top, right, bottom = object_mask.getbbox() or (0, 0, 0, 0)
    assert before["mask"] == [left, top, right - left, bottom - top]

    canvas.set_widget("2", "context_factor", 2.5)
    asked = {"image": {"file": name}, "mask": {"file": name}}
    widgets = {"context_pixels": 16, "context_factor": 2.5}
    answer = server.post("cleanplate/crop", asked | {"widgets": widgets}).json()
    (wanted,) = answer["crops"]
    assert wanted["crop"] != before["crop"]
    wait_for_crop(canvas, wanted["crop"])
    shown = caption(canvas)

    result = canvas.run()
    (view,) = result.outputs["2"]["cleanplate_crop"]
    assert {part: drawn(canvas, part) for part in PARTS} == {part: view[part] for part in PARTS}
    (saved,) = result.images("4")
    width, height = server.image(saved).size
    crop = " x ".join(map(str, view["crop"][2:]))
    assert shown == caption(canvas) == f"{crop} of {size} → {width} x {height}"
    assert "crop" not in canvas.prompt()["2"]["inputs"]
    take_picture("CropAroundMask", folder="js/docs/images", clip=canvas.bring_to_view("2"))
    assert canvas.errors == []


@BOTH
def test_what_other_nodes_make_is_shown_after_a_run(
    canvas: Canvas, server: ComfyServer, masked_photo: Image.Image
) -> None:
    fill = {"image": ["1", 0], "mask": ["1", 1], "method": "telea"}
    graph = {**GRAPH, "5": {"class_type": "ContentAwareFill", "inputs": fill}}
    graph["2"] = {
        "class_type": "CropAroundMask",
        "inputs": {"image": ["5", 0], "mask": ["5", 1]},
    }
    open_graph(canvas, graph)
    canvas.set_widget("1", "image", server.upload(masked_photo))
    wait_for_caption(canvas, "after the first run")
    (view,) = canvas.run().outputs["2"]["cleanplate_crop"]
    wait_for_crop(canvas, view["crop"])
    picture = canvas.page.locator(".cleanplate-crop image").get_attribute("href") or ""
    assert view["picture"]["filename"] in picture

    canvas.set_widget("2", "context_factor", 2.5)
    canvas.page.wait_for_function(
        "before => document.querySelector('.cc-crop').width.baseVal.value !== before",
        arg=view["crop"][2],
    )
    wanted = drawn(canvas, "crop")
    (view,) = canvas.run().outputs["2"]["cleanplate_crop"]
    assert drawn(canvas, "crop") == wanted == view["crop"]

    canvas.set_widget("5", "grow", 20)
    wait_for_caption(canvas, "Run again")
    assert canvas.errors == []


@BOTH
def test_the_crop_is_still_there_after_another_tab(
    canvas: Canvas, server: ComfyServer, masked_photo: Image.Image
) -> None:
    open_graph(canvas, {**GRAPH, "2": {**GRAPH["2"], "inputs": CROP}})
    canvas.set_widget("1", "image", server.upload(masked_photo))
    wait_for_caption(canvas, "of ")
    before = drawn(canvas, "crop")
    workflow = canvas.page.evaluate("() => JSON.stringify(app.graph.serialize())")
    canvas.command("Comfy.NewBlankWorkflow")
    canvas.page.locator(".cleanplate-crop").wait_for(state="detached")
    canvas.page.get_by_text("test", exact=True).first.click()
    wait_for_caption(canvas, "of ")
    assert drawn(canvas, "crop") == before
    (crop,) = (node for node in json.loads(workflow)["nodes"] if node["id"] == 2)
    widgets = server.object_info("CropAroundMask")["CropAroundMask"]["input"]
    values = [*widgets["required"], *widgets["optional"]]
    links = [name for name in values if name in ("image", "mask", "context_mask")]
    assert len(crop["widgets_values"]) == len(values) - len(links)
