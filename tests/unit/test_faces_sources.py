import numpy as np
import pytest
import torch

from cleanplate.faces.sources import detect_in_boxes, faces_from_landmarks
from cleanplate.faces.yunet import YuNet

IMAGE = torch.zeros(1, 100, 200, 3)


def mesh(x=50.0, y=40.0):
    """A MediaPipe face whose five points are known; the others lie at its corner."""
    points = np.zeros((478, 2), np.float32)
    for number, place in (
        (468, (-10, 0)),
        (473, (10, 0)),
        (4, (0, 10)),
        (61, (-8, 20)),
        (291, (8, 20)),
    ):
        points[number] = (x + place[0], y + place[1])
    box = np.array([x - 20, y - 20, x + 20, y + 30], np.float32)
    return {"landmarks_xy": points, "bbox_xyxy": box, "score": 0.75, "blendshapes": {}}


def value(*frames, size=(100, 200)):
    return {"frames": list(frames), "image_size": size, "connection_sets": {}}


def test_five_of_the_478_points_are_taken():
    (given,) = faces_from_landmarks(value([mesh(), mesh(x=150.0)]), IMAGE)
    one, two = given.faces
    assert one.landmarks == ((40, 40), (60, 40), (50, 50), (42, 60), (58, 60))
    assert one.box == (30, 20, 70, 70)
    assert one.score == 0.75
    assert two.landmarks[0] == (140, 40)
    assert given.dropped == ()


def test_frames_belong_to_images_and_one_serves_all():
    images = IMAGE.expand(3, -1, -1, -1)
    each = faces_from_landmarks(value([], [mesh()], []), images)
    assert [len(given.faces) for given in each] == [0, 1, 0]
    assert [len(given.faces) for given in faces_from_landmarks(value([mesh()]), images)] == [
        1,
        1,
        1,
    ]
    with pytest.raises(ValueError, match="for 2 images but image holds 3"):
        faces_from_landmarks(value([], []), images)


def test_a_face_that_cannot_be_used_is_dropped_with_a_reason():
    short = {**mesh(), "landmarks_xy": np.zeros((468, 2))}
    nothing = mesh()
    nothing["landmarks_xy"][473] = np.nan
    (given,) = faces_from_landmarks(
        value([mesh(x=-300.0), short, nothing, {"score": 1}, mesh()]), IMAGE
    )
    assert len(given.faces) == 1
    assert given.dropped == (
        "face 1 lies outside the image",
        "face 2 has 468 landmarks, 474 or more are needed",
        "face 3 has landmarks that are no numbers",
        "face 4 has no landmarks_xy and bbox_xyxy",
    )


@pytest.mark.parametrize(
    "wrong", [None, [], {"frames": []}, {"frames": 3, "image_size": (1, 2)}, 7]
)
def test_what_is_no_face_landmarks_is_refused(wrong):
    with pytest.raises(ValueError, match="connect the FACE_LANDMARKS"):
        faces_from_landmarks(wrong, IMAGE)


def test_landmarks_of_another_image_are_refused():
    with pytest.raises(ValueError, match="images of 100x200 but image is 200x100"):
        faces_from_landmarks(value([mesh()], size=(200, 100)), IMAGE)


def box(x, y, width, height, **more):
    return {"x": x, "y": y, "width": width, "height": height, "label": "face", **more}


def test_boxes_that_show_nothing_are_dropped_or_stay_boxes(networks):
    given = detect_in_boxes(
        IMAGE,
        [
            [
                box(250, 10, 20, 20),
                box(10, 10, 0, 5),
                {"x": 1},
                box(float("nan"), 0, 5, 5),
                3,
                box(150.0, 60.0, 40.0, 40.0, score=0.5),
                box(-10, -10, 500, 500),
            ]
        ],
        networks,
    )[0]
    assert [face.box for face in given.faces] == [(150, 60, 190, 100), (-10, -10, 490, 490)]
    assert [face.landmarks for face in given.faces] == [None, None]
    assert [face.score for face in given.faces] == [0.5, 1.0]
    assert given.dropped == (
        "box 1 at (250, 10), 20x20, lies outside the image (200x100)",
        "box 2 is 0x5 pixels, which is empty",
        "box 3 is of type dict, not x, y, width and height",
        "box 4 holds values that are no numbers",
        "box 5 is of type int, not x, y, width and height",
    )


@pytest.mark.parametrize(
    ("boxes", "counts"),
    [
        (box(0, 0, 20, 20), [1, 1]),
        ([box(0, 0, 20, 20), box(5, 5, 20, 20)], [2, 2]),
        ([[box(0, 0, 20, 20)], []], [1, 0]),
        ([], [0, 0]),
        ([[]], [0, 0]),
    ],
)
def test_boxes_come_as_one_as_a_list_or_as_a_list_for_each_image(networks, boxes, counts):
    given = detect_in_boxes(torch.zeros(2, 40, 40, 3), boxes, networks)
    assert [len(some.faces) for some in given] == counts


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (None, "boxes are nothing"),
        ([[], [], []], "boxes are for 3 images but image holds 1"),
        ([[], 3], "neither a list for each image"),
    ],
)
def test_what_is_no_list_of_boxes_is_refused(networks, boxes, message):
    with pytest.raises(ValueError, match=message):
        detect_in_boxes(IMAGE, boxes, networks)


def test_a_face_is_found_in_its_box_and_in_a_tight_or_shifted_one(networks, astronaut):
    boxes = [box(178, 60, 90, 115), box(200, 95, 50, 50), box(150, 40, 90, 115)]
    given = detect_in_boxes(astronaut, [boxes], networks)[0]
    eyes = np.array([face.landmarks[:2] for face in given.faces])
    assert np.abs(eyes - np.array(((204.4, 100.9), (246.9, 103.3)))).max() < 1.5
    assert min(face.score for face in given.faces) > 0.95


def test_a_yunet_file_that_is_missing_or_wrong_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"^gone\.onnx cannot be read"):
        YuNet(tmp_path / "gone.onnx")
    (tmp_path / "page.onnx").write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"^page\.onnx is not a YuNet face detector"):
        YuNet(tmp_path / "page.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^empty\.onnx is not a YuNet face detector"):
        YuNet(tmp_path / "empty.onnx")
