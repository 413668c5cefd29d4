import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from cleanplate.geometry import Size
from cleanplate.upscale.files import FORMATS, TiffWriter, saved, suffix

SHAPE = (150, 131)


def picture(channels, height=SHAPE[0], width=SHAPE[1]):
    generator = torch.Generator().manual_seed(channels)
    slope = torch.linspace(0, 1, width).expand(height, width)[..., None]
    return (slope + torch.rand(height, width, channels, generator=generator) / 50).clamp(0, 1)


def write(path, image, form, texts=None, step=37):
    size = Size(image.shape[1], image.shape[0])
    with saved(path, size, image.shape[2], form, texts) as writer:
        for top in range(0, len(image), step):
            writer.write(image[top : top + step])


def read(path):
    """Pillow for 8 bits; OpenCV for 16, of which Pillow keeps only 8."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels.dtype == np.uint8:
        with Image.open(path) as found:
            return np.asarray(found)
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(pixels, order)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_is_read_back(tmp_path, form, channels):
    image = picture(channels)
    path = tmp_path / f"picture{suffix(form)}"
    write(path, image, form)
    most = 65535 if "16" in form else 255
    expected = (image.double() * most + 0.5).floor().clamp(0, most).numpy()
    found = read(path)
    assert found.dtype == (np.uint16 if most > 255 else np.uint8)
    # Half way between two values float32 may go either way.
    off = np.abs(found.astype(float) - expected)
    assert off.max() <= 1
    assert off.mean() < (0.02 if most > 255 else 0.001)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("height", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("form", FORMATS)
def test_any_number_of_rows(tmp_path, form, height):
    image = picture(3, height, 5)
    path = tmp_path / f"p{suffix(form)}"
    write(path, image, form, step=3)
    assert read(path).shape == (height, 5, 3)


def test_a_bigtiff(tmp_path):
    image = picture(3)
    with (tmp_path / "p.tiff").open("w+b") as file:
        writer = TiffWriter(file, Size(SHAPE[1], SHAPE[0]), 3, 8, big=True)
        writer.write(image)
        writer.finish()
    assert (tmp_path / "p.tiff").read_bytes()[2] == 43
    with Image.open(tmp_path / "p.tiff") as found:
        assert np.array_equal(np.asarray(found), (image * 255 + 0.5).byte().numpy())


def test_a_png_carries_texts_and_sound_chunks(tmp_path):
    path = tmp_path / "p.png"
    write(path, picture(3), FORMATS[0], {"prompt": '{"a": 1}', "note": "객체 제거"})
    with Image.open(path) as found:
        assert found.text == {"prompt": '{"a": 1}', "note": "객체 제거"}
    data, at = path.read_bytes(), 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(body)
        at += 12 + length


def test_what_ends_early_leaves_nothing(tmp_path):
    path = tmp_path / "p.png"
    path.write_bytes(b"as it was")

    def cancelled():
        with saved(path, Size(10, 10), 3, FORMATS[0]) as writer:
            writer.write(torch.zeros(5, 10, 3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cancelled()
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]
    assert path.read_bytes() == b"as it was"


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TiffWriter, "write", full)
    with pytest.raises(OSError, match=r"p\.tiff could not be written .*No space left"):
        write(tmp_path / "p.tiff", picture(3), "TIFF 8 bit")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(OSError, match=r"p\.png could not be written"):
        write(tmp_path / "missing" / "p.png", picture(3), FORMATS[0])


def test_another_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="format is 'JPEG'"):
        write(tmp_path / "p.jpg", picture(3), "JPEG")
