"""How much of the text put into photos is found, and how often text is found where there is none.

Needs the files of the package rapidocr or rapidocr_onnxruntime, Pillow, and scikit-image's photos;
pictures of ComfyUI's workflow templates are used where these packages are installed. The photos of
CHOOSE served to choose thresholds, those of SCORE give the numbers.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import photos
import torch
from library import seconds
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

CHOOSE = {
    "skimage": ("chelsea", "brick", "gravel", "retina"),
    "templates": (
        "api_bfl_flux2_max_sofa_swap-1",
        "api_stability_ai_stable_image_ultra_t2i-1",
        "api_topaz_image_enhance_wonder3_5-2",
        "api_kling_v3_t2i-1",
        "image_boogu_image_0_1_edit_int8-1",
        "image_joyai_image_edit-2",
        "image_mage_flow_turbo_t2i_int8-1",
        "flux_schnell_full_text_to_image-1",
        "image_pixeldit_t2i-1",
        "sdxlturbo_example-1",
        "image_flux2_klein_text_to_image-1",
    ),
}
SCORE = {
    "skimage": ("coffee", "grass", "hubble_deep_field", "immunohistochemistry", "moon"),
    "templates": (
        "api_magnific_image_upscale_precise-1",
        "api_recraft_v4_t2i-1",
        "api_flux_erase_image-1",
        "api_reve_image_edit-2",
        "image_chrono_edit_14B-1",
        "image_firered_image_edit1_1-1",
        "image_longcat_image_edit-2",
        "image_qwen_image_edit_2509_relight-1",
        "image_z_image_turbo_fun_union_controlnet-1",
        "sd3.5_large_canny_controlnet_example-1",
        "sd3.5_simple_example-1",
        "utility_nanobanana_pro_illustration_upscale-2",
    ),
}
TEMPLATES = tuple(
    f"comfyui_workflow_templates_media_{part}"
    for part in ("api", "image", "other", "video", "assets_01")
)
SHORT = 512
"""Pixels: smaller pictures are enlarged to this."""

HIT = 0.3
"""Share of the letters' pixels that has to be covered."""

CORNER = (10, 12, 14, 20)
TILED = (0.15, 0.25, 0.4)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="defects.py text", description=__doc__)
    parser.add_argument("--split", choices=("score", "choose"), default="score")
    parser.add_argument("--networks", type=Path, nargs=2, help="files of detector and reader")
    parser.add_argument("--readable", type=float, nargs="*", help="thresholds to try")
    parser.add_argument("--quick", action="store_true", help="only what has a bar to reach")
    parser.add_argument("--verbose", action="store_true", help="name the pictures")
    parser.add_argument("--no-contrast", action="store_true", help="look once")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    from cleanplate.defects.text import READABLE, find_lines
    from cleanplate.defects.text_models import load_text_models

    models = load_text_models(tuple(args.networks) if args.networks else None)
    everything = list(pictures(SCORE if args.split == "score" else CHOOSE))
    thresholds = args.readable or [READABLE]
    spent = []

    quick = {"clean", "corner text, 12 px", "tiled text, opacity 0.25"}

    def find(image: Tensor) -> list[Any]:
        lines: list[Any] = []
        look = lambda: lines.extend(find_lines(image, models, 0.0, contrast=not args.no_contrast))  # noqa: E731
        cpu = seconds(look)[1]
        spent.append(cpu / (image.shape[0] * image.shape[1] / 1e6))
        return lines

    rows = []
    for name, cases in {"clean": clean, "corner": corner, "tiled": tiled}.items():
        for label, made in cases(everything):
            if args.quick and label not in quick:
                continue
            looked = [(find(image), letters) for image, letters in made]
            for least in thresholds:
                kept = [([line for line in some if line.read >= least], m) for some, m in looked]
                if name == "clean":
                    hits = sum(bool(lines) for lines, _ in kept)
                else:
                    hits = sum(covered(lines, letters) > HIT for lines, letters in kept)
                if args.verbose:
                    for (title, _), (lines, letters) in zip(everything, kept, strict=True):
                        share = len(lines) if letters is None else f"{covered(lines, letters):.2f}"
                        print(label, least, title, share, [line.text for line in lines][:6])
                rows.append(f"{label} | {least} | {hits} of {len(kept)} | {hits / len(kept):.2f}")
    text = "\n".join(
        (
            f"{models.detector.name}, {args.split} split, {len(everything)} pictures, "
            f"median {np.median(spent):.2f} CPU-s per megapixel",
            "",
            "pictures | readable | with text found | share",
            "---|---|---|---",
            *rows,
        )
    )
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")


def pictures(names: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Names and RGB pixels of the photos that are here."""
    for name in names["skimage"]:
        yield name, enlarged((photos.photo(name)[0].numpy() * 255).round().astype(np.uint8))
    specs = [spec for name in TEMPLATES if (spec := importlib.util.find_spec(name))]
    places = [Path(place) for spec in specs for place in spec.submodule_search_locations or ()]
    for name in names["templates"]:
        paths = [place / "templates" / f"{name}.webp" for place in places]
        for path in [path for path in paths if path.is_file()][:1]:
            yield name, enlarged(np.asarray(Image.open(path).convert("RGB")))


def enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = max(1.0, SHORT / min(pixels.shape[:2]))
    if scale == 1:
        return pixels
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


Made = list[tuple[Tensor, NDArray[np.bool_] | None]]


def clean(everything: list[Any]) -> Iterator[tuple[str, Made]]:
    yield "clean", [(tensor(pixels), None) for _, pixels in everything]


def corner(everything: list[Any]) -> Iterator[tuple[str, Made]]:
    """A line in the lower right corner, white or black, whichever can be seen."""
    for height in CORNER:
        made = []
        for number, (_, pixels) in enumerate(everything):
            layer = Image.new("L", pixels.shape[1::-1])
            words = ("Jane Doe 2024", "© Studio North", "www.example.com")[number % 3]
            box = font(height).getbbox(words)
            place = (layer.width - box[2] - 10, layer.height - box[3] - 8)
            ImageDraw.Draw(layer).text(place, words, font=font(height), fill=255)
            glyphs = np.asarray(layer) / 255
            behind = pixels[glyphs > 0.5].mean()
            made.append(drawn(pixels, glyphs, 1.0, 0 if behind > 128 else 255))
        yield f"corner text, {height} px", made


def tiled(everything: list[Any]) -> Iterator[tuple[str, Made]]:
    """Words all over the picture, 30 degrees up; black in a bright one, else white."""
    for opacity in TILED:
        made = []
        for _, pixels in everything:
            height, width = pixels.shape[:2]
            side = int(1.5 * max(height, width))
            layer = Image.new("L", (side, side))
            size = max(20, min(height, width) // 18)
            across = int(font(size).getlength("STOCK PHOTO") + 2 * size)
            for row, y in enumerate(range(0, side, 4 * size)):
                for x in range(-(row % 2) * across // 2, side, across):
                    ImageDraw.Draw(layer).text((x, y), "STOCK PHOTO", font=font(size), fill=255)
            layer = layer.rotate(30, Image.Resampling.BICUBIC)
            left, top = (side - width) // 2, (side - height) // 2
            glyphs = np.asarray(layer.crop((left, top, left + width, top + height))) / 255
            made.append(drawn(pixels, glyphs, opacity, 0 if pixels.mean() > 160 else 255))
        yield f"tiled text, opacity {opacity}", made


@cache
def font(size: int) -> Any:
    return ImageFont.load_default(size)


def drawn(
    pixels: NDArray[np.uint8], glyphs: NDArray[np.float64], opacity: float, tone: int
) -> tuple[Tensor, NDArray[np.bool_]]:
    share = opacity * glyphs[..., None]
    return tensor(pixels * (1 - share) + tone * share), glyphs > 0.5


def tensor(pixels: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels, np.float32)) / 255


def covered(lines: list[Any], letters: NDArray[np.bool_]) -> float:
    """Share of the letters' pixels within the boxes."""
    mask = np.zeros(letters.shape, np.uint8)
    for line in lines:
        cv2.fillPoly(mask, [line.place.corners.astype(np.int32)], 1)
    return float(mask[letters].mean())


if __name__ == "__main__":
    import sys

    from library import load_library

    load_library()
    main(sys.argv[1:])
