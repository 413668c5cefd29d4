"""The workflows that find and repair defects, on a real server, from their API twins."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from standins import PAINTED
from support.server import ComfyServer
from support.shipped import every, load, of_class, settings, titled

FAST = {
    "UpscaleToModelRes": {"model_family": "custom", "megapixels": 0.05},
    "FluxFillRefine": {"steps": 10},
}
SPOTS = ((60, 70), (150, 120), (230, 60))
HAS_TEXT_MODELS = importlib.util.find_spec("rapidocr") is not None


def sky() -> Image.Image:
    """A bright sky of 300x220 over dark hills, with the little noise of a camera: clean."""
    y, x = np.mgrid[:220, :300]
    ramp = np.stack([150 + y / 6, 175 + y / 8, 215 - x / 20], axis=-1)
    picture = Image.fromarray(ramp.astype(np.uint8)).resize((1200, 880))
    ImageDraw.Draw(picture).polygon([(0, 880), (0, 760), (560, 640), (1200, 800)], (40, 60, 30))
    small = np.asarray(picture.resize((300, 220), Image.Resampling.BOX), float)
    grain = np.random.default_rng(0).normal(0, 1, small.shape)
    return Image.fromarray((small + grain).round().clip(0, 255).astype(np.uint8))


def with_spots() -> tuple[Image.Image, np.ndarray]:
    """The sky with round white reflections, and where they are."""
    picture, marked = sky(), Image.new("L", (300, 220))
    for x, y in SPOTS:
        for drawn, colour in ((picture, (255, 255, 255)), (marked, 255)):
            ImageDraw.Draw(drawn).ellipse((x - 5, y - 4, x + 5, y + 4), colour)
    return picture, np.asarray(marked) > 0


def images(server: ComfyServer, run, node_id: str) -> list[np.ndarray]:
    return [np.asarray(server.image(reference)) for reference in run.images(node_id)]


def saved(server: ComfyServer, run, prompt: dict) -> np.ndarray:
    (result,) = images(server, run, of_class(prompt, "SaveImage"))
    return result


def text_of(run, node_id: str) -> str:
    return run.outputs[node_id]["text"][0]


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    padded = np.pad(mask, pixels)
    size = 2 * pixels + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return windows.any(axis=(2, 3))


def test_places_are_edited_one_after_the_other(server):
    assert PAINTED == (0, 1, 0)  # the model paints green
    boxes = [(20, 20, 70, 70), (130, 40, 190, 90), (220, 140, 270, 200)]
    prompt = every(load("multi_region_edit"), **FAST)
    loaders = [k for k, node in prompt.items() if node["class_type"] == "LoadImage"]
    masks = []
    for node_id, box in zip(loaders, boxes, strict=True):
        picture = sky()
        inside = Image.new("L", picture.size)
        ImageDraw.Draw(inside).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), 255)
        masks.append(np.asarray(inside) > 0)
        picture.putalpha(inside.point(lambda value: 255 - value))
        prompt[node_id]["inputs"]["image"] = server.upload(picture)
    run = server.run(prompt, timeout=300).check()
    result = saved(server, run, prompt).astype(int)
    before = np.asarray(sky()).astype(int)
    for number, word in enumerate(("first", "second", "third"), 1):
        (shown,) = images(server, run, titled(prompt, f"After the {word} edit"))
        done = np.any(masks[:number], axis=0)
        near = grown(done, 18)
        assert np.array_equal(shown[~near], before[~near])
        for left, top, right, bottom in boxes[:number]:
            x, y = (left + right) // 2, (top + bottom) // 2
            red, green, blue = np.median(shown[y - 8 : y + 8, x - 8 : x + 8], axis=(0, 1))
            assert green > max(red, blue) + 60
    assert np.array_equal(result, shown)


def test_reflections_go_and_nothing_else_changes(server):
    picture, marked = with_spots()
    prompt = settings(load("remove_reflections"), LoadImage={"image": server.upload(picture)})
    run = server.run(prompt).check()
    (report,) = json.loads(text_of(run, of_class(prompt, "PreviewAny")))
    assert [defect["kind"] for defect in report["defects"]] == ["specular_highlight"] * len(SPOTS)
    result, before = saved(server, run, prompt), np.asarray(picture)
    far = ~grown(marked, 14)
    assert np.array_equal(result[far], before[far])
    difference = result[marked].astype(int) - np.asarray(sky())[marked]
    assert np.abs(difference).max() < 12


@pytest.mark.parametrize("name", ["remove_reflections", "repair_photo"])
def test_a_clean_picture_passes_unchanged(server, name):
    prompt = settings(load(name), LoadImage={"image": server.upload(sky())})
    if name == "repair_photo":
        prompt = settings(prompt, DefectDetect={"short_side": 0})
    run = server.run(prompt).check()
    (report,) = json.loads(text_of(run, of_class(prompt, "PreviewAny")))
    assert report["passed"] is True
    assert np.array_equal(saved(server, run, prompt), np.asarray(sky()))


def with_text() -> tuple[Image.Image, np.ndarray]:
    picture = sky().resize((600, 440))
    before = np.asarray(picture)
    font = ImageFont.load_default(28)
    ImageDraw.Draw(picture).text((590, 30), "SAMPLE 2024", (250, 240, 230), font, anchor="rm")
    return picture, (np.asarray(picture) != before).any(axis=2)


@pytest.mark.skipif(not HAS_TEXT_MODELS, reason="the package rapidocr is not installed")
def test_text_goes_and_nothing_else_changes(server):
    picture, marked = with_text()
    prompt = settings(load("remove_text"), LoadImage={"image": server.upload(picture)})
    run = server.run(prompt, timeout=200).check()
    (report,) = json.loads(text_of(run, of_class(prompt, "PreviewAny")))
    assert report["defects"]
    assert "SAMPLE" in report["defects"][0]["reason"]
    result, before = saved(server, run, prompt), np.asarray(picture)
    far = ~grown(marked, 30)
    assert np.array_equal(result[far], before[far])
    clean = np.asarray(sky().resize((600, 440)))
    assert np.abs(result[marked].astype(int) - clean[marked]).max() < 20


@pytest.mark.skipif(HAS_TEXT_MODELS, reason="the package rapidocr is installed")
def test_without_the_networks_for_text_the_report_says_what_to_install(server):
    picture, _ = with_text()
    prompt = settings(load("remove_text"), LoadImage={"image": server.upload(picture)})
    run = server.run(prompt).check()
    (report,) = json.loads(text_of(run, of_class(prompt, "PreviewAny")))
    assert report["passed"] is None
    assert "rapidocr" in report["failures"][0]["message"]
    assert np.array_equal(saved(server, run, prompt), np.asarray(picture))


def test_a_photo_is_repaired_round_by_round(server):
    picture, marked = with_spots()
    prompt = settings(
        load("repair_photo"),
        LoadImage={"image": server.upload(picture)},
        DefectDetect={"highlights": True, "short_side": 0},
    )
    run = server.run(prompt, timeout=200).check()
    (report,) = json.loads(text_of(run, of_class(prompt, "PreviewAny")))
    assert report["passed"] is True
    assert len(report["rounds"]) == 2  # two defects a round, and there are three
    result, before = saved(server, run, prompt), np.asarray(picture)
    far = ~grown(marked, 20)
    assert np.array_equal(result[far], before[far])
    difference = result[marked].astype(int) - np.asarray(sky())[marked]
    assert np.abs(difference).max() < 40


def test_a_picture_is_made_chosen_repaired_and_enlarged(server):
    prompt = settings(
        load("iterative_refinement"),
        EmptyLatentImage={"width": 192, "height": 128},
        KSampler={"steps": 1, "seed": 1},
        DefectDetect={"short_side": 0, "mask": ["painted", 0], "mask_kind": "extra_fingers"},
        RefineDefects={"steps": 2, "megapixels": 0.05},
        TiledUpscale={"target": "factor", "target.factor": 2.0},
    )
    # What a user would have painted: a hand, at (64, 32), 48x48.
    prompt["hand"] = {
        "class_type": "SolidMask",
        "inputs": {"value": 1.0, "width": 48, "height": 48},
    }
    prompt["rest"] = {
        "class_type": "SolidMask",
        "inputs": {"value": 0.0, "width": 192, "height": 128},
    }
    prompt["painted"] = {
        "class_type": "MaskComposite",
        "inputs": {
            "destination": ["rest", 0],
            "source": ["hand", 0],
            "x": 64,
            "y": 32,
            "operation": "add",
        },
    }
    run = server.run(prompt, timeout=400).check()
    candidates = images(server, run, titled(prompt, "All four"))
    assert len(candidates) == 4
    ranking = text_of(run, titled(prompt, "Ranking")).splitlines()
    best = int(ranking[0].split("image ")[1].split(":")[0])
    scores = [float(line.split(": ")[1]) for line in ranking]
    assert scores == sorted(scores, reverse=True)
    (shown,) = images(server, run, titled(prompt, "The best"))
    assert np.array_equal(shown, candidates[best - 1])
    (report,) = json.loads(text_of(run, titled(prompt, "What was done")))
    repairs = [repair for turn in report["rounds"] for repair in turn["repairs"]]
    assert [repair["kind"] for repair in repairs][:1] == ["extra_fingers"]
    result = saved(server, run, prompt)
    assert result.shape == (256, 384, 3)
    assert of_class(prompt, "FaceRestore") in run.executed
