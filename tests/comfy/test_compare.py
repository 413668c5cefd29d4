"""CompareImages, through ComfyUI's executor."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.graphs import mask_of, node, picture

SPOT = (30, 40, 50, 60)


def graph(comfy, before, after, mask=None):
    made = {
        "before": comfy.source(before),
        "after": comfy.source(after),
        "compare": node("CompareImages", before=["before", 0], after=["after", 0]),
    }
    if mask is not None:
        made["mask"] = comfy.source(mask)
        made["compare"]["inputs"]["mask"] = ["mask", 0]
    return made


def view(comfy, *pictures):
    return comfy.execute_graph(graph(comfy, *pictures)).check().outputs["compare"]


def file_of(comfy, reference):
    assert reference["type"] == "temp"
    return Image.open(Path(comfy.base) / "temp" / reference["subfolder"] / reference["filename"])


def as_bytes(image):
    return (image * 255).clamp(0, 255).byte().numpy()


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pictures_are_written_whole_and_without_loss(comfy, channels, dtype):
    before = picture(channels=channels, dtype=dtype)
    after = picture(64, 72, channels=channels, dtype=dtype)
    shown = view(comfy, before, after)
    for key, image in (("before", before), ("after", after)):
        (reference,) = shown[key]
        written = file_of(comfy, reference)
        assert written.format == "PNG"
        assert not written.text  # no workflow in it
        assert np.array_equal(np.asarray(written), as_bytes(image[0].float()))


def test_the_shorter_batch_starts_over_and_each_picture_is_written_once(comfy):
    before, after = picture(batch=2), picture(batch=4)
    shown = view(comfy, before, after)
    assert len(shown["after"]) == 4
    assert shown["before"][:2] == shown["before"][2:]
    names = {reference["filename"] for key in ("before", "after") for reference in shown[key]}
    assert len(names) == 6


def test_files_of_another_run_are_others(comfy):
    first, second = (view(comfy, picture(), picture() * shade) for shade in (0.5, 0.25))
    assert first["after"] != second["after"]


def test_a_mask_is_outlined_and_tells_what_changed_beside_it(comfy):
    after = picture()
    after[:, 40:60, 50:80] = 0
    y, x, height, width = SPOT
    shown = view(comfy, picture(), after, mask_of(SPOT))
    numbers = [float(number) for number in re.findall(r"[\d.]+", shown["outline"][0])]
    assert sorted({round(number * 133) for number in numbers[0::2]}) == [x, x + width]
    assert sorted({round(number * 101) for number in numbers[1::2]}) == [y, y + height]
    assert list(shown["outside"]) == [0]
    after[0, 0, 0, 1] += 10 / 255
    assert list(view(comfy, picture(), after, mask_of(SPOT))["outside"]) == [10]


def test_what_a_soft_edge_covers_was_meant_to_change(comfy):
    mask = mask_of(SPOT)
    mask[:, 20:30, 40:100] = 0.1
    after = picture()
    after[:, 20:60, 50:80] = 0
    assert list(view(comfy, picture(), after, mask)["outside"]) == [0]


def test_pictures_of_two_sizes_are_not_compared_in_numbers(comfy):
    assert list(view(comfy, picture(), picture(64, 64), mask_of(SPOT))["outside"]) == [-1]


def test_the_mask_of_a_picture_without_transparency_is_none(comfy):
    shown = view(comfy, picture(), picture(), torch.zeros(1, 64, 64))
    assert list(shown["outline"]) == []


def test_the_view_names_its_run(comfy):
    run = comfy.execute_graph(graph(comfy, picture(), picture())).check()
    assert list(run.outputs["compare"]["run"]) == [run.prompt_id, "compare"]


@pytest.mark.parametrize(
    ("pictures", "parts"),
    [
        ((picture(channels=1), picture()), ["before", "RGB"]),
        ((picture(), picture() * torch.nan), ["after", "NaN"]),
        ((picture(), picture(), torch.ones(1, 32, 32)), ["32x32", "133x101"]),
        ((picture(batch=3), picture(), torch.ones(2, 101, 133)), ["2 masks", "3 images"]),
    ],
)
def test_refused(comfy, pictures, parts):
    run = comfy.execute_graph(graph(comfy, *pictures))
    assert run.status == "error"
    assert run.error["exception_type"] == "ValueError"
    for part in parts:
        assert part in run.error["exception_message"]
