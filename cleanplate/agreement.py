"""How well pictures agree with a text, from the features of CLIP."""

from __future__ import annotations

import torch
from torch import Tensor

from .quality import Part

_TOWERS = {1024: (1280, "ViT-H", "SD 2"), 1280: (1664, "ViT-bigG", "SDXL")}
"""By the width of the common space: the picture tower's own width, its name, and whose text
conditioning ComfyUI brings into that space."""

_UNPROJECTED = 768
"""Width of CLIP-L's text features, which ComfyUI leaves out of the common space."""

_SCALE = 2.5


def cosines(pictures: Tensor, width: int, text: Tensor) -> list[float]:
    """Cosine similarity of each picture with a text.

    A softmax over the captions, of which there is one, would always give 1.

    Args:
        pictures: ``[B, D]``, features of pictures in the space that they share with texts.
        width: of the features before they were brought into that space.
        text: ``[D]`` or ``[1, D]``, features of the text in the same space.

    Returns:
        -1..1 for each picture.

    Raises:
        ValueError: features that do not share a space, or that are not finite.
    """
    text = text.flatten()
    pair = " and ".join(f"that of {model} with CLIP Vision {name}" for _, name, model in _pairs())
    if text.numel() == _UNPROJECTED:
        raise ValueError(
            f"positive holds text features of {_UNPROJECTED} numbers, which SD 1.5, SD 3 and Flux "
            f"do not bring into the space of pictures: connect the conditioning of {pair}."
        )
    known = _TOWERS.get(text.numel())
    if known is None:
        raise ValueError(
            f"positive holds text features of {text.numel()} numbers, which no CLIP Vision model "
            f"shares: connect the conditioning of {pair}."
        )
    own, name, model = known
    if pictures.ndim != 2 or pictures.shape[1] != text.numel() or width != own:
        got = pictures.shape[-1]
        raise ValueError(
            f"clip_vision_output holds features of {got} numbers from a model {width} wide, which "
            f"do not share a space with the text of {model}: encode the pictures with CLIP Vision "
            f"{name}."
        )
    if not bool(torch.isfinite(pictures).all() and torch.isfinite(text).all()):
        raise ValueError("the features of CLIP hold NaN or infinite values: look at its loader.")
    rows = torch.nn.functional.normalize(pictures.float(), dim=-1)
    column = torch.nn.functional.normalize(text.to(rows), dim=0)
    return [float(value) for value in (rows @ column).clamp(-1, 1)]


def _pairs() -> list[tuple[int, str, str]]:
    return list(_TOWERS.values())[::-1]


def agreement(cosine: float) -> Part:
    """The part of a judgement: 2.5 times the cosine, as of CLIPScore.

    Hessel et al., *CLIPScore: a reference-free evaluation metric for image captioning*, EMNLP 2021.
    """
    value = min(max(_SCALE * cosine, 0.0), 1.0)
    return Part("agreement", value, f"cosine {cosine:.3f} with the prompt")
