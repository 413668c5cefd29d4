"""FluxFillRefine: inpainting with core's own nodes, put together for removal."""

from __future__ import annotations

from itertools import count
from typing import Any

import comfy.model_base
import comfy.samplers
import torch
import torch.nn.functional as F
from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask, size_of
from ..cleanplate.geometry import Size, round_up
from .shared import say, says_empty

_FLUX_CFG = 1.0
_LATENT_MULTIPLE = 16


class FluxFillRefine(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FluxFillRefine",
            display_name="Refine (Flux Fill)",
            category="CleanPlate/refine",
            description="Lets an inpainting model correct what the removal left, starting from it "
            "instead of from noise: at denoise 0.8 Flux Fill repairs the fill and does not invent "
            "a new object. Takes Flux Fill, and SD and SDXL inpainting models; what differs "
            "between them follows the model.",
            search_aliases=[
                "inpaint",
                "flux fill",
                "flux inpainting",
                "refine",
                "differential diffusion",
                "sd inpainting",
                "인페인팅",
                "インペイント",
                "局部重绘",
            ],
            enable_expand=True,
            inputs=[
                io.Model.Input(
                    "model", tooltip="Flux Fill, or an SD or SDXL inpainting checkpoint."
                ),
                io.Vae.Input("vae", tooltip="The model's VAE."),
                io.Conditioning.Input(
                    "positive",
                    tooltip="Empty, or a few words on the background. Do not name the object.",
                ),
                io.Image.Input("image", tooltip="The crop with the object already removed."),
                io.Mask.Input("mask", tooltip="What to refine."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Of the noise. Another seed gives another refinement.",
                ),
                io.Int.Input(
                    "steps",
                    default=20,
                    min=1,
                    max=1000,
                    tooltip="Sampling steps. At denoise 0.8 take 4 or more: with fewer, sampling "
                    "starts from pure noise.",
                ),
                io.Float.Input(
                    "guidance",
                    default=30.0,
                    min=0.0,
                    max=100.0,
                    step=0.5,
                    tooltip="Flux's own guidance; Flux Fill wants 30. Other models ignore it.",
                ),
                io.Float.Input(
                    "denoise",
                    default=0.8,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much may change. 0.8 corrects; 1.0 forgets the removal and may "
                    "paint a new object.",
                ),
                io.Float.Input(
                    "cfg",
                    default=7.0,
                    min=1.0,
                    max=30.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Strength of the prompt for SD and SDXL. Flux always runs at 1.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=comfy.samplers.KSampler.SAMPLERS,
                    default="euler",
                    advanced=True,
                    tooltip="The sampling method.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=comfy.samplers.KSampler.SCHEDULERS,
                    default="normal",
                    advanced=True,
                    tooltip="How the noise is spread over the steps.",
                ),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="What to avoid, for SD and SDXL. Flux has none.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="The refined crop. Outside the mask it went through the VAE: "
                    "StitchBack puts only the masked part back.",
                ),
                io.Latent.Output(display_name="latent", tooltip="The same as latent."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        vae: Any,
        positive: Any,
        image: Tensor,
        mask: Tensor,
        seed: int,
        steps: int,
        guidance: float,
        denoise: float,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        negative: Any = None,
    ) -> io.NodeOutput:
        check_image(image)
        mask = check_mask(mask, image)
        is_flux = is_flux_fill(model)
        size = size_of(image)
        pixels, mask = _pad_to_latent(image[..., :3], mask)

        # Values rather than links are handed on, so that a list of crops becomes one run for each.
        graph = GraphBuilder()
        if denoise == 0:
            say("denoise is 0: the image passes through unchanged.")
        if denoise == 0 or says_empty(mask):
            encoded = graph.node("VAEEncode", "encode", pixels=pixels, vae=vae)
            return io.NodeOutput(image, encoded.out(0), expand=graph.finalize())

        if denoise < 1 and int(steps / denoise) == steps:
            # KSampler runs the last `steps` of int(steps / denoise) steps.
            enough = next(n for n in count(steps) if int(n / denoise) > n)
            say(
                f"With {steps} steps a denoise of {denoise:g} starts from pure noise, as 1.0 does: "
                f"take at least {enough} steps, or less denoise."
            )
        if is_flux:
            guided = graph.node(
                "FluxGuidance", "guidance", conditioning=positive, guidance=guidance
            ).out(0)
        else:
            guided = positive
        if is_flux or negative is None:
            negative = graph.node("ConditioningZeroOut", "negative", conditioning=positive).out(0)
        differential = graph.node("DifferentialDiffusion", "differential", model=model)
        conditioned = graph.node(
            "InpaintModelConditioning",
            "conditioning",
            positive=guided,
            negative=negative,
            vae=vae,
            pixels=pixels,
            mask=mask,
            noise_mask=True,
        )
        sampled = graph.node(
            "KSampler",
            "sample",
            model=differential.out(0),
            positive=conditioned.out(0),
            negative=conditioned.out(1),
            latent_image=conditioned.out(2),
            seed=seed,
            steps=steps,
            cfg=_FLUX_CFG if is_flux else cfg,
            sampler_name=sampler_name,
            scheduler=scheduler,
            denoise=denoise,
        )
        decoded = graph.node("VAEDecode", "decode", samples=sampled.out(0), vae=vae).out(0)
        if size_of(pixels) != size:
            region = {"x": 0, "y": 0, "width": size.width, "height": size.height}
            decoded = graph.node("ImageCropV2", "crop", image=decoded, crop_region=region).out(0)
        return io.NodeOutput(decoded, sampled.out(0), expand=graph.finalize())


def is_flux_fill(model: Any) -> bool:
    """Whether a MODEL is Flux Fill, or else an SD or SDXL inpainting model.

    Raises:
        ValueError: a model that was not trained to inpaint.
    """
    base = model.model
    channels = base.model_config.unet_config
    if isinstance(base, comfy.model_base.Flux):
        # Flux Fill sees noise, the masked image and 64 channels of mask; Control only an image.
        if channels["in_channels"] > 2 * channels["out_channels"]:
            return True
    elif "mask" in base.concat_keys:
        return False
    raise ValueError(
        f"model is a {type(base).__name__} model that was not trained to inpaint (it takes "
        f"{channels.get('in_channels')} channels and no mask): load Flux Fill "
        "(flux1-fill-dev), or an SD or SDXL inpainting checkpoint."
    )


def _pad_to_latent(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat the right and bottom edge up to whole latent patches; the mask gets 0 there.

    InpaintModelConditioning would otherwise cut the image to a multiple of 8 around its middle,
    and what comes back would no longer lie where it was.
    """
    old = size_of(image)
    new = Size(round_up(old.width, _LATENT_MULTIPLE), round_up(old.height, _LATENT_MULTIPLE))
    if new == old:
        return image.contiguous(), mask
    pad = (0, new.width - old.width, 0, new.height - old.height)
    padded = F.pad(image.movedim(-1, 1).to(torch.float32), pad, mode="replicate").movedim(1, -1)
    return padded.contiguous(), F.pad(mask, pad)


NODES: list[type[io.ComfyNode]] = [FluxFillRefine]
