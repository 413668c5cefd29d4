"""Faces that are small, blurred or cut off, and eyes at different heights."""

import numpy as np
import pytest
import torch
from torch.nn.functional import pad

from cleanplate.defects.catalogue import kind
from cleanplate.defects.eye_tilt import eye_tilt, head_turn, uneven_eyes
from cleanplate.defects.faces import cut_sides, face_defects, face_sharpness
from cleanplate.faces.detect import detect_faces
from cleanplate.faces.face import Face
from cleanplate.geometry import Box, Size


def edges(width=400, height=300, seed=0):
    """Blocks of 5 pixels in random tones: sharp wherever one looks."""
    generator = torch.Generator().manual_seed(seed)
    tones = torch.rand(height // 5, width // 5, generator=generator)
    return tones.repeat_interleave(5, 0).repeat_interleave(5, 1)[..., None].repeat(1, 1, 3)


def blurred(image, sigma):
    reach = 3 * int(sigma) + 1
    steps = torch.arange(-reach, reach + 1.0)
    taps = torch.exp(-(steps**2) / (2 * sigma**2))
    taps /= taps.sum()
    planes = pad(image.movedim(-1, 0)[None], (reach,) * 4, mode="reflect")
    for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
        weight = taps.view(shape).repeat(3, 1, 1, 1)
        planes = torch.nn.functional.conv2d(planes, weight, groups=3)
    return planes[0].movedim(0, -1)


def face(left=100, top=100, right=220, bottom=250, score=0.99):
    return Face((left, top, right, bottom), score)


def kinds(image, *faces, **settings):
    return [defect.kind for defect in face_defects(image, faces, **settings)]


def test_a_large_sharp_face_is_fine():
    assert kinds(edges(), face()) == []
    assert kinds(edges()) == []


def test_a_blurred_face_is_found_whatever_is_around_it():
    image = edges()
    image[100:250, 100:220] = blurred(edges(seed=1), 2.5)[100:250, 100:220]
    (defect,) = face_defects(image, [face()])
    assert (defect.kind, defect.source, defect.score) == ("blurred_face", "faces", 0.99)
    assert defect.box == Box(100, 100, 120, 150)
    sharp = face_sharpness(image, defect.box)
    assert defect.severity == kind("blurred_face").severity(sharp) > 0.5
    assert f"re-blur ratio of the face is {sharp:.2f}" in defect.reason
    # And a sharp one in a blurred picture is not.
    image = blurred(edges(), 2.5)
    image[100:250, 100:220] = edges(seed=1)[100:250, 100:220]
    assert kinds(image, face()) == []


def test_the_ratio_falls_with_the_blur_and_does_not_depend_on_contrast():
    box = Box(100, 100, 120, 150)
    ratios = [face_sharpness(blurred(edges(), sigma), box) for sigma in (0.3, 0.7, 1.2, 2, 4)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 1.5
    assert 1 <= ratios[-1] < 1.1
    faint = face_sharpness(0.3 + 0.3 * edges(), box)
    assert faint == pytest.approx(face_sharpness(edges(), box), rel=0.02)


def test_where_there_are_no_edges_nothing_is_said_of_blur():
    assert face_sharpness(torch.full((300, 400, 3), 0.5), Box(100, 100, 120, 150)) is None
    assert face_sharpness(edges(), Box(0, 0, 15, 100)) is None
    assert kinds(torch.full((300, 400, 3), 0.5), face()) == []


def test_a_small_face_is_reported_once_though_it_is_blurred():
    small = face(100, 100, 130, 140)
    (defect,) = face_defects(edges(), [small])
    assert (defect.kind, defect.box) == ("small_face", Box(100, 100, 30, 40))
    # The catalogue: 0.2 at 96 pixels, 0.7 at 24.
    assert defect.severity == pytest.approx(0.2 + 0.5 * (96 - 40) / 72)
    assert "40 pixels high" in defect.reason
    (defect,) = face_defects(blurred(edges(), 3), [small])
    assert defect.kind == "small_face"
    assert "not sharp" in defect.reason


@pytest.mark.parametrize(
    ("box", "sides"),
    [
        ((100, 100, 220, 250), {}),
        ((-24, 100, 96, 250), {"left": 0.2}),
        ((-3, 100, 117, 250), {}),
        ((0, 100, 120, 250), {"left": 0}),
        ((1, 100, 121, 250), {}),
        ((286, 100, 406, 250), {"right": 0.05}),
        ((100, -12, 220, 138), {"top": 0.1}),
        ((310, 180, 430, 324), {"right": 0.25, "bottom": 0.2}),
    ],
)
def test_a_face_that_reaches_beyond_the_border_is_cut_off(box, sides):
    assert cut_sides(face(*box), Size(400, 300)) == pytest.approx(sides)
    defects = face_defects(edges(), [face(*box)])
    assert [defect.kind for defect in defects] == ["cropped_subject"] * bool(sides)
    for defect in defects:
        assert Box(0, 0, 400, 300).intersect(defect.box) == defect.box
        assert defect.score == pytest.approx(min(0.99, 0.5 + 2.5 * max(sides.values())))
        assert all(side in defect.reason for side in sides)
    assert kinds(edges(), face(*box), cropped=False) == []


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_the_detector_knows_where_a_face_would_go_on(astronaut, networks, side):
    (whole,) = detect_faces(astronaut, networks)[0]
    left, top, right, bottom = (int(edge) for edge in whole.box)
    cut = {
        "left": astronaut[:, :, left + 18 :],
        "right": astronaut[:, :, : right - 18],
        "top": astronaut[:, top + 18 :],
        "bottom": astronaut[:, : bottom - 18],
    }[side]
    (face,) = detect_faces(cut, networks, least_face=60)[0]
    assert list(cut_sides(face, Size(cut.shape[2], cut.shape[1]))) == [side]


def test_limits_can_be_moved_and_switched_off():
    soft, small = blurred(edges(), 2.5), face(100, 100, 130, 140)
    assert kinds(soft, face(), least_sharpness=0) == []
    assert kinds(edges(), face(), least_sharpness=9) == ["blurred_face"]
    assert kinds(edges(), small, least_height=0) == []
    assert kinds(edges(), face(), least_height=151) == ["small_face"]
    with pytest.raises(ValueError, match="give numbers from 0 on"):
        face_defects(edges(), [], least_height=-1)


def test_a_face_outside_the_image_is_passed_over():
    assert kinds(edges(), face(500, 10, 600, 100)) == []


def test_the_astronaut_is_fine_until_she_is_blurred_shrunk_or_cut(astronaut, networks):
    image = astronaut[0]
    (found,) = detect_faces(astronaut, networks)[0]
    assert kinds(image, found) == []
    assert kinds(blurred(image, 2.0), found) == ["blurred_face"]
    assert kinds(image[:, 190:], Face((-14, *found.box[1:]), 0.99)) == ["cropped_subject"]
    shrunk = torch.nn.functional.interpolate(
        astronaut.movedim(-1, 1), scale_factor=0.4, mode="area"
    ).movedim(1, -1)
    (small,) = detect_faces(shrunk, networks)[0]
    assert kinds(shrunk[0], small) == ["small_face"]


def mesh(tilt=0.0, yaw=0.0, roll=0.0, middle=(200.0, 150.0), size=80.0):
    """The landmarks that are used, with one eye lower by `tilt` and turned by `yaw`, in degrees.

    Positions in distances of the eyes: right, down, towards the viewer.
    """
    points = np.zeros((478, 3))
    places = {
        468: (-0.5, tilt / 2, 0),
        473: (0.5, -tilt / 2, 0),
        4: (0, 0.6, 0.55),
        10: (0, -0.9, 0.0),
        152: (0, 1.5, 0.1),
    }
    for number, sign, eye in ((33, -1, 468), (133, 1, 468), (362, -1, 473), (263, 1, 473)):
        x, y, z = places[eye]
        places[number] = (x + 0.2 * sign, y, z)
    for number, sign, eye in ((159, -1, 468), (145, 1, 468), (386, -1, 473), (374, 1, 473)):
        x, y, z = places[eye]
        places[number] = (x, y + 0.08 * sign, z)
    for number, place in places.items():
        points[number] = place
    a, b = np.deg2rad([yaw, roll])
    turned = points @ np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    flat = turned[:, :2] @ np.array([[np.cos(b), np.sin(b)], [-np.sin(b), np.cos(b)]])
    return flat * size + middle


def landmarks(*faces, size=(300, 400)):
    entries = [
        {"landmarks_xy": points, "bbox_xyxy": [100, 50, 300, 280], "score": 0.9} for points in faces
    ]
    return {"frames": [entries], "image_size": size, "connection_sets": {}}


IMAGE = torch.zeros(1, 300, 400, 3)


@pytest.mark.parametrize("roll", [0, 20, -45, 90])
@pytest.mark.parametrize("tilt", [0.0, 0.03, 0.1, -0.15])
def test_tilt_is_measured_whichever_way_the_head_leans(tilt, roll):
    points = mesh(tilt, roll=roll)
    assert eye_tilt(points) == pytest.approx(abs(tilt) / np.hypot(1, tilt), abs=1e-9)
    assert head_turn(points) == pytest.approx(0, abs=1e-9)


def test_uneven_eyes_are_a_defect_around_both():
    (found,) = uneven_eyes(landmarks(mesh(0.1)), IMAGE)
    (defect,) = found.defects
    tilt = eye_tilt(mesh(0.1))
    assert (defect.kind, defect.source, defect.score) == ("asymmetric_eyes", "eye_tilt", 0.9)
    assert defect.severity == pytest.approx(0.4 + 0.5 * (tilt - 0.05) / 0.1)
    # 0.7 of the distance of 80 to either side, and a quarter of it for room.
    assert (defect.box.x, defect.box.right) == pytest.approx((200 - 76, 200 + 76), abs=2)
    assert found.notes == ()


def test_even_eyes_and_heads_that_are_turned_are_none():
    assert uneven_eyes(landmarks(mesh(0.04)), IMAGE)[0].defects == ()
    (found,) = uneven_eyes(landmarks(mesh(0.1, yaw=30)), IMAGE)
    assert found.defects == ()
    assert found.notes[0].startswith("face 1 is turned too far to judge its eyes")
    assert len(uneven_eyes(landmarks(mesh(0.1, yaw=30)), IMAGE, most_turn=1)[0].defects) == 1


def test_frames_of_landmarks_belong_to_images():
    images = IMAGE.expand(2, -1, -1, -1)
    both = landmarks(mesh(0.1))
    assert [len(found.defects) for found in uneven_eyes(both, images)] == [1, 1]
    both["frames"].append([])
    assert [len(found.defects) for found in uneven_eyes(both, images)] == [1, 0]
    both["frames"].append([])
    with pytest.raises(ValueError, match="for 3 images but image holds 2"):
        uneven_eyes(both, images)
    with pytest.raises(ValueError, match="connect the FACE_LANDMARKS"):
        uneven_eyes({}, images)


def test_faces_without_irises_are_noted():
    short = landmarks(mesh()[:468])
    (found,) = uneven_eyes(short, IMAGE)
    assert found.notes == ("face 1 has not the 478 landmarks with irises",)
