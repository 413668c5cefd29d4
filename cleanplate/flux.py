"""Flux Fill without ComfyUI: diffusers' pipeline as the refiner of `pipeline.remove_object`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .checks import check_image, check_mask, size_of

MULTIPLE = 16
"""Width and height of what the model sees are multiples of it: 8 of the VAE times patches of 2."""

_PIPELINE = "FluxFillPipeline"
_ROOMY = 40 * 2**30
_MISSING = (
    "Flux Fill outside ComfyUI needs diffusers: "
    "pip install diffusers transformers accelerate sentencepiece protobuf."
)


class FluxFill:
    """Repaints the masked part of images that are already at the model's size.

    It starts from the image, not from noise (`denoise` below 1), so that what an earlier fill made
    is corrected and no new object invented. The VAE changes pixels outside the mask, too: paste
    only the masked part back, as `pipeline.remove_object` does.

    `steps` are run whatever `denoise` is, as ComfyUI's KSampler does: it says how far down the
    schedule they begin. Image number i of a batch is made from `seed` + i.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        prompt: str = "",
        seed: int = 0,
        steps: int = 20,
        guidance: float = 30.0,
        denoise: float = 0.8,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Wrap a diffusers FluxFillPipeline that is on its device; see `load` for files.

        Args:
            pipeline: a `diffusers.FluxFillPipeline`.
            prompt: what shall be seen where the mask is; empty is fine.
            seed: of the noise, 0 to 2**63 - 1.
            steps: sampling steps, at least 1.
            guidance: distilled guidance, 0 or more; Flux Fill was trained for 30.
            denoise: above 0, up to 1; 1 ignores what is under the mask.
            progress: called with (steps done, steps of the whole batch).

        Raises:
            ValueError: a setting out of its range.
        """
        check_settings(seed=seed, steps=steps, guidance=guidance, denoise=denoise)
        self._pipeline = pipeline
        self._prompt = prompt
        self._seed = seed
        self._steps = steps
        self._guidance = guidance
        self._denoise = denoise
        self._progress = progress

    @classmethod
    def load(
        cls, source: str | Path, *, device: str | torch.device = "cpu", **settings: Any
    ) -> FluxFill:
        """Load Flux Fill in the diffusers layout.

        Args:
            source: a folder, read without asking the network; or a Hugging Face id `owner/name`,
                read from the local cache or downloaded (about 34 GB; the published one asks you to
                accept its licence first).
            device: where to run. On a GPU the weights are bfloat16, and with less than 40 GB free
                each part is moved there only while it works; on the CPU they are float32.
            settings: those of the constructor.

        Raises:
            ValueError: diffusers is not installed, the folder or id holds no Flux Fill, or a
                setting is out of its range.
        """
        check_source(source)
        check_settings(**{k: v for k, v in settings.items() if k not in ("prompt", "progress")})
        diffusers = _diffusers()
        device = torch.device(device)
        local = Path(source).is_dir()
        dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
        try:
            pipeline = diffusers.FluxFillPipeline.from_pretrained(
                str(source), dtype=dtype, local_files_only=local, use_safetensors=True
            )
        except ImportError as error:
            raise ValueError(_MISSING) from error
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:400].rstrip(".")
            raise ValueError(f"cannot load Flux Fill from {source}: {reason}.") from error
        pipeline.set_progress_bar_config(disable=True)
        if device.type == "cuda" and torch.cuda.mem_get_info(device)[0] < _ROOMY:
            pipeline.enable_model_cpu_offload(device=device)
        else:
            pipeline.to(device)
        return cls(pipeline, **settings)

    def __call__(self, image: Tensor, mask: Tensor) -> Tensor:
        """Repaint.

        Args:
            image: ``[B, h, w, 3]`` in 0..1, h and w multiples of 16.
            mask: ``[B, h, w]`` in 0..1; from 0.5 on a pixel is repainted.

        Returns:
            float32 ``[B, h, w, 3]`` on the image's device; pixels outside the mask differ slightly.

        Raises:
            ValueError: a size that is no multiple of 16, or a mask that does not fit the image.
        """
        check_image(image)
        size = size_of(image)
        if size.width % MULTIPLE or size.height % MULTIPLE or image.shape[3] != 3:
            raise ValueError(
                f"Flux Fill was given a crop of {size} with {image.shape[3]} channels: it needs "
                f"RGB with width and height that are multiples of {MULTIPLE}."
            )
        mask = check_mask(mask, image)
        count = image.shape[0]
        painted = [self._paint(image[i], mask[i], i, count) for i in range(count)]
        return torch.stack(painted).to(image.device)

    def _paint(self, image: Tensor, mask: Tensor, index: int, count: int) -> Tensor:
        schedule, strength = plan_steps(self._steps, self._denoise)
        if self._progress is not None:
            self._progress(index * self._steps, count * self._steps)
        result = self._pipeline(
            prompt=self._prompt,
            image=image.movedim(2, 0)[None].float().clamp(0, 1),
            mask_image=mask[None, None],
            height=image.shape[0],
            width=image.shape[1],
            strength=strength,
            num_inference_steps=schedule,
            guidance_scale=self._guidance,
            generator=torch.Generator("cpu").manual_seed(self._seed + index),
            output_type="pt",
            callback_on_step_end=self._reporter(index * self._steps, count * self._steps),
        )
        return result.images[0].float().cpu().movedim(0, 2).clamp(0, 1).contiguous()

    def _reporter(self, before: int, total: int) -> Callable[..., dict[str, Any]]:
        def report(_pipeline: Any, step: int, _timestep: Any, _state: Any) -> dict[str, Any]:
            if self._progress is not None:
                self._progress(before + step + 1, total)
            return {}

        return report


def plan_steps(steps: int, denoise: float) -> tuple[int, float]:
    """Translate ComfyUI's steps and denoise into diffusers' `num_inference_steps` and `strength`.

    ComfyUI runs `steps` at the end of a schedule that is 1 / `denoise` times as long; diffusers
    runs that share `strength` of the steps it is given, rounded up. The half step taken off here
    makes that rounding exact, so `steps` are run for every pair.
    """
    schedule = max(steps, int(steps / denoise))
    return schedule, (steps - 0.5) / schedule


def check_settings(
    *, seed: int = 0, steps: int = 20, guidance: float = 30.0, denoise: float = 0.8
) -> None:
    """Refuse settings out of range, before anything is loaded.

    Raises:
        ValueError: naming the setting, its value and its range.
    """
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}: choose 0 to {2**63 - 1}.")
    if steps < 1:
        raise ValueError(f"steps is {steps}: choose at least 1.")
    if not guidance >= 0:
        raise ValueError(f"guidance is {guidance}: choose 0 or more (Flux Fill: 30).")
    if not 0 < denoise <= 1:
        raise ValueError(f"denoise is {denoise}: choose more than 0, at most 1 (Flux Fill: 0.8).")


def check_source(source: str | Path) -> None:
    """Refuse what cannot be Flux Fill in the diffusers layout, without loading or downloading it.

    Raises:
        ValueError: a file, a folder that is no FluxFillPipeline, or neither a folder nor an id.
    """
    path = Path(source)
    if path.is_file():
        raise ValueError(
            f"{path} is a single file: outside ComfyUI Flux Fill is read from a folder in the "
            "diffusers layout (model_index.json, transformer/, vae/, ...) or a Hugging Face id."
        )
    if path.is_dir():
        _check_index(path)
        return
    parts = str(source).split("/")
    if len(parts) != 2 or not all(parts) or parts[0].strip(".~") == "":
        raise ValueError(f"there is no folder {source}, and it is no Hugging Face id owner/name.")


def _check_index(folder: Path) -> None:
    index = folder / "model_index.json"
    if not index.is_file():
        raise ValueError(f"{folder} holds no model_index.json: it is no model for diffusers.")
    try:
        found = json.loads(index.read_text("utf-8")).get("_class_name")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{index} is damaged: download the folder again.") from error
    if found != _PIPELINE:
        raise ValueError(f"{folder} holds a {found}: a {_PIPELINE} is needed.")


def _diffusers() -> Any:
    try:
        return importlib.import_module("diffusers")
    except ImportError as error:
        raise ValueError(_MISSING) from error
