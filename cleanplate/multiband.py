"""Blend two pictures band by band: fine detail over a short way, colours over a long one."""

from __future__ import annotations

from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import Box, Size
from .masks import bounding_box

_MOST_BANDS = 7


def blend_bands(original: Tensor, changed: Tensor, alpha: Tensor) -> Tensor:
    """Blend with a Laplacian pyramid (Burt and Adelson, 1983) that stays within the fade.

    A plain fade shows both pictures at once, so texture that does not agree is blurred or seen
    twice. Here each band of detail changes over about as many pixels as its waves are long, around
    the line where the weight is a half; only the coarsest uses all of the fade.

    The bands are those of the difference, with the replaced part left out (normalised
    convolution), so that nothing of an object under the mask bleeds into its surroundings.

    Args:
        original: ``[h, w, 3]`` float32.
        changed: ``[h, w, 3]`` float32.
        alpha: ``[h, w]`` float32 in 0..1, a mask with a fade around it.

    Returns:
        ``[h, w, 3]`` float32, not clamped: bit-identical to `original` where the weight is 0 and
        to `changed` where it is 1.

    Raises:
        ValueError: tensors of other shapes.
    """
    if original.ndim != 3 or changed.shape != original.shape or alpha.shape != original.shape[:2]:
        raise ValueError(
            f"original has shape {list(original.shape)}, changed {list(changed.shape)} and alpha "
            f"{list(alpha.shape)}: expected [height, width, 3] twice and [height, width]."
        )
    result = torch.where(alpha.unsqueeze(-1) == 1, changed, original)
    fading = bounding_box((alpha > 0) & (alpha < 1))
    if fading is None:
        return result
    height, width = alpha.shape
    fade = _fade(alpha[fading.rows, fading.columns])
    bands = min(_MOST_BANDS, round(log2(max(fade, 1))) - 1)
    # The filter of the coarsest band reaches so far.
    box = fading.pad(2 << max(bands, 1)).intersect(Box.of(Size(width, height))) or fading
    place = (box.rows, box.columns)
    old, new, weight = original[place], changed[place], alpha[place]
    mixed = _mix(old, new, weight, fade, bands) if bands > 0 else old.lerp(new, weight[..., None])
    part = result[place]
    part.copy_(torch.where(((weight > 0) & (weight < 1)).unsqueeze(-1), mixed, part))
    return result


def _mix(original: Tensor, changed: Tensor, alpha: Tensor, fade: float, bands: int) -> Tensor:
    known = (alpha < 1).to(original.dtype).unsqueeze(-1)
    difference = (changed - original) * known
    # With smoother and smoother copies L of the difference D, the bands are D - L1, L1 - L2, ...
    # and their weighted sum is W0 D + (W1 - W0) L1 + (W2 - W1) L2 + ...
    before = _sharpen(alpha, fade / 2)
    mixed = torch.addcmul(original, difference, before)
    level = torch.cat((difference, known), dim=-1).movedim(-1, 0)[None]
    for band in range(1, bands + 1):
        level = _reduce(level)
        after = _sharpen(alpha, fade / 2 ** (band + 1)) if band < bands else alpha.unsqueeze(-1)
        smooth = F.interpolate(level, alpha.shape, mode="bilinear")[0].movedim(0, -1)
        share = smooth[..., 3:].clamp(min=1e-6)
        mixed.addcmul_(smooth[..., :3] / share, after - before)
        before = after
    return mixed


def _fade(alpha: Tensor) -> float:
    """Mean width of the fade in pixels.

    By the coarea formula the slopes add up to the length of the mask's outline, so the area
    divided by that is the width.
    """
    between = (alpha > 0) & (alpha < 1)
    down, right = alpha.diff(dim=0)[:, :-1], alpha.diff(dim=1)[:-1]
    outline = float(torch.hypot(down, right).sum())
    return float(between.sum()) / outline if outline > 0 else 0.0


def _sharpen(alpha: Tensor, factor: float) -> Tensor:
    """The fade made shorter by `factor`, around its middle: ``[h, w, 1]``."""
    steep = ((alpha - 0.5) * max(factor, 1.0) + 0.5).clamp_(0, 1)
    return (steep * steep * (3 - 2 * steep)).unsqueeze(-1)


def _reduce(level: Tensor) -> Tensor:
    """Half the size, with Burt and Adelson's filter; what lies outside has no weight."""
    channels = level.shape[1]
    taps = level.new_tensor((1.0, 4.0, 6.0, 4.0, 1.0)) / 16
    down = taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1)
    right = taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5)
    level = F.conv2d(level, down, stride=(2, 1), padding=(2, 0), groups=channels)
    return F.conv2d(level, right, stride=(1, 2), padding=(0, 2), groups=channels)
