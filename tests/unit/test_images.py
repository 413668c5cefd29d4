"""Files in, files out: the same pixels, upright, whole or not at all."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from cleanplate import files, images

RANDOM = np.random.default_rng(0)


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_eight_bits_survive_reading_and_writing(tmp_path, suffix, channels):
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(channels, 2)
    source = save(tmp_path / f"a{suffix}", np.concatenate([every, pixels(16, 16, channels)]))
    picture = images.read_image(source)
    copy = images.write_image(tmp_path / f"b{suffix}", picture.image, alpha=picture.alpha)
    assert picture.image.shape == (1, 32, 16, 3) and picture.bits == 8
    assert (picture.alpha is None) == (channels == 3)
    assert np.array_equal(np.asarray(Image.open(source)), np.asarray(Image.open(copy)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_survive_reading_and_writing(tmp_path, suffix, channels):
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(channels, 2)
    source = tmp_path / f"a{suffix}"
    source.write_bytes(cv2.imencode(suffix, every)[1].tobytes())
    picture = images.read_image(source)
    assert picture.bits == 16 and picture.image.shape == (1, 256, 256, 3)
    copy = images.write_image(tmp_path / f"b{suffix}", picture.image, alpha=picture.alpha, bits=16)
    found = cv2.imread(str(copy), cv2.IMREAD_UNCHANGED)
    assert found.dtype == np.uint16
    assert np.array_equal(found, every if channels > 1 else every.repeat(3, 2))


def test_a_sixteen_bit_picture_can_be_written_with_eight(tmp_path):
    image = torch.tensor([0.0, 0.5 / 255 - 1e-4, 0.5 / 255 + 1e-4, 1.0, 2.0, -1.0])
    path = images.write_image(tmp_path / "a.png", image.reshape(1, 6, 1).expand(1, 6, 3))
    assert np.asarray(Image.open(path))[0, :, 0].tolist() == [0, 0, 1, 255, 255, 0]


MODES = {
    "1": (np.array([[0, 255]]), [[0, 0, 0], [255, 255, 255]], None),
    "L": (np.array([[0, 77]]), [[0, 0, 0], [77, 77, 77]], None),
    "LA": (np.array([[[9, 40], [8, 255]]]), [[9, 9, 9], [8, 8, 8]], [40, 255]),
    "P": (np.array([[[1, 2, 3], [200, 100, 50]]]), [[1, 2, 3], [200, 100, 50]], None),
    "RGBA": (np.array([[[1, 2, 3, 0], [4, 5, 6, 7]]]), [[1, 2, 3], [4, 5, 6]], [0, 7]),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_png_becomes_rgb_and_keeps_its_alpha(tmp_path, mode):
    values, colours, alpha = MODES[mode]
    made = Image.fromarray(values.astype(np.uint8))
    made = made.quantize(2) if mode == "P" else made.convert(mode)
    made.save(tmp_path / "a.png")
    picture = images.read_image(tmp_path / "a.png")
    assert (picture.image * 255).round()[0, 0].tolist() == colours
    assert (None if picture.alpha is None else (picture.alpha * 255).round()[0, 0].tolist()) == (
        alpha
    )


def test_a_palette_with_a_transparent_colour(tmp_path):
    made = Image.fromarray(np.array([[[1, 2, 3], [200, 100, 50]]], np.uint8)).quantize(2)
    made.save(tmp_path / "a.png", transparency=made.getpixel((1, 0)))
    assert images.read_image(tmp_path / "a.png").alpha.tolist() == [[[1.0, 0.0]]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "png16", "tif", "tif16"])
def test_the_cameras_orientation_is_applied(tmp_path, orientation, kind):
    flat = np.zeros((16, 32, 3), np.uint8)
    flat[:8, :8] = 255  # a white corner says how it was turned
    path = tmp_path / f"a.{kind[:3]}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(flat)
    stored.save(path, exif=exif.tobytes() if kind != "tif" else exif)
    if kind == "png16":
        deep = cv2.imencode(".png", flat.astype(np.uint16) * 257)[1].tobytes()
        body = exif.tobytes()[6:]
        chunk = b"eXIf" + body
        chunk = len(body).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
        path.write_bytes(deep[:33] + chunk + deep[33:])
    elif kind == "tif16":
        tifffile = pytest.importorskip("tifffile")
        tags = [(0x0112, "H", 1, orientation, True)]
        tifffile.imwrite(path, flat.astype(np.uint16) * 257, photometric="rgb", extratags=tags)
    picture = images.read_image(path)
    height, width = (32, 16) if orientation > 4 else (16, 32)
    assert picture.image.shape == (1, height, width, 3)
    assert picture.bits == (16 if kind.endswith("16") else 8)
    turned = [(0, 0), (0, -1), (-1, -1), (-1, 0)]  # The same four for 5 to 8, which transpose.
    corners = {(y, x): picture.image[0, y, x, 0] > 0.9 for y in (0, -1) for x in (0, -1)}
    assert [corner for corner, white in corners.items() if white] == [turned[(orientation - 1) % 4]]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_colour_profile_is_kept(tmp_path, suffix, bits):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = save(tmp_path / "a.png", pixels(4, 4, 3), icc_profile=profile)
    picture = images.read_image(source)
    copy = images.write_image(
        tmp_path / f"b{suffix}", picture.image, bits=bits, profile=picture.profile
    )
    assert Image.open(copy).info["icc_profile"] == profile
    assert images.read_image(copy).profile == profile


MASKS = {
    "white on black": (lambda m: m, "L"),
    "white on black, RGB": (lambda m: np.stack([m] * 3, 2), "RGB"),
    "opaque RGBA": (lambda m: np.stack([m, m, m, np.full_like(m, 255)], 2), "RGBA"),
    "white strokes on an empty layer": (
        lambda m: np.stack([np.full_like(m, 255)] * 3 + [m], 2), "RGBA"),
    "red strokes on an empty black layer": (
        lambda m: np.stack([m // 255 * 200, m * 0, m * 0, m], 2), "RGBA"),
    "white strokes, LA": (lambda m: np.stack([np.full_like(m, 255), m], 2), "LA"),
    "a photo with a hole (ComfyUI's mask editor)": (
        lambda m: np.concatenate([pixels(*m.shape, 3), 255 - m[..., None]], 2), "RGBA"),
    "a black layer with a hole": (lambda m: np.stack([m * 0, m * 0, m * 0, 255 - m], 2), "RGBA"),
}  # fmt: skip


@pytest.mark.parametrize("habit", MASKS)
def test_masks_are_read_the_way_they_were_meant(tmp_path, habit):
    make, mode = MASKS[habit]
    meant = np.zeros((12, 20), np.uint8)
    meant[3:7, 5:11] = 255
    save(tmp_path / "m.png", make(meant))
    assert Image.open(tmp_path / "m.png").mode == mode
    mask = images.read_mask(tmp_path / "m.png")
    assert mask.dtype == torch.float32 and mask.shape == (1, 12, 20)
    assert np.array_equal(mask[0].numpy() * 255, meant)


def test_black_and_white_with_the_rest_transparent(tmp_path):
    drawn = np.zeros((12, 20, 4), np.uint8)
    drawn[:, :10, 3] = 255
    drawn[3:7, 5:8, :3] = 255
    save(tmp_path / "m.png", drawn)
    assert images.read_mask(tmp_path / "m.png").sum() == 12


def test_soft_masks_stay_soft_and_sixteen_bit_masks_are_read(tmp_path):
    save(tmp_path / "a.png", np.array([[0, 51, 102, 255]], np.uint8))
    assert images.read_mask(tmp_path / "a.png").tolist()[0][0] == pytest.approx([0, 0.2, 0.4, 1])
    save(tmp_path / "b.png", np.array([[0, 13107, 65535]], np.uint16))
    assert images.read_mask(tmp_path / "b.png").tolist()[0][0] == pytest.approx([0, 0.2, 1])


def test_a_jpeg_refuses_real_transparency_only(tmp_path):
    image, alpha = torch.rand(1, 4, 4, 3), torch.ones(1, 4, 4)
    images.write_image(tmp_path / "a.jpg", image, alpha=alpha)
    alpha[0, 0, 0] = 0.5
    with pytest.raises(ValueError, match=r"JPEG cannot keep .* transparency, use \.png"):
        images.write_image(tmp_path / "b.jpg", image, alpha=alpha)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", pixels(4, 4, 3))
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match=r"cannot write .*a\.png: No space left on device"):
        images.write_image(path, torch.rand(1, 4, 4, 3))
    with pytest.raises(ValueError, match="NaN"):
        images.write_image(path, torch.full((1, 4, 4, 3), torch.nan))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_good_write_leaves_one_file_with_ordinary_rights(tmp_path):
    other = tmp_path / "other"
    other.touch()
    path = images.write_image(tmp_path / "a.png", torch.rand(1, 4, 4, 3))
    assert sorted(tmp_path.iterdir()) == [path, other]
    assert path.stat().st_mode == other.stat().st_mode


def damaged() -> dict[str, bytes]:
    whole = io.BytesIO()
    Image.fromarray(pixels(64, 64, 3)).save(whole, format="PNG")
    deep = cv2.imencode(".png", pixels(64, 64, 3, dtype=np.uint16))[1].tobytes()
    return {
        "text": b"not a picture",
        "empty": b"",
        "truncated": whole.getvalue()[:3000],
        "truncated 16 bit": deep[:60],
    }


@pytest.mark.parametrize("kind", ["text", "empty", "truncated", "truncated 16 bit"])
@pytest.mark.parametrize("read", [images.read_image, images.read_mask])
def test_what_is_no_picture_is_named(tmp_path, kind, read):
    path = tmp_path / "a.png"
    path.write_bytes(damaged()[kind])
    with pytest.raises(ValueError, match=r"a\.png") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_paths_that_cannot_be(tmp_path):
    file = tmp_path / "file"
    file.touch()
    cases = [
        (images.read_image, tmp_path / "none.png", FileNotFoundError, "there is no file"),
        (images.read_mask, tmp_path, ValueError, "is a folder"),
        (images.check_output, tmp_path / "a.gif", ValueError, r"\.gif is no known picture format"),
        (images.check_output, tmp_path / "a", ValueError, "a name without a suffix"),
        (images.check_output, tmp_path / "no" / "a.png", OSError, "no: it does not exist"),
        (images.check_output, file / "a.png", OSError, "file: it is a file"),
        (files.make_folder, file / "sub", OSError, "cannot make the folder"),
        (files.make_folder, file, OSError, "cannot make the folder"),
    ]
    for function, path, kind, words in cases:
        with pytest.raises(kind, match=words):
            function(path)
    assert list(tmp_path.iterdir()) == [file]
    assert files.make_folder(tmp_path / "x" / "y").is_dir()


def test_a_mask_of_another_size_names_both():
    with pytest.raises(ValueError, match=r"mask m\.png is 8x6 but the image i\.png is 9x6"):
        images.check_same_size(torch.rand(1, 6, 9, 3), torch.zeros(1, 6, 8), "i.png", "m.png")


def test_before_and_after_side_by_side():
    before, after = torch.zeros(1, 5, 7, 3), torch.full((1, 5, 7, 3), 0.5)
    both = images.side_by_side(before, after)
    assert both.shape == (1, 5, 22, 3)
    assert both[0, 0, :, 0].tolist() == [0.0] * 7 + [1.0] * 8 + [0.5] * 7
    with pytest.raises(ValueError, match="before is 7x5 and after is 8x5"):
        images.side_by_side(before, torch.zeros(1, 5, 8, 3))


def test_a_picture_with_a_hole_is_its_own_mask_whatever_it_shows(tmp_path):
    scan = np.full((40, 60, 4), 255, np.uint8)
    scan[::4, :, :3] = 0  # black lines on white paper
    scan[10:20, 20:40, 3] = 0
    Image.fromarray(scan).save(tmp_path / "scan.png")
    mask = images.read_hole(tmp_path / "scan.png")
    assert torch.equal(mask[0] == 1, torch.from_numpy(scan[..., 3] == 0))
    Image.fromarray(scan[..., :3]).save(tmp_path / "whole.png")
    with pytest.raises(ValueError, match="has no transparency"):
        images.read_hole(tmp_path / "whole.png")


def test_webp_keeps_every_pixel(tmp_path):
    noise = torch.randint(0, 256, (1, 20, 30, 3), generator=torch.Generator().manual_seed(1)) / 255
    images.write_image(tmp_path / "a.webp", noise)
    assert torch.equal(images.read_image(tmp_path / "a.webp").image, noise)
