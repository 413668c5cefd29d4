"""Extend a mask over the shadow that its object casts.

A cast shadow scales the colour of the surface it falls on: in the logarithm it is a constant
offset, about the same in all three channels, so chroma and texture stay (the ratio test of
Cucchiara et al., "Detecting moving objects, ghosts, and shadows in video streams", PAMI 2003; the
illumination invariance of Finlayson et al., "On the removal of shadows from images", PAMI 2006).
Outdoors the sky lights it, so it is slightly bluer. As in Guo et al., "Single-image shadow
detection and removal using paired regions" (CVPR 2011), a dark region is judged against a lit one
of the same material: here the surface that dominates the surroundings of the object. Of the dark
regions only those count that adjoin the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, exp, log, pi, sqrt

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import masks
from .geometry import Box, Size
from .upscale.resize import resize, resize_mask

_Plane = npt.NDArray[np.float32]
_Bool = npt.NDArray[np.bool_]

REACH = 1.5
"""How far from the object its shadow is looked for, in lengths of its longer side."""
_LONGEST = 400
_SMALLEST = 100
_MOST = 32
_RIM = 2.5
"""Pixels around the object that mix its colour with the ground's."""
_SMOOTH = (6.0, 3.0, 1.5)
"""Widths of the smoothing, coarse to fine: what averages bricks out wipes out a thin shadow."""
_FINE = 1.5
_SAME = 0.7
_DARK = 0.02
"""Added to values before their logarithm, or noise in the dark would count as contrast."""
_DEPTHS = (0.14, 1.25)
"""Logarithm of how much darker a shadow is: to 0.87 and 0.29 of the lit value (sRGB encoded)."""
_EVIDENCE = 7.5
_LEAST_LIT = 0.4
_TEXTURE = (0.4, 2.5)
_CONTACT = (0.012, 0.75)
_MOST_AREA = 1.0
_MOST_AT_LIMIT = 0.15


@dataclass(frozen=True, eq=False)
class ShadowGrowth:
    """A mask and its objects' shadows.

    Attributes:
        mask: bool ``[H, W]``: the given mask and the shadows.
        found: number of objects whose shadow was found.
        light: share of the light that is left in the darkest of the shadows, 1 where none was
            found; of the values as stored (sRGB).
    """

    mask: Tensor
    found: int
    light: float


@dataclass(frozen=True, eq=False)
class _Scene:
    """The surroundings of one object, reduced: logarithm of the image, and distances to it."""

    log: _Plane
    away: _Plane
    near: _Bool
    area: int
    reach: float

    @property
    def contour(self) -> _Bool:
        return (self.away > 0) & (self.away < 1.5)


@dataclass(frozen=True, eq=False)
class _Region:
    marked: _Bool
    depth: float


def grow_over_shadow(image: Tensor, core: Tensor, *, reach: float = REACH) -> ShadowGrowth:
    """Extend a mask over its objects' cast shadows, as far as they are told for certain.

    Each of the 32 largest objects of at least 100 pixels is looked at by itself. Its surroundings
    must show one surface that covers most of them; a shadow adjoins the object, is darker than that
    surface by more than its texture explains, and has the same chroma and the same fine contrast.
    Where nothing fits, the mask stays as it is.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1, sRGB encoded; a fourth channel is ignored.
        core: bool ``[H, W]``.
        reach: how far to look, in lengths of the object's longer side.

    Returns:
        the extended mask on the device of `core`, and what was found.
    """
    labels, objects = masks.largest_objects(core, least=_SMALLEST, most=_MOST)
    grown = core.clone()
    depths = []
    for label, box in objects:
        pad = ceil(reach * max(box.width, box.height))
        view = box.pad(pad).intersect(Box(0, 0, core.shape[1], core.shape[0])) or box
        scale = max(1.0, max(view.width, view.height) / _LONGEST)
        size = Size(max(1, round(view.width / scale)), max(1, round(view.height / scale)))
        crop = image[view.rows, view.columns, :3].to("cpu", torch.float32)
        own = torch.from_numpy(labels[view.rows, view.columns] == label)
        scene = _scene(crop, own, core[view.rows, view.columns].cpu(), size, pad / scale)
        shadow = _shadow(scene)
        if shadow is None:
            continue
        depths.append(shadow.depth)
        marked = torch.from_numpy(shadow.marked)[None]
        full = masks.core(resize_mask(marked, view.size))[0]
        grown[view.rows, view.columns] |= full.to(grown.device)
    return ShadowGrowth(grown, len(depths), exp(-max(depths, default=0.0)))


def _scene(crop: Tensor, own: Tensor, core: Tensor, size: Size, reach: float) -> _Scene:
    colours = resize(crop[None], size)[0].clamp(0, 1).numpy()
    marked = masks.core(resize_mask(own[None], size))[0]
    others = masks.core(resize_mask((core & ~own)[None], size))[0]
    away = masks.distance(marked).numpy()
    near = (away > _RIM) & (away <= reach) & (masks.distance(others).numpy() > _RIM)
    return _Scene(np.log(colours + _DARK), away, near, int(marked.sum()), reach)


def _shadow(scene: _Scene) -> _Region | None:
    """The shadows of one object as one region, or None."""
    if scene.near.sum() < _SMALLEST:
        return None
    views = [view for s in _SMOOTH if (view := _compare_to_lit(scene, s)) is not None]
    noise = {view.smooth: view.noise for view in views}
    fine = _lowpass(scene, _FINE)
    contrast = (scene.log - fine).mean(axis=2)
    chosen: _Region | None = None
    for view in views:
        regions = [r for r in _regions(scene, view) if _plausible(scene, view, r, contrast, noise)]
        if not regions:
            continue
        marked = np.logical_or.reduce([_with_penumbra(scene, view, r) for r in regions])
        found = _Region(marked, max(region.depth for region in regions))
        # A finer view draws the border better, unless it sees only the dark parts of a texture.
        if chosen is None or found.marked.sum() >= _SAME * chosen.marked.sum():
            chosen = found
    if chosen is None:
        return None
    gap = (scene.away > 0) & (scene.away <= _RIM)
    to_shadow = masks.distance(torch.from_numpy(chosen.marked)).numpy()
    return _Region(chosen.marked | (gap & (to_shadow <= _RIM + 1.5)), chosen.depth)


@dataclass(frozen=True, eq=False)
class _View:
    """The surroundings against the lit surface, at one smoothing.

    Attributes:
        smooth: standard deviation of the smoothing in pixels.
        depth: how much darker than the lit surface, in the logarithm.
        fits: where chroma and depth can be those of a shadow.
        lit: where the surface is lit.
        noise: standard deviation of `depth` on the lit surface.
    """

    smooth: float
    depth: _Plane
    fits: _Bool
    lit: _Bool
    noise: float


def _compare_to_lit(scene: _Scene, smooth: float) -> _View | None:
    low = _lowpass(scene, smooth)
    ratio, spread = _ratio_to_surface(low, scene.near)
    depth = -ratio.mean(axis=2)
    lit = scene.near & (np.sqrt((ratio**2).sum(axis=2)) < 3 * spread)
    if lit.sum() < _LEAST_LIT * scene.near.sum():
        return None
    red_green, blue_red = ratio[..., 0] - ratio[..., 1], ratio[..., 2] - ratio[..., 0]
    dark = depth.clip(min=0)
    slack = 0.06 + 2 * _deviation(blue_red[lit])
    fits = scene.near & (depth < 1.4 * _DEPTHS[1])
    fits &= np.abs(red_green) < 0.06 + 2 * _deviation(red_green[lit]) + 0.12 * dark
    fits &= (blue_red > -slack - 0.1 * dark) & (blue_red < slack + 0.35 * dark)
    return _View(smooth, depth, fits, lit, max(float(depth[lit].std()), 0.01))


def _lowpass(scene: _Scene, smooth: float) -> _Plane:
    """Smooth the surroundings without the object in them."""
    weight = scene.near.astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), smooth)[..., None]
    return cv2.GaussianBlur(scene.log * weight[..., None], (0, 0), smooth) / total.clip(min=1e-4)


def _ratio_to_surface(low: _Plane, near: _Bool) -> tuple[_Plane, float]:
    """The logarithm of the ratio to the dominant surface, and the scatter of that surface.

    The surface's brightness is a quadratic of the place, fitted with Tukey's biweight, so that
    what is not of it (shadows, other things) does not pull.
    """
    height, width = near.shape
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width) - 0.5
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)
    step = max(1, int(near.sum()) // 8000)
    basis = terms[near][::step].astype(np.float64)
    values = low[near][::step].astype(np.float64)
    weight = np.exp(-((values - np.median(values, axis=0)) ** 2).sum(axis=1) / 0.18) + 1e-3
    spread = 0.02
    tiny = 1e-6 * np.eye(6)
    factors = np.zeros((6, 3))
    for _ in range(12):
        weighted = basis.T * weight
        factors = np.linalg.solve(weighted @ basis + tiny, weighted @ values)
        error = np.sqrt(((values - basis @ factors) ** 2).sum(axis=1))
        inner = error[error <= np.quantile(error, 0.7)]
        spread = max(1.4826 * float(np.median(inner)), 0.02)
        weight = (1 - (error / (3 * spread)).clip(max=1) ** 2) ** 2 + 1e-6
    return low - terms @ factors.astype(np.float32), spread


def _deviation(values: npt.NDArray[np.float32]) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _regions(scene: _Scene, view: _View) -> Iterator[_Region]:
    """Dark regions that adjoin the object, each out to half of its own depth."""
    least = max(0.66 * _DEPTHS[0], 3 * view.noise)
    _, labels = cv2.connectedComponents((view.fits & (view.depth > least)).astype(np.uint8))
    touching = scene.away <= max(5.0, 1.5 * view.smooth)
    taken = np.zeros(scene.near.shape, bool)
    for label in np.unique(labels[touching & (labels > 0)]):
        seed = labels == label
        if seed.sum() < max(15, 0.004 * scene.area) or taken[seed].any():
            continue
        marked, depth = seed, 0.0
        for _ in range(3):
            depth = float(np.quantile(view.depth[marked], 0.7))
            wide = view.fits & (view.depth > max(0.5 * depth, 0.4 * least))
            _, parts = cv2.connectedComponents(wide.astype(np.uint8))
            votes = np.bincount(parts[seed], minlength=2)[1:]
            if votes.max() == 0:
                break
            marked = parts == 1 + votes.argmax()
        taken |= marked
        yield _Region(marked, depth)


def _plausible(
    scene: _Scene, view: _View, region: _Region, contrast: _Plane, noise: dict[float, float]
) -> bool:
    """Whether a dark region can be the object's shadow, and not its chance or another thing."""
    area = int(region.marked.sum())
    # The noise of a mean over so large an area, known for the smoothings and less beyond.
    width = sqrt(area / (4 * pi))
    known = sorted(noise)
    least = float(np.interp(log(width), np.log(known), [noise[s] for s in known]))
    least *= sqrt(min(1.0, known[-1] / width))
    mean = float(view.depth[region.marked].mean())

    inner = region.marked & (view.depth > 0.8 * region.depth)
    if not inner.any():
        return False
    texture = (_deviation(contrast[inner]) + 0.03) / (_deviation(contrast[view.lit]) + 0.03)

    reached = max(6, round(1.5 * view.smooth))
    to_region = masks.distance(torch.from_numpy(region.marked)).numpy()
    contour = scene.contour
    contact = float((to_region[contour] <= reached).mean()) if contour.any() else 0.0

    limit = scene.near & (scene.away > 0.9 * scene.reach)
    at_limit = float(region.marked[limit].mean()) if limit.any() else 0.0
    return (
        _DEPTHS[0] <= region.depth <= _DEPTHS[1]
        and mean >= _EVIDENCE * least
        and _TEXTURE[0] <= texture <= _TEXTURE[1]
        and _CONTACT[0] <= contact <= _CONTACT[1]
        and at_limit <= _MOST_AT_LIMIT
        and area <= _MOST_AREA * scene.area
    )


def _with_penumbra(scene: _Scene, view: _View, region: _Region) -> _Bool:
    """The region with its soft edge and without holes."""
    width = 2 * round(1.2 * view.smooth + 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    around = cv2.dilate(region.marked.astype(np.uint8), kernel) > 0
    soft = region.marked | (around & scene.near & (view.depth > 0.25 * region.depth))
    return masks.fill_holes(torch.from_numpy(soft)).numpy() & scene.near
