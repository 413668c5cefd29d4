"""Every shipped workflow, opened, run and looked at in ComfyUI's own page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser.canvas import Canvas, Renderer
from browser.mask_editor import paint_mask
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from support.locate import PACK
from support.server import PACK_NAME, ComfyServer
from support.video import read_video, write_video

WORKFLOWS = sorted((PACK / "workflows").glob("*.json"))
REMOVAL = [path for path in WORKFLOWS if path.stem.startswith("object_removal")]
FOR_PICTURES = [path for path in REMOVAL if not path.stem.endswith("_video")]
OTHERS = [path for path in WORKFLOWS if path not in REMOVAL]
QUICK: Mapping[str, Mapping[str, Any]] = {
    "UpscaleToModelRes": {"model_family": "custom", "megapixels": 0.06},
    "FluxFillRefine": {"steps": 4},
}
"""Widget values that make a workflow cheap."""
CHANGED = 20
"""The least mean difference, of 255, where an object was removed."""

Mask = NDArray[np.bool_]


def api_twin(workflow: Path) -> dict[str, Any]:
    return json.loads((workflow.parent / "api" / workflow.name).read_text(encoding="utf-8"))


def without_titles(prompt: Mapping[str, Any]) -> dict[str, Any]:
    # The canvas adds "video-preview" to LoadVideo and, when newer, "format.codec" to SaveVideo.
    return {
        key: {
            "class_type": node["class_type"],
            "inputs": {k: v for k, v in node["inputs"].items() if k.isidentifier()},
        }
        for key, node in prompt.items()
    }


def reach(prompt: Mapping[str, Any]) -> int:
    """How far beyond the mask a graph may change the picture, in pixels."""
    inputs = [node["inputs"] for node in prompt.values()]
    return sum(values.get("grow", 0) + values.get("feather", 0) for values in inputs)


def grown(mask: Mask, pixels: int) -> Mask:
    picture = Image.fromarray(mask).convert("L")
    return np.asarray(picture.filter(ImageFilter.MaxFilter(2 * pixels + 1))) > 0


def check_removed(before: Image.Image, after: Image.Image, mask: Mask, reach: int) -> None:
    """Raise unless the masked part changed and nothing beyond `reach` of it did."""
    assert after.size == before.size
    difference = np.abs(np.asarray(after.convert("RGB"), int) - np.asarray(before, int))
    outside = ~grown(mask, reach)
    assert outside.any()
    assert not difference[outside].any()
    assert difference[mask].mean() > CHANGED


@pytest.fixture(params=FOR_PICTURES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_workflow_runs_from_the_canvas(
    canvas: Canvas,
    renderer: Renderer,
    workflow: Path,
    server: ComfyServer,
    photo: Image.Image,
    object_mask: Image.Image,
    masked_photo: Image.Image,
) -> None:
    if renderer == "classic":
        canvas.open_template(PACK_NAME, workflow)
    else:
        canvas.load(workflow)
    canvas.check_complete()
    assert canvas.overlaps() == []
    twin = api_twin(workflow)
    assert without_titles(canvas.prompt()) == without_titles(twin)

    name = server.upload(masked_photo, f"{workflow.stem}-{renderer}.png")
    (picture,) = canvas.node_ids("LoadImage")
    canvas.set_widget(picture, "image", name)
    for kind, values in QUICK.items():
        for node in canvas.node_ids(kind):
            for widget, value in values.items():
                canvas.set_widget(node, widget, value)
    result = canvas.run()

    (saver,) = canvas.node_ids("SaveImage")
    (saved,) = result.images(saver)
    canvas.wait_for_image(saver, saved["filename"])
    mask = np.asarray(object_mask) > 0
    check_removed(photo, server.image(saved), mask, reach(twin))
    assert canvas.errors == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_other_workflows_open(canvas: Canvas, renderer: Renderer, path: Path) -> None:
    if renderer == "classic":
        canvas.open_template(PACK_NAME, path)
    else:
        canvas.load(path)
    canvas.check_complete()
    assert canvas.overlaps() == []
    assert without_titles(canvas.prompt()) == without_titles(api_twin(path))
    assert canvas.errors == []


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_upscaling_to_a_target_chosen_on_the_canvas(
    canvas: Canvas, renderer: Renderer, server: ComfyServer, photo: Image.Image
) -> None:
    """Choosing a factor opens a widget of its own."""
    canvas.load(PACK / "workflows" / "upscale_4k.json")
    (picture,) = canvas.node_ids("LoadImage")
    canvas.set_widget(picture, "image", server.upload(photo, f"to-enlarge-{renderer}.png"))
    (upscale,) = canvas.node_ids("TiledUpscale")
    canvas.set_widget(upscale, "target", "factor")
    canvas.set_widget(upscale, "target.factor", 1.5)
    result = canvas.run()

    (saver,) = canvas.node_ids("SaveImage")
    (saved,) = result.images(saver)
    canvas.wait_for_image(saver, saved["filename"])
    size = server.image(saved).size
    assert size == (round(photo.width * 1.5), round(photo.height * 1.5))
    assert canvas.errors == []


@pytest.fixture
def frames(server: ComfyServer, masked_photo: Image.Image, tmp_path: Path) -> list[np.ndarray]:
    """The frames of a video in the input folder, of the name that the workflow has."""
    small = masked_photo.resize((128, 192))
    frames = [np.asarray(small)] * 3
    server.upload(write_video(tmp_path / "video.mp4", [frame[..., :3] for frame in frames]))
    return frames


@pytest.mark.parametrize("renderer", ["classic", "vue"], indirect=True)
def test_video_workflow_opens_and_runs_from_the_canvas(
    frames: list[np.ndarray], canvas: Canvas, server: ComfyServer
) -> None:
    workflow = PACK / "workflows" / "object_removal_video.json"
    canvas.load(workflow)
    canvas.check_complete()
    assert canvas.overlaps() == []
    assert without_titles(canvas.prompt()) == without_titles(api_twin(workflow))
    (picture,) = canvas.node_ids("LoadImage")
    canvas.set_widget(picture, "image", server.upload(Image.fromarray(frames[0]), "frame.png"))
    result = canvas.run()
    (saver,) = canvas.node_ids("SaveVideo")
    (saved,) = result.images(saver)
    shown, _ = read_video(server.view_bytes(saved))
    assert len(shown) == len(frames)
    assert shown[0].shape == frames[0][..., :3].shape
    assert canvas.errors == []


def test_mask_painted_in_the_mask_editor(
    canvas: Canvas, server: ComfyServer, photo: Image.Image, object_mask: Image.Image
) -> None:
    workflow = PACK / "workflows" / "object_removal_no_weights.json"
    canvas.load(workflow)
    (picture,) = canvas.node_ids("LoadImage")
    canvas.set_widget(picture, "image", server.upload(photo, "to-paint.png"))
    left, top, right, bottom = object_mask.getbbox() or (0, 0, 0, 0)
    middle = (left + right) / 2 / photo.width
    name = paint_mask(
        canvas,
        picture,
        [(middle, (top + 20) / photo.height), (middle, (bottom - 60) / photo.height)],
    )
    folder, _, filename = name.removesuffix(" [input]").rpartition("/")
    painted = server.image({"filename": filename, "subfolder": folder, "type": "input"})
    assert painted.size == photo.size
    mask = np.asarray(painted.getchannel("A")) < 128
    rows, columns = np.nonzero(mask)
    assert left - 20 < columns.min() < columns.max() < right + 20
    assert top - 20 < rows.min() < rows.max() < bottom
    result = canvas.run()

    (saver,) = canvas.node_ids("SaveImage")
    (saved,) = result.images(saver)
    canvas.wait_for_image(saver, saved["filename"])
    check_removed(photo, server.image(saved), mask, reach(api_twin(workflow)))
    assert canvas.errors == []
