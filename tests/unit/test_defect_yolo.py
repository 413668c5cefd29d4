"""Detectors of the YOLO kind, on networks written byte by byte whose answers are known."""

import struct

import numpy as np
import pytest
import torch
from standins.yolo import field, network, v8

from cleanplate.defects.onnx_file import OnnxFile, described, read_onnx
from cleanplate.defects.yolo import Yolo, detect_with_yolo, letterbox, load_yolo, parse_classes
from cleanplate.geometry import Box


@pytest.fixture
def detector(tmp_path):
    def made(*outputs, names=None):
        path = tmp_path / "known.onnx"
        path.write_bytes(network(*outputs, names=names))
        return load_yolo(path)

    return made


NAMES = "{0: 'face', 1: 'hand'}"
# Of an input of 64x64: centre, width, height; scores of two classes.
ROWS = [
    (20.0, 30.0, 10.0, 20.0, 0.0, 0.75),
    (21.0, 30.0, 10.0, 20.0, 0.0, 0.5),
    (20.0, 30.0, 10.0, 20.0, 0.5, 0.0),
    (50.0, 50.0, 8.0, 8.0, 0.25, 0.0),
]


def v5(rows, count=20):
    """``[1, N, 5 + classes]``: here half of each score is that anything is there."""
    table = np.zeros((count, len(rows[0]) + 1), np.float32)
    for i, row in enumerate(rows):
        table[i] = (*row[:4], 0.5, *(2 * score for score in row[4:]))
    return table[None]


def end_to_end(rows, count=300):
    """``[1, N, 6]``: corners, score, class."""
    table = np.zeros((count, 6), np.float32)
    for i, (x, y, w, h, *scores) in enumerate(rows):
        table[i] = (x - w / 2, y - h / 2, x + w / 2, y + h / 2, max(scores), np.argmax(scores))
    return table[None]


# The picture is 128 wide and 64 high: shown at half its size, 16 rows of grey above and below.
IMAGE = torch.rand(64, 128, 3, generator=torch.Generator().manual_seed(0))
KINDS = {"face": "bad_face", "hand": "hand"}
HAND = FACE = Box(30, 8, 20, 40)


def places(found):
    return [(d.kind, round(d.score, 3), d.box) for d in found.defects]


@pytest.mark.parametrize("layout", [v8, v5])
@pytest.mark.parametrize("names", [NAMES, None])
def test_boxes_of_the_known_layouts(detector, layout, names):
    kinds = KINDS if names else {"0": "bad_face", "1": "hand"}
    found = detect_with_yolo(IMAGE, detector(layout(ROWS), names=names), kinds)
    # The second hand overlaps the first; a face in the same place does not count as one.
    # Severity: a bad face is worse than a hand to look at. A score of 0.25 is below 0.3.
    assert places(found) == [("bad_face", 0.5, FACE), ("hand", 0.75, HAND)]
    assert found.notes == ()
    assert all(defect.source == "yolo" for defect in found.defects)


def test_boxes_of_a_network_that_suppresses_by_itself(detector):
    found = detect_with_yolo(IMAGE, detector(end_to_end(ROWS[::2]), names=NAMES), KINDS)
    assert places(found) == [("bad_face", 0.5, FACE), ("hand", 0.75, HAND)]


def test_one_class_of_yolov5_is_not_taken_for_suppressed_boxes(detector):
    rows = [(20.0, 30.0, 10.0, 20.0, 0.45)]
    found = detect_with_yolo(IMAGE, detector(v5(rows), names="['hand']"), {})
    assert places(found) == [("hand", 0.45, HAND)]


def test_masks_lie_where_the_prototypes_say(detector):
    prototypes = np.full((1, 32, 16, 16), -1.0, np.float32)
    # Columns 4 and up of 16 are 16 and up of the input's 64, and 32 and up of the image's 128.
    prototypes[:, 0, :, 4:] = 1
    rows = [(*ROWS[0], 1.0, *(0.0,) * 31)]
    found = detect_with_yolo(IMAGE, detector(v8(rows, 60), prototypes, names=NAMES), KINDS)
    (defect,) = found.defects
    assert defect.box == HAND
    assert defect.mask.shape == (40, 20)
    expected = torch.zeros(40, 20)
    expected[:, 2:] = 1
    assert torch.equal(defect.mask, expected)


def test_a_hand_is_only_to_be_looked_at(detector):
    (defect,) = detect_with_yolo(IMAGE, detector(v8(ROWS[:1]), names=NAMES), KINDS).defects
    assert "please check it: fingers are not counted" in defect.reason


def test_limits_of_score_and_area(detector):
    loaded = detector(v8(ROWS), names=NAMES)
    share = 20 * 40 / (64 * 128)

    def kinds(**settings):
        return [d.kind for d in detect_with_yolo(IMAGE, loaded, KINDS, **settings).defects]

    assert kinds(confidence=0.6) == ["hand"]
    assert kinds(confidence=0.2) == ["bad_face", "bad_face", "hand"]
    assert kinds(confidence=0.2, least_area=share) == ["bad_face", "hand"]
    assert kinds(confidence=0.2, most_area=0.99 * share) == ["bad_face"]
    assert len(kinds(overlap=1.0)) == 3
    assert kinds(most=1) == ["bad_face"]


def test_classes_go_to_kinds_by_name_by_number_and_by_a_star(detector):
    loaded = detector(v8(ROWS), names=NAMES)

    def kinds(text):
        found = detect_with_yolo(IMAGE, loaded, parse_classes(text))
        return sorted(d.kind for d in found.defects), found.notes

    # A class that is called as a kind needs no line.
    assert kinds("") == (["hand"], ("found but mapped to no kind: face",))
    assert kinds("FACE = small_face")[0] == ["hand", "small_face"]
    assert kinds("0 = logo # a remark\n\n * = spot\n") == (["hand", "logo"], ())
    assert kinds("*=spot\nhand=extra_fingers") == (["extra_fingers", "spot"], ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hand: hand", "line 1 of the classes is 'hand: hand': write class = kind"),
        ("\nhand =", "line 2 of the classes is 'hand =': write class = kind"),
        ("hand = paw", "'hand' is mapped to the kind 'paw', which does not exist"),
    ],
)
def test_a_mapping_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_classes(text)


def test_a_class_that_the_network_does_not_know_is_refused(detector):
    loaded = detector(v8(ROWS), names=NAMES)
    with pytest.raises(ValueError, match="has no class 'paw': choose one of face, hand"):
        detect_with_yolo(IMAGE, loaded, {"paw": "hand"})


@pytest.mark.parametrize(
    "outputs",
    [
        (np.zeros((1, 9, 20), np.float32),),
        (np.zeros((1, 1000), np.float32),),
        (np.zeros((1, 3, 16, 16), np.float32),),
        (np.zeros((1, 10, 4), np.float32), np.zeros((1, 10, 2), np.float32)),
    ],
)
def test_other_outputs_are_refused_with_those_that_are_read(detector, outputs):
    loaded = detector(*outputs, names=NAMES)
    with pytest.raises(ValueError, match=r"known\.onnx gives \[1, .*YOLOv8 and YOLO11.* are"):
        detect_with_yolo(IMAGE, loaded, KINDS)


@pytest.mark.parametrize(
    "settings",
    [{"confidence": 2}, {"overlap": -1}, {"least_area": 0.5, "most_area": 0.1}, {"most": 0}],
)
def test_settings_out_of_range_are_refused(detector, settings):
    with pytest.raises(ValueError, match="give"):
        detect_with_yolo(IMAGE, detector(v8(ROWS), names=NAMES), KINDS, **settings)


@pytest.mark.parametrize("name", ["hand_yolov8n.pt", "a.safetensors", "a.engine"])
def test_what_is_no_onnx_is_refused_unread_with_how_to_export(tmp_path, name):
    # The file does not even exist.
    with pytest.raises(ValueError, match=f"yolo export model={name} format=onnx") as caught:
        load_yolo(tmp_path / name)
    assert f"{name.split('.')[0]}.onnx" in str(caught.value)


def test_a_file_that_is_missing_damaged_or_something_else_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"none\.onnx cannot be read: No such file"):
        load_yolo(tmp_path / "none.onnx")
    whole = network(v8(ROWS), names=NAMES)
    path = tmp_path / "bad.onnx"
    for content in (b"", b"PK\x03\x04 a zip", whole[: len(whole) // 2], b"<html>"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.onnx is not an ONNX file, or is not complete"):
            load_yolo(path)


def test_a_network_that_opencv_cannot_read_is_refused(tmp_path):
    path = tmp_path / "odd.onnx"
    whole = network(v8(ROWS)).replace(b"GlobalAveragePool", b"GlobalAveragePuul")
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"odd\.onnx (is not a network that|cannot be run by)"):
        detect_with_yolo(IMAGE, load_yolo(path), {})


def test_what_a_file_says_about_itself(tmp_path):
    path = tmp_path / "größe.onnx"
    path.write_bytes(network(v8(ROWS), names=NAMES, side=96))
    file = read_onnx(path)
    assert (file.name, file.input_shape) == ("größe.onnx", (1, 3, 96, 96))
    assert file.metadata == {"names": NAMES}
    path.write_bytes(network(v8(ROWS), names="__import__('os')"))
    assert load_yolo(path).names == {}


def test_an_open_size_can_be_fixed(tmp_path):
    path = tmp_path / "open.onnx"
    whole = network(v8(ROWS), names=NAMES, side="height")
    assert described(whole)[0] == (1, 3, None, None)
    path.write_bytes(whole)
    file = read_onnx(path, (1, 3, 32, 48))
    assert (file.input_shape, file.metadata) == ((1, 3, 32, 48), {"names": NAMES})
    (output,) = file.run(np.zeros((1, 3, 32, 48), np.float32))
    assert np.allclose(output, v8(ROWS))
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="is not an ONNX file"):
        read_onnx(path, (1, 3, 32, 48))


@pytest.mark.parametrize(
    ("shape", "noted", "side"),
    [
        ((1, 3, 96, 128), "[320, 416]", (128, 96)),
        ((None, 3, None, None), "[320, 416]", (416, 320)),
        ((1, 3, None, None), "", (640, 640)),
        ((), "what", (640, 640)),
    ],
)
def test_the_size_of_the_input(shape, noted, side):
    assert Yolo(OnnxFile("any.onnx", shape, {"imgsz": noted}, None), {}).side == side


@pytest.mark.parametrize("size", [(64, 128), (128, 64), (64, 64), (7, 300), (33, 31)])
def test_a_letterbox_is_undone(size):
    pixels = np.full((*size, 3), 255, np.uint8)
    values, frame = letterbox(pixels, (96, 64))
    assert values.shape == (1, 3, 64, 96)
    rows, columns = np.nonzero(values[0, 0] == 1)
    shown = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    back = frame.back(np.array(shown, np.float32))
    assert back == pytest.approx((0, 0, size[1], size[0]), abs=0.51 / frame.scale)


def test_bytes_are_written_as_protocol_buffers():
    assert field(1, 300) == struct.pack("3B", 8, 0xAC, 2)
