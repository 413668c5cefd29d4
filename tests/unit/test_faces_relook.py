import importlib.util

import numpy as np
import pytest
import torch

from cleanplate.faces.align import TEMPLATE, align
from cleanplate.faces.guard import Guard, landmark_shift

pytest.importorskip("lz4")
if importlib.util.find_spec("mtcnn") is None:
    pytest.skip("mtcnn is not installed", allow_module_level=True)
data = pytest.importorskip("skimage.data")

EYES = float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))


@pytest.fixture(scope="module")
def look():
    from cleanplate.faces.mtcnn import load_mtcnn
    from cleanplate.faces.relook import Relook

    return Relook(load_mtcnn())


@pytest.fixture(scope="module")
def crop():
    """The astronaut's face in its frame."""
    points = ((204.3, 100.9), (246.8, 103.3), (224.5, 128.5), (201.7, 139.2), (245.2, 141.2))
    return align(points).crop(torch.from_numpy(data.astronaut()).float() / 255)


@pytest.mark.parametrize("pixels", [0, 10, 40])
def test_a_face_that_moved_is_seen_to_have_moved_so_far(look, crop, pixels):
    moved = look(torch.roll(crop, pixels, 1))
    assert landmark_shift(look(crop), moved) == pytest.approx(pixels / EYES, abs=0.01)


@pytest.mark.parametrize(
    "change",
    [lambda x: 0.5 * x, lambda x: x + 0.02 * torch.randn_like(x), lambda x: x.flip(2)],
    ids=["dark", "noisy", "blue"],
)
def test_the_same_face_is_where_it_was(look, crop, change):
    torch.manual_seed(0)
    assert landmark_shift(look(crop), look(change(crop).clamp(0, 1))) < 0.04


def test_what_is_no_face_has_no_landmarks(look, crop):
    assert look(torch.full_like(crop, 0.5)) is None
    assert look(1 - crop) is None


def test_the_guard_keeps_a_moved_face_within_its_limit(look, crop):
    change = torch.roll(crop, 30, 1) - crop
    guard = Guard(crop, change, look)
    assert guard.at(1.0).landmarks > 0.2
    strength, drift = guard.allowed(1.0)
    assert strength < 0.8
    assert not drift.is_too_far
