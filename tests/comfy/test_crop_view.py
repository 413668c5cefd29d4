"""What CropAroundMask tells the page: after a run, and before one."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.graphs import crop_graph, mask_of, picture
from support.inprocess import ComfyProcess

SPOTS = [(10, 10, 12, 14), (70, 90, 9, 20), (12, 100, 10, 10)]
NARROW = {"context_pixels": 6, "context_factor": 1.0, "feather": 4, "minimum_size": 0}
EACH = {**NARROW, "one_crop_per": "object"}


def route(comfy: ComfyProcess) -> Any:
    module = comfy.node("CropAroundMask").__module__.rpartition(".")[0]
    return importlib.import_module(f"{module}.crop_route")


def boxes(views: list[dict]) -> list[list[int]]:
    return [view["crop"] for view in views]


@pytest.fixture
def scene(comfy: ComfyProcess) -> str:
    """A picture in the input folder, transparent at three spots."""
    colour = (picture()[0, ..., :3].numpy() * 255).astype(np.uint8)
    alpha = ((1 - mask_of(*SPOTS)[0].numpy()) * 255).astype(np.uint8)
    Image.fromarray(np.dstack([colour, alpha])).save(comfy.base / "input" / "spots.png")
    return "spots.png"


def from_files(scene: str, **widgets: Any) -> dict[str, Any]:
    return {"image": {"file": scene}, "mask": {"file": scene}, "widgets": widgets}


@pytest.mark.parametrize("widgets", [{}, NARROW, EACH, {**NARROW, "extend_left": 40}])
def test_the_page_is_told_what_the_node_does(
    comfy: ComfyProcess, scene: str, widgets: dict[str, Any]
) -> None:
    """Before the run from the files, after it from the run, and after that from its boxes."""
    image, mask = comfy.node("LoadImage")().load_image(scene)
    graph = crop_graph(comfy, image, mask, **widgets)
    run = comfy.execute_graph(graph, want=["crop"]).check()
    views = run.outputs["crop"]["cleanplate_crop"]
    stitches, crops = run.results["crop"][:2]
    if widgets is not EACH:
        stitches, crops = [stitches], [crops]
    assert boxes(views) == [[b.x, b.y, b.width, b.height] for s in stitches for b in s.boxes]
    assert [view["size"] for view in views] == [[c.shape[2], c.shape[1]] for c in crops]

    planned = route(comfy).planned
    before = planned(from_files(scene, **widgets))
    shown = [{**view, "picture": None} for view in views]
    assert [{**view, "picture": None} for view in before] == shown
    if widgets is not EACH:
        known = {
            "size": views[0]["image"],
            "masks": [view["mask"] for view in views],
            "contexts": [view["context"] for view in views],
            "widgets": widgets,
        }
        assert planned(known) == shown


def test_the_picture_is_small_and_red_where_the_mask_is(comfy: ComfyProcess) -> None:
    image = torch.full((1, 1600, 2000, 3), 0.5)
    mask = torch.zeros(1, 1600, 2000)
    mask[:, 400:800, 500:1000] = 1
    graph = crop_graph(comfy, image, mask)
    (view,) = comfy.execute_graph(graph, want=["crop"]).check().outputs["crop"]["cleanplate_crop"]
    assert view["mask"] == [500, 400, 500, 400]
    assert view["image"] == view["bounds"][2:] == [2000, 1600]
    shown = Image.open(comfy.base / "temp" / view["picture"]["filename"])
    assert shown.size == (667, 534)
    red, green, _ = (np.asarray(band, int) for band in shown.split())
    inside = np.zeros(shown.size[::-1], bool)
    inside[140:262, 172:328] = True
    assert (red - green)[inside].min() > 60
    inside[125:275, 160:340] = True
    assert abs(red - green)[~inside].max() < 10


def test_a_script_that_does_not_look_gets_no_picture(
    comfy: ComfyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = importlib.import_module("server").PromptServer.instance
    monkeypatch.setattr(server, "client_id", None)
    done = comfy.node("CropAroundMask").execute(image=picture(), mask=mask_of(SPOTS[0]))
    (view,) = done.ui["cleanplate_crop"]
    assert view["picture"] is None


def test_widgets_are_asked_for_without_reading_the_file_again(
    comfy: ComfyProcess, scene: str
) -> None:
    planned = route(comfy).planned
    first, second = (planned(from_files(scene, context_factor=f)) for f in (1.0, 3.0))
    assert first[0]["picture"] == second[0]["picture"]
    other = planned(from_files(scene, invert_mask=True))
    assert other[0]["picture"] != first[0]["picture"]
    assert other[0]["mask"] == [0, 0, *other[0]["image"]]


def test_what_upscale_to_model_res_makes_of_the_crop(comfy: ComfyProcess, scene: str) -> None:
    asked = from_files(scene, width=300, height=200)
    assert "model" not in route(comfy).planned(asked)[0]
    fit = {"model_family": "SD 1.5", "megapixels": 1.0, "multiple_of": 16}
    (view,) = route(comfy).planned(asked | {"fit": fit})
    fitted = comfy.node("UpscaleToModelRes").execute(
        image=torch.rand(1, 200, 300, 3), mask=torch.ones(1, 200, 300), **fit
    )
    assert view["model"] == [*fitted.result[0].shape[2:0:-1]]


def test_masks_of_other_files(comfy: ComfyProcess, scene: str) -> None:
    plane = (mask_of(SPOTS[1])[0].numpy() * 255).astype(np.uint8)
    Image.fromarray(plane).save(comfy.base / "input" / "plane.png")
    asked = from_files(scene) | {"mask": {"file": "plane.png [input]", "channel": "red"}}
    (view,) = route(comfy).planned(asked)
    x, y, width, height = view["mask"]
    assert mask_of(SPOTS[1])[0, y : y + height, x : x + width].all()
    assert mask_of(SPOTS[1]).sum() == width * height


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "sub/../../secret.png [input]", "notes.txt", ""]
)
def test_only_pictures_in_comfyuis_folders_are_opened(
    comfy: ComfyProcess, scene: str, name: str
) -> None:
    colour = Image.new("RGB", (64, 64))
    colour.save(comfy.base / "secret.png")
    (comfy.base / "input" / "notes.txt").write_text("a note")
    with pytest.raises(PermissionError, match="no picture"):
        route(comfy).planned(from_files(name))


def test_a_file_that_is_not_there(comfy: ComfyProcess) -> None:
    with pytest.raises(ValueError, match="not there"):
        route(comfy).planned(from_files("gone.png"))


@pytest.mark.parametrize(
    "widgets", [{"context_factor": 1e9}, {"bounds": "round"}, {"grow": "8"}, {"extend_top": -8}]
)
def test_values_that_the_node_would_not_take(
    comfy: ComfyProcess, scene: str, widgets: dict[str, Any]
) -> None:
    (name,) = widgets
    with pytest.raises(ValueError, match=name):
        route(comfy).planned(from_files(scene, **widgets))
