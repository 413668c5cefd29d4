"""Pictures and masks as files: read, check before work starts, write whole or not at all."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .checks import size_of
from .files import check_folder, replacing

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""The files that can be written, by suffix."""

_DEEP_FORMATS = ("PNG", "TIFF")
_QUALITY = 95
_GAP = 8
_ORIENTATION = 0x0112
_PNG_HEADER = 8 + 25  # the signature and the IHDR chunk
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@dataclass(frozen=True)
class Picture:
    """A picture as it came from its file, upright.

    Attributes:
        image: float32 ``[1, H, W, 3]`` in 0..1; grey and palette pictures are widened to RGB.
        alpha: float32 ``[1, H, W]`` in 0..1, 1 = opaque; None for a file without transparency. It
            is kept apart so that nothing blends or removes it by accident.
        bits: 8 or 16 per channel, what the file holds.
        profile: its ICC colour profile, which the written picture needs to look the same.
    """

    image: Tensor
    alpha: Tensor | None = None
    bits: int = 8
    profile: bytes | None = None


def read_image(path: str | Path) -> Picture:
    """Read a picture of any kind that Pillow knows; of an animation the first frame.

    The camera's orientation is applied. PNG and TIFF of 16 bits per channel keep them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a picture, or damaged.
    """
    path = _existing(path)
    pixels, profile = _read(path)
    bits = 16 if pixels.dtype == np.uint16 else 8
    values = _to_float(pixels)
    image = values[..., :3] if values.shape[2] > 2 else values[..., :1].expand(-1, -1, 3)
    alpha = values[..., -1] if values.shape[2] in (2, 4) else None
    return Picture(
        image=image.contiguous()[None],
        alpha=None if alpha is None else alpha.contiguous()[None],
        bits=bits,
        profile=profile,
    )


def read_mask(path: str | Path) -> Tensor:
    """Read a mask file: white marks the part to remove, grey is a soft edge.

    Without transparency the brightness counts. With it, the file says by its colours which of three
    habits it follows:

    - black *and* white are visible: the brightness counts, what is transparent is kept;
    - one colour that is not black is visible: strokes on an empty layer, so what is painted goes;
    - else it is a picture (or black) with a hole in it, what ComfyUI's mask editor saves and its
      LoadImage reads: what is transparent goes.

    Returns:
        float32 ``[1, H, W]`` in 0..1, 1 = remove.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a picture, or damaged.
    """
    values = _to_float(_read(_existing(path))[0])
    colours = values[..., : 3 if values.shape[2] > 2 else 1]
    if colours.shape[2] == 3 and not torch.equal(colours.amin(2), colours.amax(2)):
        light = colours @ torch.tensor([0.299, 0.587, 0.114])
    else:
        light = colours[..., 0]
    alpha = values[..., -1] if values.shape[2] in (2, 4) else None
    if alpha is None or bool((alpha == 1).all()):
        return light.contiguous()[None]
    seen = alpha >= 0.5
    shown, shades = colours[seen], light[seen]
    if not shades.numel():
        return (1 - alpha)[None]
    dark, bright = bool((shades < 0.1).any()), bool((shades > 0.9).any())
    extremes = ((shades < 0.1) | (shades > 0.9)).float().mean()
    if dark and bright and extremes > 0.98:
        return (light * alpha)[None]
    flat = (shown.amax(0) - shown.amin(0)).max() <= 0.02
    if flat and shown.max() > 0.1:
        return alpha.contiguous()[None]
    return (1 - alpha)[None]


def read_hole(path: str | Path) -> Tensor:
    """Read the mask that a picture carries: what is transparent in it is to go.

    Returns:
        float32 ``[1, H, W]`` in 0..1, 1 = remove.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a picture, damaged, or has no transparency.
    """
    picture = read_image(path)
    if picture.alpha is None:
        raise ValueError(
            f"{path} is given as its own mask but has no transparency: erase what shall go, or "
            "give a mask."
        )
    return 1 - picture.alpha


def check_same_size(
    image: Tensor, mask: Tensor, image_name: str | Path, mask_name: str | Path
) -> None:
    """Refuse a mask ``[B, H, W]`` that was not made for the image ``[B, H, W, C]``.

    Raises:
        ValueError: naming both files and both sizes.
    """
    wanted, got = size_of(image), size_of(mask)
    if got != wanted:
        raise ValueError(
            f"the mask {mask_name} is {got} but the image {image_name} is {wanted}: "
            "make both the same size."
        )


def check_output(path: str | Path) -> Path:
    """Make sure that a picture can be written there, before the work that makes it.

    Raises:
        ValueError: a suffix that names no picture format, or the path is a folder.
        OSError: its folder does not exist or takes no files.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"cannot write {path}: {path.suffix or 'a name without a suffix'} is no known picture "
            f"format, use one of {' '.join(FORMATS)}."
        )
    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder, give the name of a file in it.")
    check_folder(path.parent)
    return path


def check_keeps_alpha(path: str | Path, alpha: Tensor | None) -> None:
    """Refuse a JPEG for a picture that is transparent anywhere.

    Args:
        path: where it shall be written.
        alpha: of any shape, 1 = opaque; None where there is none.

    Raises:
        ValueError: it would lose its transparency.
    """
    if alpha is not None and FORMATS.get(Path(path).suffix.lower()) == "JPEG" and (alpha < 1).any():
        raise ValueError(
            f"cannot write {path}: a JPEG cannot keep the picture's transparency, use .png."
        )


def write_image(
    path: str | Path,
    image: Tensor,
    *,
    alpha: Tensor | None = None,
    bits: int = 8,
    profile: bytes | None = None,
) -> Path:
    """Write one picture; the format follows the suffix (see `FORMATS`).

    Values are rounded to the nearest step, so that a file that was read is written back with the
    same pixels (PNG, TIFF, WebP; JPEG is lossy, quality 95). A file of that name is replaced
    only when the new one is complete.

    Args:
        path: where to.
        image: ``[H, W, C]`` or ``[1, H, W, C]`` in 0..1 (clamped), C 1, 3 or 4.
        alpha: ``[H, W]`` or ``[1, H, W]``, added as the fourth channel of an RGB picture.
        bits: 8, or 16 for PNG and TIFF; other formats are written with 8.
        profile: ICC colour profile to embed (not into grey, nor into a 16-bit TIFF).

    Raises:
        ValueError: NaN in it, several images, an unknown suffix, or real transparency for a JPEG.
        OSError: the file cannot be written.
    """
    path = check_output(path)
    kind = FORMATS[path.suffix.lower()]
    values = _single(image, 3, "image")
    if alpha is not None:
        values = torch.cat([values, _single(alpha, 2, "alpha")[..., None]], dim=2)
    if not bool(values.isfinite().all()):
        raise ValueError(f"cannot write {path}: the picture holds NaN or infinite values.")
    if kind == "JPEG" and values.shape[2] == 4:
        check_keeps_alpha(path, values[..., 3])
        values = values[..., :3]
    deep = bits == 16 and kind in _DEEP_FORMATS
    top = 65535 if deep else 255
    pixels = (values.clamp(0, 1).double() * top).round().numpy()
    with replacing(path) as file:
        if deep:
            file.write(_encode_deep(pixels.astype(np.uint16), kind, profile))
        else:
            _encode(pixels.astype(np.uint8), kind, profile, file)
    return path


def side_by_side(before: Tensor, after: Tensor) -> Tensor:
    """Put two images ``[1, H, W, 3]`` of one size beside each other, a white line between.

    Returns:
        ``[1, H, 2 W + 8, 3]``

    Raises:
        ValueError: sizes differ.
    """
    if before.shape != after.shape:
        raise ValueError(
            f"before is {size_of(before)} and after is {size_of(after)}: "
            "only pictures of one size go side by side."
        )
    line = before.new_ones(before.shape[0], before.shape[1], _GAP, before.shape[3])
    return torch.cat([before, line, after], dim=2)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, give the name of a picture in it.")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}.")
    return path


def _read(path: Path) -> tuple[np.ndarray, bytes | None]:
    """The pixels ``[H, W, C]``, upright, as uint8, uint16 or float32, and the ICC profile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                if opened.format in _DEEP_FORMATS and ";16" in str(opened.tile[0][3]):
                    return _read_deep(path, opened), opened.info.get("icc_profile")
                return _decode(opened)
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} is not a picture that can be read: use PNG, JPEG, WebP or TIFF."
        ) from error
    except _BROKEN as error:
        raise ValueError(f"cannot read the picture {path}: {error}.") from error


def _read_deep(path: Path, opened: Image.Image) -> np.ndarray:
    # Pillow cuts 16-bit colour down to 8 bits.
    content = np.fromfile(path, np.uint8)
    pixels: Any = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("the file is damaged")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] > 2:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    if opened.format == "TIFF":  # OpenCV turned it already.
        return np.ascontiguousarray(pixels)
    turn = _UPRIGHT.get(opened.getexif().get(_ORIENTATION, 1))
    return np.ascontiguousarray(turn(pixels) if turn else pixels)


def _decode(opened: Image.Image) -> tuple[np.ndarray, bytes | None]:
    upright = ImageOps.exif_transpose(opened)
    mode = upright.mode
    if mode.startswith("I"):
        return np.asarray(upright).clip(0, 65535).astype(np.uint16)[..., None], None
    if mode == "F":
        return np.asarray(upright).clip(0, 1)[..., None], None
    profile = opened.info.get("icc_profile") if mode in ("RGB", "RGBA", "P") else None
    if upright.has_transparency_data:
        wanted = "LA" if mode in ("L", "LA", "1") else "RGBA"
    else:
        wanted = "L" if mode in ("L", "1") else "RGB"
    pixels = np.array(upright if mode == wanted else upright.convert(wanted))
    return pixels.reshape(*pixels.shape[:2], -1), profile


def _to_float(pixels: np.ndarray) -> Tensor:
    if pixels.dtype == np.float32:
        return torch.from_numpy(pixels)
    top = 65535 if pixels.dtype == np.uint16 else 255
    return torch.from_numpy(pixels.astype(np.float32)) / top


def _single(tensor: Tensor, axes: int, name: str) -> Tensor:
    values = tensor[0] if tensor.ndim == axes + 1 and tensor.shape[0] == 1 else tensor
    if values.ndim != axes or (axes == 3 and values.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"{name} has shape {list(tensor.shape)}: a file holds one picture, give one."
        )
    return values.detach().float().cpu()


def _encode(pixels: np.ndarray, kind: str, profile: bytes | None, file: BinaryIO) -> None:
    options: dict[str, Any] = {}
    if profile is not None and pixels.shape[2] > 1:
        options["icc_profile"] = profile
    if kind == "JPEG":
        options["quality"] = _QUALITY
    elif kind == "WEBP":
        options |= {"lossless": True, "exact": True}
    if kind == "JPEG":
        options["subsampling"] = 0
    if kind == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(
        file, format=kind, **options
    )


def _encode_deep(pixels: np.ndarray, kind: str, profile: bytes | None) -> bytes:
    colour = pixels.shape[2] > 2
    if colour:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    suffix = ".png" if kind == "PNG" else ".tiff"
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(pixels))
    if not done:
        raise OSError("OpenCV could not encode it")
    content = encoded.tobytes()
    if kind == "PNG" and colour and profile is not None:
        chunk = b"iCCPICC profile\0\0" + zlib.compress(profile)
        size, check = len(chunk) - 4, zlib.crc32(chunk)
        framed = struct.pack(">I", size) + chunk + struct.pack(">I", check)
        content = content[:_PNG_HEADER] + framed + content[_PNG_HEADER:]
    return content
