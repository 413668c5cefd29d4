"""TiledRefine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import lcm
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import torch
import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask, size_of
from ..cleanplate.geometry import Box
from ..cleanplate.upscale.noise import NoiseField
from ..cleanplate.upscale.refine import ALIGN, Grid, Tile, refine_tiles, tiles_to_refine, window
from .shared import finished, say, stop_if_interrupted
from .tile_progress import TileProgress
from .window_conditioning import Conditioning, Cut, crop_conditionings

_SEEDS = 2**64
_LEAST_TILE = 256
_MOST_TILE = 4096


class TiledRefine(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TiledRefine",
            display_name="Refine in Tiles",
            category="CleanPlate/upscale",
            description="Creative upscaling: lets a diffusion model add detail to a large image, "
            "tile by tile. Enlarge the image first. Tiles are processed at exactly their own size "
            "over one common field of noise and blended in float, so what the model does not "
            "change stays as it is.",
            search_aliases=[
                "creative upscale",
                "ultimate sd upscale",
                "tiled diffusion",
                "tiled ksampler",
                "add detail",
                "hires fix",
                "디테일 추가",
                "ディテール追加",
                "增加细节",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The picture at its final size."),
                io.Model.Input("model", tooltip="Any model that makes images."),
                io.Vae.Input("vae", tooltip="The model's VAE."),
                io.Conditioning.Input(
                    "positive",
                    tooltip="What the picture shows, in general words: each tile gets all of it. "
                    "ControlNet hints, areas and masks are cropped to the tile.",
                ),
                io.Conditioning.Input("negative", tooltip="What to avoid."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=_SEEDS - 1,
                    control_after_generate=True,
                    tooltip="Of the noise.",
                ),
                io.Int.Input(
                    "steps", default=20, min=1, max=1000, tooltip="Sampling steps for each tile."
                ),
                io.Float.Input(
                    "cfg",
                    default=7.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Strength of the prompt: about 7 for SD and SDXL, 1 for Flux and other "
                    "distilled models.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=comfy.samplers.KSampler.SAMPLERS,
                    default="euler",
                    tooltip="The sampling method.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=comfy.samplers.KSampler.SCHEDULERS,
                    default="normal",
                    tooltip="How the noise is spread over the steps.",
                ),
                io.Float.Input(
                    "denoise",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much may change. From about 0.35 on the prompt begins to show up "
                    "in every tile, unless a ControlNet holds the picture.",
                ),
                io.Int.Input(
                    "tile",
                    default=1024,
                    min=_LEAST_TILE,
                    max=_MOST_TILE,
                    step=16,
                    tooltip="The most a tile may have along either side, in pixels: what the model "
                    "was trained for.",
                ),
                io.Int.Input(
                    "overlap",
                    default=128,
                    min=0,
                    max=2048,
                    step=16,
                    tooltip="Pixels over which neighbouring tiles blend; less than half a tile.",
                ),
                io.Float.Input(
                    "skip_flat",
                    default=0.0,
                    min=0.0,
                    max=255.0,
                    step=0.5,
                    advanced=True,
                    tooltip="Leave out tiles without detail, such as sky: those where hardly any "
                    "pixel differs from its neighbours by more than this, in levels of 255. 0 "
                    "refines all; try 4.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="What to refine, and how much of it counts. Where it is 0 not a bit "
                    "changes, and tiles without any are not sampled.",
                ),
                io.String.Input(
                    "tile_prompts",
                    default="",
                    multiline=True,
                    optional=True,
                    advanced=True,
                    tooltip="A prompt for each tile, one on each line, row by row; an empty line "
                    "stands for positive. Needs clip.",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    advanced=True,
                    tooltip="The model's text encoder, for tile_prompts.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The picture, at the same size.")
            ],
        )

    @classmethod
    def validate_inputs(cls, tile: int | None = None, overlap: int | None = None) -> bool | str:
        # Values that another node gives are known, and checked, only once that node has run.
        if tile is None or overlap is None:
            return True
        if not _LEAST_TILE <= tile <= _MOST_TILE:
            return f"tile is {tile}: choose {_LEAST_TILE} to {_MOST_TILE} pixels."
        if not 0 <= overlap < tile / 2:
            return (
                f"overlap is {overlap} and tile is {tile}: choose an overlap of 0 or more and less "
                f"than half a tile ({tile / 2:g})."
            )
        return True

    @classmethod
    def execute(
        cls,
        image: Tensor,
        model: Any,
        vae: Any,
        positive: Conditioning,
        negative: Conditioning,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        tile: int,
        overlap: int,
        skip_flat: float,
        mask: Tensor | None = None,
        tile_prompts: str = "",
        clip: Any = None,
    ) -> io.NodeOutput:
        check_image(image)
        if mask is not None:
            mask = check_mask(mask, image)
        factor = _pixels_of_a_cell(model, vae)
        grid = Grid.of(size_of(image), tile, overlap, lcm(ALIGN, factor))
        lines = _prompts(tile_prompts, grid, clip)
        if denoise == 0:
            say("denoise is 0: the image passes through unchanged.")
            return io.NodeOutput(image)
        if denoise < 1 and int(steps / denoise) == steps:
            # KSampler runs the last `steps` of int(steps / denoise) steps.
            enough = next(n for n in count(steps) if int(n / denoise) > n)
            say(
                f"With {steps} steps a denoise of {denoise:g} starts from pure noise, as 1.0 does: "
                f"take at least {enough} steps, or less denoise."
            )

        tiles = tiles_to_refine(image, grid, mask, skip_flat)
        left_out = len(image) * grid.count - len(tiles)
        if left_out:
            say(f"{left_out} of {len(image) * grid.count} tiles have nothing to refine.")
        if not tiles:
            return io.NodeOutput(image)
        encoded = {line: _encoded(line, clip, positive) for line in dict.fromkeys(lines)}
        prompts = [encoded[line] for line in lines] or [positive] * grid.count
        progress = TileProgress(image, len(tiles), steps)
        refiner = _Refiner(
            model=model,
            vae=vae,
            prompts=prompts,
            negative=negative,
            seed=seed,
            steps=steps,
            cfg=cfg,
            sampler_name=sampler_name,
            scheduler=scheduler,
            denoise=denoise,
            grid=grid,
            factor=factor,
            mask=mask,
            progress=progress,
        )
        return io.NodeOutput(finished(refine_tiles(image, tiles, refiner, mask, progress.end)))


@dataclass(frozen=True, kw_only=True)
class _Refiner:
    """Encodes a tile, samples it with its part of noise and conditioning, and decodes it.

    Attributes:
        prompts: the positive conditioning of each tile of an image.
        factor: pixels of a latent cell.
        mask: ``[B, H, W]``, what may change.
        Others are KSampler's.
    """

    model: Any
    vae: Any
    prompts: list[Conditioning]
    negative: Conditioning
    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float
    grid: Grid
    factor: int
    mask: Tensor | None
    progress: TileProgress

    def __call__(self, pixels: Tensor, tile: Tile) -> Tensor:
        self.progress.begin(tile)
        cut = Cut(self.grid.size, tile.box, self.factor, tile.image)
        positive, negative = crop_conditionings(cut, self.prompts[tile.number], self.negative)
        if not positive:
            # No prompt reaches it.
            return pixels
        latent = self.vae.encode(pixels.unsqueeze(0))
        latent = comfy.sample.fix_empty_latent_channels(self.model, latent)
        cells = cut.cells
        if latent.shape[2:] != (cells.height, cells.width):
            raise ValueError(
                f"vae makes latents of shape {list(latent.shape)} of a tile of {tile.box.size}: "
                "this node takes models and VAEs for images, not for videos."
            )
        sampled = comfy.sample.sample(
            self.model,
            NoiseField(self.seed, latent.shape[1], tile.image).part(cells),
            self.steps,
            self.cfg,
            self.sampler_name,
            self.scheduler,
            positive,
            negative or positive,
            latent,
            denoise=self.denoise,
            noise_mask=self._latent_mask(tile, cells),
            callback=self.progress.step,
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            # With one seed, what some samplers add on the way would be the same in every tile.
            seed=(self.seed + tile.image * self.grid.count + tile.number) % _SEEDS,
        )
        made = self.vae.decode(sampled)[0, ..., :3]
        if not torch.stack(torch.aminmax(made)).isfinite().all():
            say(
                f"The model made NaN of tile {tile.number + 1}, which stays as it was: run ComfyUI "
                "with --fp32-vae, or the model in another precision."
            )
            return pixels
        return made

    def _latent_mask(self, tile: Tile, cells: Box) -> Tensor | None:
        if self.mask is None:
            return None
        # A cell is sampled if any of its pixels shall change; the result is blended by pixels.
        part = window(self.mask[tile.image], tile.box)[None, None]
        return F.adaptive_max_pool2d(part, (cells.height, cells.width))


def _pixels_of_a_cell(model: Any, vae: Any) -> int:
    """Pixels along a side of what one latent value stands for.

    Raises:
        ValueError: no VAE, or a model or VAE that is not for images.
    """
    if vae is None:
        raise ValueError("vae is missing: the checkpoint holds none, add a Load VAE node.")
    latent_format = model.get_model_object("latent_format")
    if latent_format.latent_dimensions != 2:
        raise ValueError(
            f"model is a {type(model.model).__name__} model, whose latents are not those of an "
            "image (videos, sound and some image models such as Qwen-Image): take one such as "
            "SD 1.5, SDXL or Flux."
        )
    factor = vae.spacial_compression_encode()
    if not isinstance(factor, int):
        raise ValueError("vae is not one for images: take the model's own.")
    return factor


def _prompts(text: str, grid: Grid, clip: Any) -> list[str]:
    """The prompt of each tile; none if they all take `positive`.

    Raises:
        ValueError: more or fewer prompts than tiles, or no text encoder.
    """
    if not text.strip():
        return []
    lines = [line.strip() for line in text.split("\n")]
    if len(lines) > grid.count and not lines[-1]:
        lines.pop()
    if len(lines) != grid.count:
        raise ValueError(
            f"tile_prompts has {len(lines)} lines but the image has {grid.count} tiles ({grid}): "
            "write one line for each, row by row."
        )
    if clip is None:
        raise ValueError("tile_prompts needs clip: connect the model's text encoder.")
    return lines


def _encoded(line: str, clip: Any, positive: Conditioning) -> Conditioning:
    """`positive` with the words of a line; all else that it says holds for them too."""
    if not line:
        return positive
    stop_if_interrupted()
    words = clip.encode_from_tokens_scheduled(clip.tokenize(line))
    kept = positive[0][1] if positive else {}
    return [[text, {**kept, **options}] for text, options in words]


NODES: list[type[io.ComfyNode]] = [TiledRefine]
