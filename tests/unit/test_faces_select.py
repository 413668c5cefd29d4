from dataclasses import replace

import pytest
import torch
from support.faces import face_at

from cleanplate.faces.select import Selection, select
from cleanplate.geometry import Size

SIZE = Size(400, 300)
LEFT, LARGE, RIGHT = face_at(60, 150, 60), face_at(190, 100, 120), face_at(330, 200, 80)
FACES = [RIGHT, LEFT, LARGE]


def chosen(faces, mask=None, size=SIZE, **selection):
    found = select(faces, size, Selection(**selection), mask)
    assert all((c.alignment is None) == bool(c.reason) for c in found)
    return [c.number for c in found if not c.reason], {c.number: c.reason for c in found}


def test_faces_are_numbered_from_left_to_right():
    found = select(FACES, SIZE, Selection())
    assert [c.face for c in found] == [LEFT, LARGE, RIGHT]
    assert [c.number for c in found] == [0, 1, 2]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        ({}, [0, 1, 2]),
        ({"choice": "largest"}, [1]),
        ({"choice": "most central"}, [1]),
        ({"choice": "index", "index": 0}, [0]),
        ({"choice": "index", "index": 2}, [2]),
        ({"choice": "index", "index": -1}, [2]),
        ({"choice": "index", "index": 3}, []),
        ({"choice": "index", "index": -4}, []),
        ({"most": 2}, [1, 2]),
        ({"most": 9}, [0, 1, 2]),
        ({"eye_distance": 18}, [1, 2]),
        ({"eye_distance": 1000}, []),
    ],
)
def test_what_is_chosen(selection, wanted):
    numbers, reasons = chosen(FACES, **selection)
    assert numbers == wanted
    assert all(bool(reasons[n]) == (n not in wanted) for n in reasons)


def test_the_largest_is_the_one_with_the_largest_detected_box():
    """And not the one whose landmarks are farthest apart."""
    wide = replace(LEFT, box=(0, 0, 200, 200))
    assert chosen([wide, LARGE], choice="largest")[0] == [0]


def test_the_largest_of_those_that_can_be_restored():
    unsure = replace(LARGE, score=0.5)
    assert chosen([LEFT, unsure, RIGHT], choice="largest", confidence=0.9)[0] == [2]


def test_the_mask_decides_where():
    mask = torch.zeros(300, 400)
    mask[190:210, 320:340] = 0.5
    numbers, reasons = chosen(FACES, mask)
    assert numbers == [2]
    assert reasons[0] == "the mask does not touch it"
    assert chosen(FACES, mask * 0.9)[0] == []


@pytest.mark.parametrize(
    ("face", "words"),
    [
        (replace(LEFT, score=0.94), "0.94 sure, less than 0.95"),
        (replace(LEFT, landmarks=None), "no landmarks"),
        (face_at(60, 150, 12), "eyes are 3.0 pixels apart, less than 5"),
        (face_at(-300, 150, 60), "outside the image"),
        (face_at(60, 900, 60), "outside the image"),
        (replace(LEFT, landmarks=((5, 5), (25, 5), (15, 5), (5, 5), (25, 5))), "as those of a"),
        (replace(LEFT, box=(60, 60, 50, 50)), "outside the image"),
    ],
    ids=["score", "landmarks", "eyes", "left of it", "below it", "line", "inside out"],
)
def test_every_skipped_face_has_a_reason(face, words):
    _, reasons = chosen([face], confidence=0.95)
    assert words in reasons[0]


def test_no_face_is_no_choice():
    for choice in ("all", "largest", "most central", "index"):
        assert select([], SIZE, Selection(choice)) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"choice": "smallest"}, "choose one of all"),
        ({"confidence": 1.5}, "0..1"),
        ({"most": -1}, "negative"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        Selection(**settings)
