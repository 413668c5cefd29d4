"""Finding text: the geometry on known maps, and PP-OCR's networks where a package has them."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from cleanplate.defects import text_models
from cleanplate.defects.text import (
    area,
    detect_text,
    in_zone,
    raise_contrast,
    spans,
)
from cleanplate.defects.text_models import (
    TextModels,
    boxes_from_map,
    clockwise,
    decode,
    find_text_models,
    load_text_models,
)
from cleanplate.geometry import Box, Size


@pytest.fixture(scope="session")
def models():
    try:
        return load_text_models()
    except ValueError as error:
        pytest.skip(str(error))


class Known:
    """Stands for a network: answers with what it is given."""

    def __init__(self, answer, characters=""):
        self.answer, self.metadata = answer, {"character": characters}

    def run(self, values):
        return [self.answer(values)]


def reader(text="word", sure=0.9, characters="word"):
    """Reads the same everywhere."""
    columns = np.zeros((2 * len(text), len(characters) + 2), np.float32)
    columns[1::2, 0] = 1
    for i, letter in enumerate(text):
        columns[2 * i, characters.index(letter) + 1] = sure
    return Known(lambda values: columns[None], "\n".join(characters))


def seer(limit=0.9):
    """Takes for text what is white."""
    return Known(lambda values: (values.mean(1, keepdims=True) > limit).astype(np.float32))


def picture(*boxes, size=(736, 736)):
    image = torch.zeros(*size, 3)
    for box in boxes:
        image[box.rows, box.columns] = 1
    return image


def found(image, read=None, **settings):
    return detect_text(
        image, TextModels(seer(), [read or reader()] * 2), contrast=False, **settings
    )


def bar(angle, length=200, height=20):
    y, x = np.mgrid[:300, :300] - 150.0
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    inside = (abs(along) <= length / 2) & (abs(across) <= height / 2)
    return (inside * 0.8).astype(np.float32)


@pytest.mark.parametrize("angle", [-60, -30, -5, 0, 10, 44, 80])
def test_a_map_becomes_a_box_grown_by_its_area_over_its_perimeter(angle):
    (box,) = boxes_from_map(bar(angle))
    more = 1.6 * 200 * 20 / 220
    sides = np.linalg.norm(np.roll(box.corners, -1, axis=0) - box.corners, axis=1)
    # Steeper than half a right angle, a line is a column: its upper side is the short one.
    lengths = [200 + more, 20 + more] if abs(angle) < 45 else [20 + more, 200 + more]
    assert sides == pytest.approx(lengths * 2, abs=4)
    assert box.corners.mean(0) == pytest.approx((150.5, 150.5), abs=1)
    along = box.corners[1] - box.corners[0]
    tilt = np.degrees(np.arctan2(along[1], along[0]))
    assert tilt == pytest.approx(angle if abs(angle) < 45 else angle - 90 * np.sign(angle), abs=1)
    assert 0.68 < box.score <= 0.8


def test_faint_and_tiny_parts_of_a_map_are_no_text():
    likely = np.zeros((100, 100), np.float32)
    likely[10:20, 10:80] = 0.4
    likely[50, 10:80] = 0.9
    assert boxes_from_map(likely) == []


def test_of_a_thousand_boxes_the_likeliest_stay():
    likely = np.zeros((400, 800), np.float32)
    for i in range(1000):
        y, x = i // 50 * 16 + 2, i % 50 * 16 + 2
        likely[y : y + 6, x : x + 8] = 0.6 + 0.3 * i / 1000
    boxes = boxes_from_map(likely)
    assert len(boxes) == 500
    # They lie in the lower half.
    assert min(box.corners[:, 1].mean() for box in boxes) > 160


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("turn", [1, -1])
def test_corners_are_put_in_order_however_they_come(start, turn):
    wanted = np.array([(0, 0), (10, 1), (9, 5), (-1, 4)], np.float32)
    given = np.roll(wanted[::turn], start, axis=0)
    assert np.array_equal(clockwise(given), wanted)


def test_repeated_and_empty_columns_make_one_letter():
    rows = [(0, 9, 0, 0), (0, 9, 0, 0), (9, 0, 0, 0), (0, 9, 0, 0), (0, 0, 0, 9), (0, 0, 9, 0)]
    probabilities = np.array(rows, np.float32) / 10
    assert decode(probabilities, ["a", "b"]) == ("aa b", pytest.approx(0.9))
    assert decode(np.array([[1, 0, 0, 0]], np.float32), ["a", "b"]) == ("", 0)
    assert decode(np.array([[0, 0, 0, 0, 1]], np.float32), ["a", "b"])[0] == "?"


@pytest.mark.parametrize("length", [1, 799, 800, 801, 1504, 1505, 2048, 5000])
def test_tiles_cover_a_length_and_share_some(length):
    parts = spans(length, 800)
    assert parts[0][0] == 0
    assert parts[-1][1] == length
    assert all(end - start <= 800 for start, end in parts)
    assert all(one[1] - other[0] >= 95 for one, other in pairwise(parts))


ZONES = [
    ((50, 50), {"anywhere"}),
    ((25, 87), {"anywhere", "corners", "border"}),
    ((5, 50), {"anywhere", "border"}),
    ((50, 10), {"anywhere", "border"}),
    ((28, 82), {"anywhere", "corners"}),
    ((72, 19), {"anywhere", "corners"}),
]


@pytest.mark.parametrize(("middle", "zones"), ZONES)
def test_zones(middle, zones):
    corners = np.array(middle) * (2, 1) + np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    seen = {
        zone for zone in ("anywhere", "corners", "border") if in_zone(corners, Size(200, 100), zone)
    }
    assert seen == zones


def test_a_line_is_a_defect_where_it_is():
    bar = Box(300, 360, 120, 16)
    (defect,) = found(picture(bar))
    grown = 0.8 * 120 * 16 / 136
    edges = (bar.x - grown, bar.y - grown, bar.right + grown, bar.bottom + grown)
    box = defect.box
    assert (box.x, box.y, box.right, box.bottom) == pytest.approx(edges, abs=2.5)
    assert (defect.kind, defect.source) == ("text", "text")
    assert defect.score == pytest.approx(0.9)
    assert defect.severity == pytest.approx(0.2 + 0.4 * 0.6 / 0.7)
    assert defect.mask.shape == (box.height, box.width)
    assert defect.mask.mean() > 0.9
    assert "text 'word' was read with confidence 0.90" in defect.reason


def test_what_cannot_be_read_is_dropped():
    image = picture(Box(300, 360, 120, 16))
    assert found(image, reader(sure=0.7)) == []
    assert len(found(image, reader(sure=0.7), readable=0.6)) == 1
    # One letter, or nothing but dots, is texture.
    assert found(image, reader("w")) == []
    assert found(image, reader(".-.", characters=".-")) == []


@pytest.mark.parametrize(
    ("box", "text", "kind"),
    [
        (Box(300, 360, 120, 16), "word", "text"),
        (Box(580, 700, 120, 16), "word", "signature"),
        (Box(20, 700, 120, 16), "word", "signature"),
        (Box(580, 20, 120, 16), "word", "text"),
        (Box(580, 700, 120, 16), "©word", "watermark"),
        (Box(300, 360, 120, 16), "www.row.com", "watermark"),
    ],
)
def test_kinds_by_place_and_words(box, text, kind):
    characters = "".join(sorted(set(text)))
    assert [d.kind for d in found(picture(box), reader(text, characters=characters))] == [kind]


def test_what_is_repeated_or_tilted_is_a_watermark():
    image = picture(*(Box(100, 100 + 150 * i, 120, 16) for i in range(3)))
    assert [d.kind for d in found(image)] == ["watermark"] * 3
    tilted = torch.from_numpy(np.pad(bar(30), 218) > 0)[..., None].float().expand(-1, -1, 3)
    (defect,) = found(tilted)
    assert defect.kind == "watermark"
    # Of the box around it only the line itself is painted.
    assert defect.mask.mean() < 0.45


def test_a_box_larger_than_a_quarter_of_the_image_is_dropped():
    image = picture(Box(100, 100, 400, 400))
    assert found(image) == []
    assert len(found(image, most_area=1.0)) == 1


@pytest.mark.parametrize("zone", ["corners", "border"])
def test_a_zone_leaves_out_the_rest(zone):
    image = picture(Box(300, 360, 120, 16), Box(20, 700, 120, 16))
    assert [d.box.y > 600 for d in found(image, zone=zone)] == [True]


@pytest.mark.parametrize("size", [(1200, 1000), (400, 300), (64, 64), (200, 3000), (1700, 1400)])
def test_images_of_any_size(size):
    height, width = size
    line = Box(width // 2, height - height // 5, width // 3, max(8, height // 40))
    defects = found(picture(line, size=size))
    assert defects
    assert all(d.box.intersect(Box(0, 0, width, height)) == d.box for d in defects)
    inside = [d.box.intersect(line).size.area for d in defects]
    assert sum(inside) >= 0.95 * line.size.area


@pytest.mark.parametrize(
    "settings",
    [{"zone": "middle"}, {"readable": 2}, {"most_area": 0}, {"max_side": 10}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=r"choose one of|give"):
        found(picture(), **settings)


def test_contrast_is_raised_where_it_is_low_and_nothing_is_lost():
    image = np.random.default_rng(0).integers(95, 106, (128, 128, 1), np.uint8).repeat(3, axis=2)
    raised = raise_contrast(image)
    assert raised.shape == image.shape
    assert raised.std() > 1.5 * image.std()
    # Lighter pixels stay lighter than their neighbours.
    assert np.corrcoef(image.reshape(-1), raised.reshape(-1))[0, 1] > 0.9


def test_area_of_a_tilted_box():
    (box,) = boxes_from_map(bar(30))
    assert area(box.corners) == pytest.approx((200 + 29) * (20 + 29), rel=0.1)


def test_no_package_is_one_clear_sentence(monkeypatch):
    monkeypatch.setattr(text_models, "_PACKAGES", ("no_such_package",))
    with pytest.raises(ValueError, match="pip install --no-deps rapidocr"):
        find_text_models()


def test_a_package_that_opencv_cannot_read_is_one_clear_sentence(monkeypatch, tmp_path):
    path = tmp_path / "any_rec_.onnx"
    path.write_bytes(b"no network")
    monkeypatch.setattr(text_models, "find_text_models", lambda: [(path, path)])
    with pytest.raises(ValueError, match=r"OpenCV .* cannot read .*: install"):
        load_text_models()
    # A file that somebody chose has its own sentence.
    with pytest.raises(ValueError, match=r"any_rec_\.onnx is not an ONNX file"):
        load_text_models((path, path))


@pytest.mark.parametrize(("length", "room"), [(100, 320), (300, 320), (301, 960), (1500, 960)])
def test_a_line_is_read_by_the_network_that_has_room_for_it(length, room):
    seen = []

    def answer(values):
        seen.append(values.shape)
        return np.zeros((1, 5, 6), np.float32)

    models = TextModels(seer(), [Known(answer)] * 2)
    corners = np.array([(5, 5), (5 + length, 5), (5 + length, 50), (5, 50)], np.float32)
    assert models.read(np.zeros((60, 1600, 3), np.uint8), corners) == ("", 0)
    assert seen == [(1, 3, 48, room)]


def test_the_package_is_not_imported(models):
    import sys

    assert not {"rapidocr", "rapidocr_onnxruntime", "onnxruntime"} & set(sys.modules)


@cache
def with_text(words, height, opacity=1.0):
    """A photo-like picture with words in its lower right corner."""
    draw = pytest.importorskip("PIL.ImageDraw", reason="draws text with Pillow")
    from PIL import Image, ImageFont

    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, 9, 9, generator=generator) * 0.5 + 0.2
    image = torch.nn.functional.interpolate(coarse, (480, 480), mode="bicubic")[0].movedim(0, -1)
    image += 0.02 * torch.randn(480, 480, 3, generator=generator)
    layer = Image.new("L", (480, 480))
    font = ImageFont.load_default(height)
    right, bottom = font.getbbox(words)[2:]
    place = (470 - right, 470 - bottom)
    draw.Draw(layer).text(place, words, font=font, fill=255)
    glyphs = torch.from_numpy(np.asarray(layer) / 255).float()[..., None] * opacity
    return (image * (1 - glyphs) + glyphs).clamp(0, 1), glyphs[..., 0] > opacity / 2


@pytest.mark.parametrize("height", [12, 20])
def test_real_networks_find_and_read_a_line_in_a_corner(models, height):
    image, letters = with_text("Jane Doe 2024", height)
    (defect,) = detect_text(image, models, zone="corners", contrast=False)
    assert (defect.kind, defect.score > 0.8) == ("signature", True)
    assert "Jane Doe 2024" in defect.reason
    painted = torch.zeros(480, 480)
    painted[defect.box.rows, defect.box.columns] = defect.mask
    assert painted[letters].mean() > 0.95
    assert painted.sum() < 9 * letters.sum()


def test_real_networks_find_none_where_there_is_none(models):
    image, _ = with_text(" ", 20)
    assert detect_text(image, models) == []
