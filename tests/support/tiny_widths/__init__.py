"""Test-only custom node: lets DualCLIPLoader read text encoders of any width.

ComfyUI keeps the widths of CLIP-L and T5-XXL in files of its own. This wraps its loader so that
the widths of the given weights win. Real encoders pass through unchanged. It adds no node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import comfy.sd
from torch import Tensor

Weights = Mapping[str, Tensor]

NODE_CLASS_MAPPINGS: dict[str, type] = {}


def _count_layers(weights: Weights, prefix: str) -> int:
    return len({k[len(prefix) :].split(".")[0] for k in weights if k.startswith(prefix)})


def _t5_config(weights: Weights) -> dict[str, int]:
    attention = "encoder.block.0.layer.0.SelfAttention"
    heads = weights[f"{attention}.relative_attention_bias.weight"].shape[1]
    inner, width = weights[f"{attention}.q.weight"].shape
    return {
        "d_model": width,
        "d_ff": weights["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"].shape[0],
        "d_kv": inner // heads,
        "num_heads": heads,
        "num_layers": _count_layers(weights, "encoder.block."),
    }


def _clip_l_config(weights: Weights) -> dict[str, int]:
    width = weights["text_model.embeddings.token_embedding.weight"].shape[1]
    return {
        "hidden_size": width,
        "projection_dim": width,
        "intermediate_size": weights["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_attention_heads": max(1, width // 64),
        "num_hidden_layers": _count_layers(weights, "text_model.encoder.layers."),
    }


def _widths(state_dicts: list[Weights]) -> dict[str, dict[str, int]]:
    options: dict[str, dict[str, int]] = {}
    for weights in state_dicts:
        if "encoder.block.0.layer.1.DenseReluDense.wi_0.weight" in weights:
            options["t5xxl_model_config"] = _t5_config(weights)
        elif "text_model.encoder.layers.1.mlp.fc1.weight" in weights:
            # ComfyUI copies "model_config" to "clip_l_model_config" when it looks for Long-CLIP.
            options["model_config"] = _clip_l_config(weights)
    return options


def _wrap(load: Callable[..., Any]) -> Callable[..., Any]:
    def load_any_width(state_dicts: list[Weights], *args: Any, **kwargs: Any) -> Any:
        if len(state_dicts) == 2 and "model_options" in kwargs:
            options = {**kwargs["model_options"], **_widths(state_dicts)}
            kwargs = {**kwargs, "model_options": options}
        return load(state_dicts, *args, **kwargs)

    return load_any_width


comfy.sd.load_text_encoder_state_dicts = _wrap(comfy.sd.load_text_encoder_state_dicts)
