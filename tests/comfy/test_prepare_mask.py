"""PrepareMask, through ComfyUI's executor."""

from __future__ import annotations

import pytest
import torch
from support.graphs import mask_of, node, picture
from support.results import PromptRejected

DEFAULTS = {
    "fill_holes": True,
    "grow": 4,
    "feather": 0,
    "shadow": False,
    "shadow_reach": 1.5,
}
SPOT = (40, 50, 20, 25)


def graph(comfy, mask, image=None, **settings):
    made = {
        "mask": comfy.source(mask),
        "prepare": node("PrepareMask", mask=["mask", 0], **{**DEFAULTS, **settings}),
    }
    if image is not None:
        made["image"] = comfy.source(image)
        made["prepare"]["inputs"]["image"] = ["image", 0]
    return made


def sand(shadow: bool) -> torch.Tensor:
    """A blue box on noisy sand, its shadow to the right if wanted."""
    noise = torch.randn(1, 120, 160, 1, generator=torch.Generator().manual_seed(0))
    image = torch.tensor([0.7, 0.6, 0.45]) * (1 + 0.03 * noise)
    if shadow:
        image[:, 70:85, 60:100] *= 0.5
    image[:, 40:80, 40:80] = torch.tensor([0.2, 0.3, 0.8])
    return image.clamp(0, 1)


def test_the_defaults_are_the_schemas(comfy):
    schema = comfy.node("PrepareMask").GET_SCHEMA()
    assert {i.id: i.default for i in schema.inputs if hasattr(i, "default")} == DEFAULTS


def test_a_mask_alone(comfy):
    ring = mask_of(SPOT) - mask_of((45, 55, 10, 15))
    run = comfy.execute_graph(graph(comfy, ring), want=["prepare"]).check()
    mask, text = run.results["prepare"]
    assert mask.dtype == torch.float32
    assert mask[mask_of(SPOT) > 0].min() == 1
    assert mask[0, 40 - 4, 60] == 1
    assert mask[0, 40 - 5, 60] == 0
    assert "Filled holes of 150 pixels." in text
    # the same text appears under the node
    assert ("prepare", text) in run.texts


def test_a_shadow_in_one_of_two_images(comfy):
    image = torch.cat([sand(True), sand(False)])
    mask = mask_of((40, 40, 40, 40), height=120, width=160)
    run = comfy.execute_graph(graph(comfy, mask, image, shadow=True), want=["prepare"]).check()
    masks, text = run.results["prepare"]
    assert masks.shape == (2, 120, 160)
    assert masks[0, 72:83, 82:98].min() == 1
    assert masks[1, 72:83, 86:98].max() == 0
    first, second = text.splitlines()
    assert first.startswith("Image 0: Followed the shadow")
    assert second.startswith("Image 1: No shadow")


def test_a_tight_mask_is_told_and_fits_lama_afterwards(comfy):
    mask = mask_of((46, 46, 28, 28), height=120, width=160)
    tight = graph(comfy, mask, sand(False), grow=0)
    text = comfy.execute_graph(tight, want=["prepare"]).check().results["prepare"][1]
    assert "cut through the object" in text
    assert "Grow it by 10 more" in text
    tight["prepare"]["inputs"]["grow"] = 10
    tight["fill"] = node(
        "ContentAwareFill",
        image=["image", 0],
        mask=["prepare", 0],
        method="telea",
        grow=0,
        feather=0,
    )
    run = comfy.execute_graph(tight, want=["prepare", "fill"]).check()
    assert "Warning" not in run.results["prepare"][1]
    mask, changed = run.results["prepare"][0], run.results["fill"][1]
    assert torch.equal(changed, mask)


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "The mask is empty"), (0.3, "nowhere stronger than 0.30")]
)
@pytest.mark.parametrize("shadow", [False, True])
def test_an_empty_mask_says_so(comfy, value, words, shadow):
    made = graph(comfy, mask_of(SPOT) * value, picture(), shadow=shadow)
    mask, text = comfy.execute_graph(made, want=["prepare"]).check().results["prepare"]
    assert not mask.any()
    assert words in text


@pytest.mark.parametrize(
    ("mask", "image", "settings", "words"),
    [
        (mask_of(SPOT), None, {"shadow": True}, "no image is connected"),
        (torch.ones(1, 50, 133), picture(), {}, "133x50"),
        (mask_of(SPOT).expand(2, -1, -1), picture(batch=3), {}, "2 masks for 3 images"),
        (torch.zeros(1, 64, 64), picture(), {}, "mask editor"),
        (mask_of(SPOT), picture() * torch.nan, {}, "NaN"),
        (mask_of() * torch.nan, None, {}, "NaN"),
    ],
)
def test_refused(comfy, mask, image, settings, words):
    run = comfy.execute_graph(graph(comfy, mask, image, **settings), want=["prepare"])
    assert run.status == "error"
    assert run.error["exception_type"] == "ValueError"
    assert words in run.error["exception_message"]
    assert list(run.events("progress")) == []


@pytest.mark.parametrize(("name", "value"), [("grow", -1), ("feather", 999), ("shadow_reach", 9.0)])
def test_settings_out_of_range_are_refused(comfy, name, value):
    with pytest.raises(PromptRejected, match=name):
        comfy.execute_graph(graph(comfy, mask_of(SPOT), **{name: value}), want=["prepare"])
