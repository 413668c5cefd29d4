"""SelectDefect and DefectPrompt, through ComfyUI's executor."""

from __future__ import annotations

import pytest
import torch
from support.graphs import FILL, node

DETECT = {
    **dict.fromkeys(("sharpness", "compression", "noise", "exposure", "faces"), False),
    "short_side": 65,
}
IMAGE = torch.full((2, 64, 128, 3), 0.5)
BOXES = [
    [
        {"x": 100, "y": 10, "width": 10, "height": 20, "label": "spot", "score": 0.9},
        {"x": 40, "y": 30, "width": 30, "height": 10, "label": "watermark", "score": 0.9},
    ],
    [],
]
SELECTED = (
    *("mask", "positive", "negative", "denoise", "context", "found", "count", "kind", "fix"),
    *("reason", "box"),
)
PROMPTED = ("positive", "negative", "denoise", "grow", "context", "fix", "advice")


def detect_graph(comfy):
    return {
        "image": comfy.source(IMAGE),
        "boxes": comfy.source(BOXES),
        "detect": node("DefectDetect", image=["image", 0], boxes=["boxes", 0], **DETECT),
    }


def selected(comfy, **settings):
    prompt = detect_graph(comfy)
    prompt["select"] = node("SelectDefect", defects=["detect", 0], **{"index": 0, **settings})
    run = comfy.execute_graph(prompt, want=["select"]).check()
    return dict(zip(SELECTED, run.results["select"], strict=True))


def prompted(comfy, links=None, **settings):
    links = {name: comfy.source(value) for name, value in (links or {}).items()}
    inputs = {name: [name, 0] for name in links}
    prompt = {**links, "prompt": node("DefectPrompt", **inputs, **{"kind": "spot", **settings})}
    run = comfy.execute_graph(prompt, want=["prompt"]).check()
    return dict(zip(PROMPTED, run.results["prompt"], strict=True))


def test_the_most_severe_first_with_all_that_its_repair_needs(comfy):
    first = selected(comfy, scene="a harbour at dusk")
    assert first["kind"] == "watermark"
    # What is under a watermark, the surroundings decide.
    assert first["positive"] == "a harbour at dusk"
    assert first["negative"] == "(watermark:1.5), (text:1.2), signature"
    assert first["denoise"] == pytest.approx(0.8)
    assert first["context"] == pytest.approx(1.8)
    assert (first["found"], first["count"], first["fix"]) == (True, 2, "LamaRemove")
    assert first["reason"].startswith("Watermark: a box labelled 'watermark'")
    ((box,),) = first["box"]
    assert (box["x"], box["y"], box["width"], box["height"]) == (40, 30, 30, 10)
    # 0.15 of the 30 pixels, rounded.
    assert first["mask"].shape == (1, 64, 128)
    assert first["mask"][0, 35].nonzero().flatten().tolist() == list(range(36, 74))
    second = selected(comfy, index=1, grow_mask=False)
    assert (second["kind"], second["mask"].sum()) == ("spot", 200)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"index": 2}, 2),
        ({"image_index": 1}, 0),
        ({"image_index": 7}, 0),
        ({"kind": "logo"}, 0),
        ({"kind": "spot", "index": 1}, 1),
    ],
)
def test_where_there_is_none_the_mask_is_empty_and_the_numbers_can_be_used(comfy, settings, count):
    nothing = selected(comfy, scene="a harbour", **settings)
    assert nothing["mask"].shape == (1, 64, 128)
    assert not nothing["mask"].any()
    assert (nothing["found"], nothing["count"]) == (False, count)
    assert (nothing["positive"], nothing["negative"]) == ("a harbour", "")
    assert nothing["kind"] == nothing["fix"] == nothing["reason"] == ""
    assert nothing["box"] == [[]]
    assert 0 < nothing["denoise"] <= 1
    assert nothing["context"] >= 1


def test_of_one_kind_and_of_the_whole_picture(comfy):
    assert selected(comfy, kind="spot")["kind"] == "spot"
    whole = selected(comfy, kind="low_resolution", which="all")
    assert (whole["found"], whole["box"]) == (True, [[]])
    assert not whole["mask"].any()
    assert selected(comfy, which="all")["count"] == 3


def test_the_mask_repairs_and_an_empty_one_passes_the_picture_on(comfy):
    for index, same in ((0, False), (9, True)):
        prompt = detect_graph(comfy)
        prompt["one"] = node("ImageFromBatch", image=["image", 0], batch_index=0, length=1)
        prompt["select"] = node("SelectDefect", defects=["detect", 0], index=index)
        prompt["crop"] = node(
            "CropAroundMask",
            image=["one", 0],
            mask=["select", 0],
            context_factor=["select", 4],
            context_pixels=8,
            grow=0,
            feather=2,
            minimum_size=0,
            multiple_of=8,
            bounds="keep inside the image",
        )
        prompt["fill"] = node("ContentAwareFill", image=["crop", 1], mask=["crop", 2], **FILL)
        prompt["invert"] = node("ImageInvert", image=["fill", 0])
        prompt["stitch"] = node("StitchBack", stitch=["crop", 0], image=["invert", 0])
        run = comfy.execute_graph(prompt, want=["stitch"]).check()
        assert run.results["stitch"][0].shape == (1, 64, 128, 3)
        if same:
            assert torch.equal(run.results["stitch"][0], IMAGE[:1])


def test_every_kind_has_its_prompt(comfy):
    schema = comfy.node("DefectPrompt").GET_SCHEMA()
    kinds = next(item for item in schema.inputs if item.id == "kind").options
    assert {"extra_fingers", "watermark", "wrong_era", "missing_object"} < set(kinds)
    for kind in kinds:
        told = prompted(comfy, kind=kind)
        assert told["advice"].endswith(".")
        assert 0 <= told["denoise"] <= 1 <= told["context"]
        assert isinstance(told["grow"], int)


def test_prompts_of_a_kind(comfy):
    told = prompted(comfy, kind="extra_fingers", scene="a waving man")
    assert told["positive"].startswith("a waving man, a natural hand with five fingers")
    assert told["negative"].startswith("(extra fingers:1.5), ")
    assert told["fix"] == "FluxFillRefine"
    assert told["grow"] == 4


def test_growth_for_the_size_of_a_mask(comfy):
    mask = torch.zeros(1, 300, 300)
    mask[0, 10:50, 20:220] = 1
    assert prompted(comfy, {"mask": mask}, kind="watermark")["grow"] == 30
    assert prompted(comfy, {"mask": mask[0]}, kind="watermark")["grow"] == 30
    assert prompted(comfy, {"mask": torch.zeros(1, 9, 9)}, kind="watermark")["grow"] == 4


def test_kinds_by_name(comfy):
    both = prompted(comfy, {"kind_name": "watermark, wrong_era"})
    assert both["negative"].startswith("(watermark:1.5), ")
    assert both["denoise"] == pytest.approx(0.85)
    assert both["context"] == pytest.approx(2.0)
    none = prompted(comfy, {"kind_name": ""}, scene="a harbour")
    assert (none["positive"], none["negative"], none["fix"]) == ("a harbour", "", "")
    run = comfy.execute_graph(
        {
            "name": comfy.source("paw"),
            "prompt": node("DefectPrompt", kind="spot", kind_name=["name", 0]),
        },
        want=["prompt"],
    )
    assert run.status == "error"
    assert "no defect kind 'paw'" in run.error["exception_message"]
