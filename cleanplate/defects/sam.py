"""The network of Segment Anything.

Kirillov et al., "Segment Anything", 2023 (weights and reference implementation Apache-2.0): a
vision transformer with windows (Li et al., "Exploring Plain Vision Transformer Backbones for Object
Detection", 2022), prompts as tokens, and a decoder in which tokens and image look at each other.
Names of the parts are those of the published weights; sizes are read off these.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_PATCH = 16
_MASKS = 4


class Sam(nn.Module):
    """Segment Anything for boxes.

    Args:
        tensors: its weights, by their published names.

    Raises:
        KeyError, ValueError, RuntimeError: the weights are not complete, or of other shapes.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.image_encoder = _ImageEncoder(tensors)
        self.prompt_encoder = _PromptEncoder(tensors)
        self.mask_decoder = _MaskDecoder(tensors)
        self.load_state_dict(dict(tensors), strict=True)
        self.eval().requires_grad_(False)

    @property
    def side(self) -> int:
        """Width and height of the input in pixels."""
        return int(self.image_encoder.pos_embed.shape[1]) * _PATCH

    def encode(self, image: Tensor) -> Tensor:
        """Features ``[1, C, side / 16, side / 16]`` of a normalised ``[1, 3, side, side]``."""
        features: Tensor = self.image_encoder(image)
        return features

    def masks(self, features: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """One mask for each box.

        Args:
            features: see `encode`.
            boxes: ``[N, 4]`` left, top, right, bottom in pixels of the input.

        Returns:
            logits ``[N, side / 4, side / 4]``, above 0 inside; and how good each is thought to be,
            0..1, ``[N]``.
        """
        tokens = self.prompt_encoder(boxes, self.side)
        grid = self.prompt_encoder.grid(features.shape[2], features.shape[3])
        blank = self.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        logits, quality = self.mask_decoder(features + blank, grid, tokens)
        return logits, quality


class _LayerNorm2d(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        norm = F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, 1e-6)
        return norm.movedim(-1, 1)


class _ImageEncoder(nn.Module):
    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        name = "image_encoder."
        place = tensors[name + "pos_embed"]
        grid, width = place.shape[1], place.shape[3]
        out = tensors[name + "neck.0.weight"].shape[0]
        self.pos_embed = nn.Parameter(torch.zeros_like(place))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, _PATCH, _PATCH)})
        count = 0
        self.blocks = nn.ModuleList()
        while f"{name}blocks.{count}.norm1.weight" in tensors:
            part = f"{name}blocks.{count}."
            rows, head = tensors[part + "attn.rel_pos_h"].shape
            hidden = tensors[part + "mlp.lin1.weight"].shape[0]
            reach = (rows + 1) // 2
            self.blocks.append(_Block(width, head, hidden, reach, 0 if reach == grid else reach))
            count += 1
        self.neck = nn.Sequential(
            nn.Conv2d(width, out, 1, bias=False),
            _LayerNorm2d(out),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            _LayerNorm2d(out),
        )

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch_embed["proj"](image).movedim(1, -1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.neck(x.movedim(-1, 1))
        return features


class _Block(nn.Module):
    """Attention, in windows or over everything (window 0), and a perceptron."""

    def __init__(self, width: int, head: int, hidden: int, reach: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _ImageAttention(width, head, reach)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Perceptron(width, hidden, nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + (self._in_windows(normed) if self.window else self.attn(normed))
        return x + self.mlp(self.norm2(x))

    def _in_windows(self, x: Tensor) -> Tensor:
        _, height, width, channels = x.shape
        side = self.window
        # The last windows are filled up with zeros, which take part as any other token.
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        down, across = x.shape[1] // side, x.shape[2] // side
        x = x.view(down, side, across, side, channels).transpose(1, 2)
        x = self.attn(x.reshape(-1, side, side, channels))
        x = x.view(down, across, side, side, channels).transpose(1, 2)
        return x.reshape(1, down * side, across * side, channels)[:, :height, :width]


class _ImageAttention(nn.Module):
    """Attention with learned weights for the distance along rows and along columns."""

    def __init__(self, width: int, head: int, reach: int) -> None:
        super().__init__()
        self.head = head
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * reach - 1, head))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * reach - 1, head))

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        qkv = self.qkv(x).view(count, height * width, 3, -1, self.head)
        # One head at a time: together they would take gigabytes over the whole image.
        out = [
            self._attend(q, k, v, height, width)
            for q, k, v in (head.unbind(0) for head in qkv.permute(3, 2, 0, 1, 4))
        ]
        joined: Tensor = self.proj(torch.cat(out, dim=-1).view(count, height, width, channels))
        return joined

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        """One head's ``[count, height * width, head]``."""
        grid = q.view(len(q), height, width, -1)
        rows = torch.einsum("bhwc,hkc->bhwk", grid, _by_distance(self.rel_pos_h, height))
        columns = torch.einsum("bhwc,wkc->bhwk", grid, _by_distance(self.rel_pos_w, width))
        bias = rows[..., :, None] + columns[..., None, :]
        return F.scaled_dot_product_attention(q, k, v, bias.reshape(len(q), height * width, -1))


def _by_distance(weights: Tensor, length: int) -> Tensor:
    """``[length, length, head]`` from a weight for each distance, the most negative first."""
    place = torch.arange(length, device=weights.device)
    return weights[place[:, None] - place[None, :] + length - 1]


class _Perceptron(nn.Module):
    def __init__(self, width: int, hidden: int, act: nn.Module) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lin2(self.act(self.lin1(x)))
        return out


class _PromptEncoder(nn.Module):
    """Boxes as two tokens each: their corners."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        name = "prompt_encoder."
        waves = tensors[name + "pe_layer.positional_encoding_gaussian_matrix"]
        width = 2 * waves.shape[1]
        self.pe_layer = nn.Module()
        self.pe_layer.register_buffer(
            "positional_encoding_gaussian_matrix", torch.zeros_like(waves)
        )
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, width)
        # For masks as prompts, which are not used here; in the file all the same.
        first = tensors[name + "mask_downscaling.0.weight"].shape[0]
        second = tensors[name + "mask_downscaling.3.weight"].shape[0]
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, first, 2, 2),
            _LayerNorm2d(first),
            nn.GELU(),
            nn.Conv2d(first, second, 2, 2),
            _LayerNorm2d(second),
            nn.GELU(),
            nn.Conv2d(second, width, 1),
        )
        self.no_mask_embed = nn.Embedding(1, width)

    def forward(self, boxes: Tensor, side: int) -> Tensor:
        """Tokens ``[N, 2, C]`` of boxes ``[N, 4]`` in pixels."""
        corners = (boxes.view(-1, 2, 2) + 0.5) / side
        start, end = self.point_embeddings[2], self.point_embeddings[3]
        assert isinstance(start, nn.Embedding) and isinstance(end, nn.Embedding)
        return self._waves(corners) + torch.cat((start.weight, end.weight))

    def grid(self, height: int, width: int) -> Tensor:
        """Where each feature lies, ``[1, C, height, width]``."""
        device = self.no_mask_embed.weight.device
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        places = torch.stack((x.expand(height, -1), y[:, None].expand(-1, width)), dim=-1)
        return self._waves(places).movedim(-1, 0)[None]

    def _waves(self, places: Tensor) -> Tensor:
        """Sines and cosines in random directions of places in 0..1."""
        matrix: Tensor = self.pe_layer.positional_encoding_gaussian_matrix  # type: ignore[assignment]
        turns = 2 * pi * ((2 * places.to(matrix.dtype) - 1) @ matrix)
        return torch.cat((turns.sin(), turns.cos()), dim=-1)


class _MaskDecoder(nn.Module):
    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        name = "mask_decoder."
        width = tensors[name + "iou_token.weight"].shape[1]
        half = tensors[name + "output_upscaling.0.weight"].shape[1]
        quarter = tensors[name + "output_upscaling.3.weight"].shape[1]
        self.transformer = _TwoWay(tensors, name + "transformer.")
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(_MASKS, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, half, 2, 2),
            _LayerNorm2d(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            _Layers(tensors, f"{name}output_hypernetworks_mlps.{i}.") for i in range(_MASKS)
        )
        self.iou_prediction_head = _Layers(tensors, name + "iou_prediction_head.")

    def forward(self, features: Tensor, grid: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.cat((self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((own.expand(len(prompts), -1, -1), prompts), dim=1)
        keys = features.flatten(2).transpose(1, 2).expand(len(prompts), -1, -1)
        tokens, keys = self.transformer(tokens, keys, grid.flatten(2).transpose(1, 2))
        picture = keys.transpose(1, 2).reshape(len(prompts), -1, *features.shape[2:])
        # The first mask is for prompts that leave no doubt, as boxes do; three are alternatives.
        weights = self.output_hypernetworks_mlps[0](tokens[:, 1])
        logits = torch.einsum("nc,nchw->nhw", weights, self.output_upscaling(picture))
        return logits, self.iou_prediction_head(tokens[:, 0])[:, 0]


class _TwoWay(nn.Module):
    """Tokens look at the image and the image at the tokens, layer by layer."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        while f"{name}layers.{len(self.layers)}.norm1.weight" in tensors:
            part = f"{name}layers.{len(self.layers)}."
            self.layers.append(_TwoWayLayer(tensors, part, first=not self.layers))
        self.final_attn_token_to_image = _Attention(tensors, name + "final_attn_token_to_image.")
        self.norm_final_attn = nn.LayerNorm(tensors[name + "norm_final_attn.weight"].shape[0])

    def forward(self, tokens: Tensor, keys: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        places = tokens
        for layer in self.layers:
            tokens, keys = layer(tokens, keys, places, grid)
        seen = self.final_attn_token_to_image(tokens + places, keys + grid, keys)
        return self.norm_final_attn(tokens + seen), keys


class _TwoWayLayer(nn.Module):
    def __init__(self, tensors: Mapping[str, Tensor], name: str, first: bool) -> None:
        super().__init__()
        width = tensors[name + "norm1.weight"].shape[0]
        self.first = first
        self.self_attn = _Attention(tensors, name + "self_attn.")
        self.cross_attn_token_to_image = _Attention(tensors, name + "cross_attn_token_to_image.")
        self.cross_attn_image_to_token = _Attention(tensors, name + "cross_attn_image_to_token.")
        self.mlp = _Perceptron(width, tensors[name + "mlp.lin1.weight"].shape[0], nn.ReLU())
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm3, self.norm4 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(
        self, tokens: Tensor, keys: Tensor, places: Tensor, grid: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.first:
            # Where the tokens are is all that they hold yet.
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + places
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        seen = self.cross_attn_token_to_image(tokens + places, keys + grid, keys)
        tokens = self.norm2(tokens + seen)
        tokens = self.norm3(tokens + self.mlp(tokens))
        told = self.cross_attn_image_to_token(keys + grid, tokens + places, tokens)
        return tokens, self.norm4(keys + told)


class _Attention(nn.Module):
    """Attention with eight heads, within fewer channels than its input has."""

    heads = 8

    def __init__(self, tensors: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        inner, width = tensors[name + "q_proj.weight"].shape
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        heads = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        out = F.scaled_dot_product_attention(*heads)
        joined: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return joined


class _Layers(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        while f"{name}layers.{len(self.layers)}.weight" in tensors:
            out, width = tensors[f"{name}layers.{len(self.layers)}.weight"].shape
            self.layers.append(nn.Linear(width, out))

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = layer(x) if number == 0 else layer(x.relu())
        return x
