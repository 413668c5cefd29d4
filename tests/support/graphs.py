"""Pictures, masks, and graphs around one node each, for tests with ComfyUI in this process."""

from __future__ import annotations

import torch

CROP = {
    "context_factor": 1.5,
    "context_pixels": 32,
    "grow": 0,
    "feather": 16,
    "minimum_size": 0,
    "multiple_of": 8,
    "bounds": "keep inside the image",
}
LAMA = {"grow": 8, "feather": 4, "context_factor": 2.0, "context_pixels": 64}
FILL = {"method": "telea", "grow": 8, "feather": 4}
SIZE = {"model_family": "custom", "megapixels": 0.05, "multiple_of": 16}
REFINE = {
    "seed": 1,
    "steps": 2,
    "guidance": 30.0,
    "denoise": 0.8,
    "cfg": 7.0,
    "sampler_name": "euler",
    "scheduler": "normal",
}


def node(class_type: str, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def picture(height=101, width=133, batch=1, channels=3, dtype=torch.float32):
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    base = torch.stack([x, y, (x + y) / 2, torch.full_like(x, 0.5)][:channels], dim=-1)
    return (0.2 + 0.6 * base).expand(batch, -1, -1, -1).clone().to(dtype)


def mask_of(*spots, height=101, width=133):
    mask = torch.zeros(1, height, width)
    for y, x, h, w in spots:
        mask[0, y : y + h, x : x + w] = 1
    return mask


def lama_graph(comfy, image, mask, **settings):
    return {
        "image": comfy.source(image),
        "mask": comfy.source(mask),
        "model": node("LoadRemovalModel", model_name="big-lama.safetensors"),
        "remove": node(
            "LamaRemove",
            image=["image", 0],
            mask=["mask", 0],
            removal_model=["model", 0],
            **{**LAMA, **settings},
        ),
    }


def crop_graph(comfy, image, mask, **settings):
    return {
        "image": comfy.source(image),
        "mask": comfy.source(mask),
        "crop": node(
            "CropAroundMask", image=["image", 0], mask=["mask", 0], **{**CROP, **settings}
        ),
        "stitch": node("StitchBack", stitch=["crop", 0], image=["crop", 1]),
    }


def refine_graph(
    comfy,
    image,
    mask,
    loader="flux1-fill-random.safetensors",
    vae="ae.safetensors",
    **settings,
):
    return {
        "image": comfy.source(image),
        "mask": comfy.source(mask),
        "model": node("UNETLoader", unet_name=loader, weight_dtype="default"),
        "clip": node(
            "DualCLIPLoader",
            clip_name1="clip_l.safetensors",
            clip_name2="t5xxl_fp16.safetensors",
            type="flux",
        ),
        "vae": node("VAELoader", vae_name=vae),
        "text": node("CLIPTextEncode", clip=["clip", 0], text=""),
        "refine": node(
            "FluxFillRefine",
            model=["model", 0],
            vae=["vae", 0],
            positive=["text", 0],
            image=["image", 0],
            mask=["mask", 0],
            **{**REFINE, **settings},
        ),
    }


def sd_graph(comfy, image, mask, checkpoint="sd15-inpainting.safetensors", **settings):
    graph = refine_graph(comfy, image, mask, **settings)
    graph["model"] = node("CheckpointLoaderSimple", ckpt_name=checkpoint)
    del graph["clip"], graph["vae"]
    graph["text"]["inputs"]["clip"] = ["model", 1]
    graph["refine"]["inputs"]["vae"] = ["model", 2]
    return graph


def fill_graph(comfy, image, mask):
    return {
        "image": comfy.source(image),
        "mask": comfy.source(mask),
        "fill": node("ContentAwareFill", image=["image", 0], mask=["mask", 0], **FILL),
    }


def upscale_graph(comfy, image, mask):
    return {
        "image": comfy.source(image),
        "mask": comfy.source(mask),
        "up": node("UpscaleToModelRes", image=["image", 0], mask=["mask", 0], **SIZE),
    }
