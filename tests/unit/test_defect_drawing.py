"""What was found, drawn into a picture."""

import pytest
import torch

from cleanplate.defects.catalogue import GROUPS, catalogue
from cleanplate.defects.defect import Defect
from cleanplate.defects.drawing import COLOURS, draw_defects, label_place, words
from cleanplate.geometry import Box, Size

WATERMARK = Box(100, 120, 80, 40)


def defect(kind="watermark", box=WATERMARK, mask=None, severity=0.75):
    return Defect(kind, 0.9, severity, "test", "why", box, mask)


def grey(height=300, width=400, channels=3):
    return torch.full((height, width, channels), 0.5)


def is_colour(pixels, kind):
    wanted = torch.tensor(COLOURS[catalogue()[kind].group]) / 255
    return (pixels - wanted).abs().amax(-1) < 1e-3


def test_every_group_has_its_own_colour():
    assert set(COLOURS) == set(GROUPS)
    assert len(set(COLOURS.values())) == len(GROUPS)


def test_nothing_found_is_a_copy():
    image = torch.rand(20, 30, 4, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    drawn = draw_defects(image, [])
    assert drawn.shape == (20, 30, 3)
    assert (drawn - image[..., :3]).abs().max() <= 0.5 / 255 + 1e-6
    drawn.zero_()
    assert torch.equal(image, before)


def test_a_frame_runs_along_the_edge_of_the_box_and_nothing_else_changes():
    drawn = draw_defects(grey(), [defect()])
    frame = is_colour(drawn, "watermark")
    assert frame[159, 100:180].all() and frame[120:160, 100].all() and frame[120:160, 179].all()
    assert not frame[125:155, 105:175].any()
    changed = (drawn - 128 / 255).abs().amax(-1) > 1e-3
    assert not changed[:90].any() and not changed[170:].any()
    assert not changed[:, :95].any()


def test_a_mask_is_tinted():
    mask = torch.zeros(40, 80)
    mask[10:20, 30:50] = 1
    drawn = draw_defects(grey(), [defect(mask=mask)])
    inside, outside = drawn[135, 140], drawn[150, 140]
    colour = torch.tensor(COLOURS["text"]) / 255
    expected = 128 / 255 + 0.35 * (colour - 128 / 255)
    assert torch.allclose(inside, expected, atol=1.5 / 255)
    assert torch.allclose(outside, torch.tensor(128 / 255))


def test_defects_of_the_whole_are_listed_in_the_corner():
    one = draw_defects(grey(), [defect("noise", None)])
    two = draw_defects(grey(), [defect("noise", None), defect("too_dark", None)])
    high = int(is_colour(one, "noise")[:, 1].sum())
    assert is_colour(one, "noise")[:high, 0].all()
    assert is_colour(two, "too_dark")[high : 2 * high, 0].all()
    assert not (one[3 * high :] - 128 / 255).abs().max() > 1e-3


def test_the_most_severe_lies_on_top():
    over = [defect("watermark", severity=0.9), defect("spot", severity=0.1)]
    assert is_colour(draw_defects(grey(), over), "watermark")[159, 150]


@pytest.mark.parametrize(
    ("box", "place"),
    [
        (Box(10, 50, 20, 20), Box(10, 38, 60, 12)),
        (Box(10, 5, 20, 20), Box(10, 25, 60, 12)),
        (Box(80, 50, 20, 20), Box(40, 38, 60, 12)),
        (Box(0, 0, 100, 100), Box(0, 0, 60, 12)),
        (Box(90, 95, 10, 5), Box(40, 83, 60, 12)),
    ],
)
def test_labels_stay_inside(box, place):
    assert label_place(Size(60, 12), box, Size(100, 100)) == place


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 900), (900, 2), (40, 40), (7, 5)])
def test_images_of_any_size(height, width):
    found = [defect(box=Box(0, 0, width, height)), defect("blur", None)]
    image = grey(height, width)
    assert draw_defects(image, found).shape == (height, width, 3)


@pytest.mark.parametrize("kind", catalogue())
def test_every_label_can_be_written(kind):
    assert words(defect(kind)).isascii()


def test_letters_grow_with_the_picture():
    heights = []
    for scale in (1, 2, 4):
        drawn = draw_defects(grey(300 * scale, 400 * scale), [defect("noise", None)])
        heights.append(int(is_colour(drawn, "noise")[:, 0].sum()))
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.25)
    assert heights[2] == pytest.approx(2 * heights[1], rel=0.25)


def test_half_precision():
    assert draw_defects(grey().half(), [defect()]).dtype == torch.float32
