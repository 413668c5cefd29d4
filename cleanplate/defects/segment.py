"""Turn boxes into exact masks with Segment Anything, or with what else gives masks for boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..bounds import bounding_boxes
from ..geometry import Box, Size
from ..models import read_tensors
from .defect import Defect
from .sam import Sam

Segmenter = Callable[[Tensor, Sequence[Box]], Iterable[Tensor]]
"""Gives for an image ``[H, W, 3]`` in 0..1 and boxes within it one bool mask ``[H, W]`` each."""

_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
_STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)
_AT_ONCE = 16

_ROOM = 0.1
"""Of a box's longer side: so far a mask may reach beyond it. Boxes are seldom exact."""

_LEAST_SHARE = 0.05
"""Of a box; a smaller mask has missed what the box is about."""

_FILES = "sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth or sam_vit_h_4b8939.pth"
_OTHERS = {
    "sam_mask_decoder.": "SAM 2",
    "image_encoder.trunk.": "SAM 2",
    "detector.": "SAM 3",
    "image_encoder.patch_embed.seq.": "MobileSAM",
    "mask_decoder.hf_token.": "HQ-SAM",
}


def load_sam(path: Path) -> Sam:
    """Read a checkpoint of Segment Anything (ViT-B, L or H) in float32 on the CPU.

    Raises:
        ValueError: a file that is missing, damaged, no model, another model, or of a size that
            does not fit together.
    """
    tensors = read_tensors(path)
    for prefix, name in _OTHERS.items():
        if any(key.startswith(prefix) for key in tensors):
            raise ValueError(
                f"{path.name} is a {name} checkpoint, which is not read: use {_FILES}."
            )
    if "image_encoder.pos_embed" not in tensors:
        some = ", ".join(list(tensors)[:3])
        raise ValueError(
            f"{path.name} is no checkpoint of Segment Anything (it holds {some}): use {_FILES}."
        )
    try:
        return Sam({key: value.float() for key, value in tensors.items()})
    except (KeyError, ValueError, RuntimeError, ZeroDivisionError) as error:
        width = tensors["image_encoder.pos_embed"].shape[-1]
        raise ValueError(
            f"{path.name} is a Segment Anything checkpoint of an unknown size (width {width}) or "
            f"not complete: use {_FILES}."
        ) from error


def sam_segmenter(model: Sam) -> Segmenter:
    """Masks by Segment Anything, worked out on the device of the model."""

    def segment(image: Tensor, boxes: Sequence[Box]) -> Iterator[Tensor]:
        if not boxes:
            return
        size = Size(image.shape[1], image.shape[0])
        device = model.image_encoder.pos_embed.device
        scale = model.side / max(size.width, size.height)
        small = Size(max(1, int(size.width * scale + 0.5)), max(1, int(size.height * scale + 0.5)))
        across, down = small.width / size.width, small.height / size.height
        factors = torch.tensor((across, down, across, down), device=device)
        corners = [(box.x, box.y, box.right, box.bottom) for box in boxes]
        with torch.inference_mode():
            features = model.encode(_prepared(image, small, model.side, device))
            for part in torch.split(torch.tensor(corners, device=device) * factors, _AT_ONCE):
                logits, _ = model.masks(features, part)
                for one in logits:
                    yield _enlarged(one, small, size, model.side)

    return segment


def exact_masks(image: Tensor, defects: Sequence[Defect], segment: Segmenter) -> list[Defect]:
    """Give the defects that are only a box the exact mask of what is in it.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1.
        defects: of that image; those with a mask, and those of the image as a whole, stay as they
            are.
        segment: gives the masks, see `Segmenter`.

    Returns:
        the defects in their order. A mask reaches at most a tenth of the box's longer side beyond
        the box; where it covers less than a twentieth of it, the box stays.

    Raises:
        ValueError: the masks are not as many as the boxes, or of another size than the image.
    """
    size = Size(image.shape[1], image.shape[0])
    boxed = [
        i for i, defect in enumerate(defects) if defect.box is not None and defect.mask is None
    ]
    boxes = [box for i in boxed if (box := defects[i].box) is not None]
    out = list(defects)
    count = 0
    for i, box, mask in zip(boxed, boxes, segment(image[..., :3], boxes), strict=False):
        if tuple(mask.shape) != (size.height, size.width):
            raise ValueError(
                f"the mask of box {count + 1} has shape {list(mask.shape)} but the image is "
                f"{size}: give one mask of the image's size for each box."
            )
        out[i] = _with_mask(defects[i], box, mask.to("cpu"), size)
        count += 1
    if count != len(boxes):
        raise ValueError(f"{count} masks came for {len(boxes)} boxes: give one for each box.")
    return out


def _with_mask(defect: Defect, box: Box, mask: Tensor, size: Size) -> Defect:
    room = round(_ROOM * max(box.width, box.height))
    allowed = box.pad(room).intersect(Box.of(size)) or box
    inside = mask[allowed.rows, allowed.columns] > 0
    found = bounding_boxes(inside[None].float(), 0.5)[0]
    if found is None or int(inside.sum()) < _LEAST_SHARE * box.size.area:
        return defect
    exact = inside[found.rows, found.columns].float()
    return replace(defect, box=found.shift(allowed.x, allowed.y), mask=exact)


def _prepared(image: Tensor, small: Size, side: int, device: torch.device) -> Tensor:
    """The image shrunk and normalised in the left top corner of ``[1, 3, side, side]``."""
    pixels = image.to(device, torch.float32).clamp(0, 1).movedim(-1, 0)[None]
    shrunk = F.interpolate(
        pixels, (small.height, small.width), mode="bilinear", antialias=True, align_corners=False
    )
    mean, std = (torch.tensor(part, device=device).view(1, 3, 1, 1) for part in (_MEAN, _STD))
    edges = (0, side - small.width, 0, side - small.height)
    return F.pad((shrunk - mean) / std, edges)


def _enlarged(logits: Tensor, small: Size, size: Size, side: int) -> Tensor:
    """Bool ``[H, W]`` on the CPU from logits of the whole input."""
    whole = F.interpolate(logits[None, None], (side, side), mode="bilinear", align_corners=False)
    part = whole[..., : small.height, : small.width]
    full = F.interpolate(part, (size.height, size.width), mode="bilinear", align_corners=False)
    return (full[0, 0] > 0).to("cpu")
