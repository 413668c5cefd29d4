from math import cos, radians, sin

import numpy as np
import pytest
import torch
from support.faces import face_at, texture

from cleanplate.faces.align import SIDE, TEMPLATE, Alignment, align, already_aligned
from cleanplate.faces.warp import Sampler, inverted, mapped
from cleanplate.geometry import Box, Size

IDEAL = TEMPLATE + 0.5


def moved(points, scale, degrees, x, y):
    turn = radians(degrees)
    linear = scale * np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    return points @ linear.T + (x, y)


@pytest.mark.parametrize("scale", [0.02, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("degrees", [0, 30, -75, 180])
def test_the_template_is_found_wherever_it_was_put(scale, degrees):
    points = moved(IDEAL, scale, degrees, 700.25, -31.5)
    found = align([tuple(p) for p in points])
    assert np.allclose(mapped(found.matrix, points), IDEAL, atol=1e-6)
    assert found.scale == pytest.approx(1 / scale)


def test_the_fit_is_the_best_similarity():
    """No small turn, shift or change of scale brings the points nearer."""
    rng = np.random.default_rng(0)
    points = IDEAL + rng.normal(0, 12, IDEAL.shape)
    found = align([tuple(p) for p in points])

    def error(matrix):
        return ((mapped(matrix, points) - IDEAL) ** 2).sum()

    best = error(found.matrix)
    for scale, degrees, x, y in [(1.001, 0, 0, 0), (1, 0.1, 0, 0), (1, 0, 0.1, 0), (1, 0, 0, 0.1)]:
        for sign in (1, -1):
            other = moved(np.eye(2), scale**sign, sign * degrees, 0, 0).T @ found.matrix
            assert error(other + np.array([[0, 0, sign * x], [0, 0, sign * y]])) > best


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(5, 5)] * 5, "all lie in one point"),
        ([(0, 0), (10, 0), (5, 0), (2, 0), (8, 0)], "do not lie as those of a face"),
        ([(-x, y) for x, y in IDEAL], "do not lie as those of a face"),
        ([(float("nan"), 0)] * 5, "no five finite points"),
        ([(x / 400, y / 400) for x, y in IDEAL], "enlarged 400 times"),
        ([(0, 0), (1, 1)], "no five finite points"),
    ],
    ids=["one point", "a line", "a mirror image", "NaN", "specks", "two points"],
)
def test_what_is_no_face_is_refused_in_words(points, words):
    assert words in align(points)


@pytest.mark.parametrize(
    "points",
    [
        [(100, 100), (112, 100), (135, 130), (108, 155), (116, 155)],
        [(100, 100), (130, 100), (135, 130), (105, 155), (125, 155)],
    ],
)
def test_profiles_are_faces(points):
    found = align(points)
    assert isinstance(found, Alignment)
    assert np.abs(mapped(found.matrix, np.array(points)) - IDEAL).max() < 100


def test_a_frame_on_the_pixel_grid_is_cut_out_as_it_is():
    image = texture(600, 640)
    found = align([(x + 70, y + 33) for x, y in IDEAL])
    assert (found.crop(image) - image[33 : 33 + SIDE, 70 : 70 + SIDE]).abs().max() < 1e-4


@pytest.mark.parametrize("side", [20, 100, 512, 1300, 2900])
@pytest.mark.parametrize("degrees", [0, 20])
def test_positions_are_exact_at_every_size(side, degrees):
    """A ramp has the value of the place it is looked at."""
    size = 3000
    ramp = torch.linspace(0.5 / size, 1 - 0.5 / size, size)[None, :, None]
    image = ramp.expand(40, size, 3)
    face = face_at(size / 2 + 0.3, 20, side * 0.6, degrees)
    found = align(face.landmarks)
    row = found.crop(image)[256, 100:412, 0]
    back = inverted(found.matrix)
    where = mapped(back, np.stack([np.arange(100, 412) + 0.5, np.full(312, 256.5)], 1))[:, 0]
    # The cubic's own ripple on a ramp is a twentieth of a pixel.
    assert np.abs(row.numpy() * size - where).max() < 0.06 * max(1, side / 512)


def test_what_the_frame_cannot_show_does_not_alias():
    """Stripes in a face six times as large as its frame: a grey; every sixth pixel would show them.

    The worst of all periods is the one that the blocks of two pixels bring nearest to the frame's.
    """
    x = torch.arange(3200)
    for period, most in [(2.0, 1e-3), (2.6, 0.03), (4.5, 0.01), (6.1, 0.01)]:
        stripes = (0.5 + 0.5 * torch.sin(2 * torch.pi * x / period + 1))[None, :, None]
        crop = align(face_at(1600, 30, 3072).landmarks).crop(stripes.expand(60, -1, 3).half())
        assert (crop - 0.5).abs().max() < most, period


def test_beyond_the_image_its_edge_goes_on():
    image = torch.zeros(60, 60, 3)
    image[:, :3] = 0.75
    crop = align(face_at(0, 30, 50).landmarks).crop(image)
    assert (crop[:, :200] - 0.75).abs().max() < 0.05
    assert crop[:, 320:].max() < 0.05


@pytest.mark.parametrize(("height", "width"), [(512, 512), (64, 64), (1100, 700), (1, 1)])
def test_an_aligned_image_is_resized_as_a_whole(height, width):
    image = torch.full((height, width, 4), 0.25)
    image[: height // 2, :, 0] = 0.75
    crop = already_aligned(Size(width, height)).crop(image)
    assert crop.shape == (SIDE, SIDE, 3)
    assert crop[500, 256, 0] == pytest.approx(0.25, abs=1e-5)
    if height > 1:
        assert crop[10, 256, 0] == pytest.approx(0.75, abs=1e-5)


@pytest.mark.parametrize("factor", [0.1, 0.7, 1.0, 1.4, 2.9, 7.3])
def test_a_flat_picture_stays_flat(factor):
    picture = torch.full((90, 70, 3), 0.6)
    source = np.array([[factor, 0.1, 2.0], [-0.1, factor, 3.0]])
    assert (Sampler(picture, source).at(Box(-5, 3, 40, 30)) - 0.6).abs().max() < 1e-5
