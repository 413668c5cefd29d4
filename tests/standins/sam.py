"""Segment Anything in a network of a few numbers."""

from __future__ import annotations

import torch

WIDTH, OUT, HEAD, GRID, WINDOW = 16, 16, 8, 4, 3


def layout():
    """Names and shapes as published, of a network of 64x64 pixels with two blocks."""

    def linear(name, out, width):
        return {f"{name}.weight": (out, width), f"{name}.bias": (out,)}

    def norm(name, width):
        return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

    def attention(name, inner):
        parts = {}
        for part in ("q_proj", "k_proj", "v_proj"):
            parts |= linear(f"{name}.{part}", inner, OUT)
        return parts | linear(f"{name}.out_proj", OUT, inner)

    encoder = "image_encoder."
    shapes = {
        f"{encoder}pos_embed": (1, GRID, GRID, WIDTH),
        f"{encoder}patch_embed.proj.weight": (WIDTH, 3, 16, 16),
        f"{encoder}patch_embed.proj.bias": (WIDTH,),
        f"{encoder}neck.0.weight": (OUT, WIDTH, 1, 1),
        f"{encoder}neck.2.weight": (OUT, OUT, 3, 3),
        **norm(f"{encoder}neck.1", OUT),
        **norm(f"{encoder}neck.3", OUT),
    }
    for number, reach in enumerate((WINDOW, GRID)):
        block = f"{encoder}blocks.{number}."
        shapes |= norm(f"{block}norm1", WIDTH) | norm(f"{block}norm2", WIDTH)
        shapes |= linear(f"{block}attn.qkv", 3 * WIDTH, WIDTH)
        shapes |= linear(f"{block}attn.proj", WIDTH, WIDTH)
        shapes |= {f"{block}attn.rel_pos_{axis}": (2 * reach - 1, HEAD) for axis in "hw"}
        shapes |= linear(f"{block}mlp.lin1", 32, WIDTH) | linear(f"{block}mlp.lin2", WIDTH, 32)
    prompt = "prompt_encoder."
    shapes |= {
        f"{prompt}pe_layer.positional_encoding_gaussian_matrix": (2, OUT // 2),
        **{f"{prompt}point_embeddings.{i}.weight": (1, OUT) for i in range(4)},
        f"{prompt}not_a_point_embed.weight": (1, OUT),
        f"{prompt}no_mask_embed.weight": (1, OUT),
        f"{prompt}mask_downscaling.0.weight": (1, 1, 2, 2),
        f"{prompt}mask_downscaling.0.bias": (1,),
        **norm(f"{prompt}mask_downscaling.1", 1),
        f"{prompt}mask_downscaling.3.weight": (4, 1, 2, 2),
        f"{prompt}mask_downscaling.3.bias": (4,),
        **norm(f"{prompt}mask_downscaling.4", 4),
        f"{prompt}mask_downscaling.6.weight": (OUT, 4, 1, 1),
        f"{prompt}mask_downscaling.6.bias": (OUT,),
    }
    decoder = "mask_decoder."
    for number in range(2):
        layer = f"{decoder}transformer.layers.{number}."
        shapes |= attention(f"{layer}self_attn", OUT)
        shapes |= attention(f"{layer}cross_attn_token_to_image", OUT // 2)
        shapes |= attention(f"{layer}cross_attn_image_to_token", OUT // 2)
        shapes |= linear(f"{layer}mlp.lin1", 32, OUT) | linear(f"{layer}mlp.lin2", OUT, 32)
        for i in range(1, 5):
            shapes |= norm(f"{layer}norm{i}", OUT)
    shapes |= attention(f"{decoder}transformer.final_attn_token_to_image", OUT // 2)
    shapes |= norm(f"{decoder}transformer.norm_final_attn", OUT)
    shapes |= {
        f"{decoder}iou_token.weight": (1, OUT),
        f"{decoder}mask_tokens.weight": (4, OUT),
        f"{decoder}output_upscaling.0.weight": (OUT, 4, 2, 2),
        f"{decoder}output_upscaling.0.bias": (4,),
        **norm(f"{decoder}output_upscaling.1", 4),
        f"{decoder}output_upscaling.3.weight": (4, 2, 2, 2),
        f"{decoder}output_upscaling.3.bias": (2,),
    }
    for i in range(4):
        part = f"{decoder}output_hypernetworks_mlps.{i}.layers."
        shapes |= linear(f"{part}0", OUT, OUT) | linear(f"{part}1", OUT, OUT)
        shapes |= linear(f"{part}2", 2, OUT)
    head = f"{decoder}iou_prediction_head.layers."
    shapes |= linear(f"{head}0", 8, OUT) | linear(f"{head}1", 8, 8) | linear(f"{head}2", 4, 8)
    return shapes


def weights():
    """By a formula, so that the published implementation can be given the same."""
    made = {}
    for number, (name, shape) in enumerate(sorted(layout().items())):
        count = int(torch.tensor(shape).prod())
        values = torch.sin(torch.arange(count, dtype=torch.float64) ** 1.5 + number).view(shape)
        if len(shape) > 1:
            values = values * 2 / torch.tensor(shape[1:]).prod() ** 0.5
        if "norm" in name and name.endswith("weight"):
            values = 1 + 0.3 * values
        made[name] = values.float()
    return made
