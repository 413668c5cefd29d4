"""The three networks of MTCNN, with the weights that the package `mtcnn` ships.

Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", IEEE Signal Processing Letters 2016. Layers and their order are those of
`mtcnn` 1.0.0 (MIT, network/pnet.py, rnet.py, onet.py), whose weights are laid out for Keras.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .mtcnn_weights import Array, read_arrays, weights_folder


class Proposal(nn.Module):
    """P-Net: slides a window of 12 pixels, in steps of 2, over an image of any size from 12 on."""

    window = 12
    step = 2

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 10, 3),
            nn.PReLU(10),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.Conv2d(10, 16, 3),
            nn.PReLU(16),
            nn.Conv2d(16, 32, 3),
            nn.PReLU(32),
        )
        self.box = nn.Conv2d(32, 4, 1)
        self.face = nn.Conv2d(32, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes and scores at each place of the window.

        Args:
            x: ``[N, 3, H, W]``, tones in -1..1.

        Returns:
            how far left, top, right and bottom of the face lie from those of the window, in sizes
            of the window, ``[N, 4, h, w]``; how likely it holds a face, ``[N, h, w]``.
        """
        x = self.features(x)
        return self.box(x), _likelihood(self.face(x))


class Refine(nn.Module):
    """R-Net: looks again at what the first network proposes, in 24x24 pixels."""

    size = 24

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 28, 3),
            nn.PReLU(28),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(28, 48, 3),
            nn.PReLU(48),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(48, 64, 2),
            nn.PReLU(64),
            nn.Flatten(),
            nn.Linear(576, 128),
            nn.PReLU(128),
        )
        self.box = nn.Linear(128, 4)
        self.face = nn.Linear(128, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes ``[N, 4]`` and scores ``[N]`` of crops ``[N, 3, 24, 24]``; as `Proposal`."""
        x = self.features(x)
        return self.box(x), _likelihood(self.face(x))


class Output(nn.Module):
    """O-Net: decides, and places the five landmarks, in 48x48 pixels."""

    size = 48

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.PReLU(32),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(32, 64, 3),
            nn.PReLU(64),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 64, 3),
            nn.PReLU(64),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.Conv2d(64, 128, 2),
            nn.PReLU(128),
            nn.Flatten(),
            nn.Linear(1152, 256),
            nn.PReLU(256),
        )
        self.box = nn.Linear(256, 4)
        self.landmarks = nn.Linear(256, 10)
        self.face = nn.Linear(256, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at crops ``[N, 3, 48, 48]``.

        Returns:
            boxes ``[N, 4]`` and scores ``[N]`` as `Proposal` gives them, and landmarks
            ``[N, 5, 2]``: x and y from the crop's left and top, in sizes of the crop.
        """
        x = self.features(x)
        landmarks = self.landmarks(x).view(-1, 2, 5).transpose(1, 2)
        return self.box(x), _likelihood(self.face(x)), landmarks


class Mtcnn(nn.Module):
    """The three networks. Compute in float32; the caller chooses the device."""

    def __init__(self) -> None:
        super().__init__()
        self.proposal = Proposal()
        self.refine = Refine()
        self.output = Output()

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


def load_mtcnn(folder: Path | None = None) -> Mtcnn:
    """The networks with their weights, on the CPU, ready to be used.

    Args:
        folder: holds pnet.lz4, rnet.lz4 and onet.lz4; the installed package's if not given.

    Raises:
        ValueError: `mtcnn` or `lz4` is not installed, or a file is damaged or another network's.
    """
    folder = folder or weights_folder()
    networks = Mtcnn()
    for name, network in (
        ("pnet.lz4", networks.proposal),
        ("rnet.lz4", networks.refine),
        ("onet.lz4", networks.output),
    ):
        path = folder / name
        arrays = read_arrays(path)
        try:
            _fill(network, arrays)
        except (RuntimeError, ValueError, StopIteration) as error:
            raise ValueError(
                f"{name} is not the network that its name says ({len(arrays)} arrays of other "
                "shapes): install the published package mtcnn again."
            ) from error
    # With so few channels, convolutions are up to four times as quick when these lie together.
    for parameter in networks.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return networks.eval().requires_grad_(False)


def _likelihood(logits: Tensor) -> Tensor:
    """Of a face, from the logits ``[N, 2, ...]`` of "none" and "face"."""
    return torch.sigmoid(logits[:, 1] - logits[:, 0])


def _fill(network: nn.Module, arrays: list[Array]) -> None:
    """Copy Keras' arrays, which come in the order of the layers.

    Raises:
        ValueError, RuntimeError, StopIteration: they do not fit.
    """
    source = iter(arrays)
    channels = 0
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                channels = layer.out_channels
                _set(layer.weight, next(source).transpose(3, 2, 0, 1))
                _set(layer.bias, next(source))
            elif isinstance(layer, nn.PReLU):
                _set(layer.weight, next(source).reshape(-1))
            elif isinstance(layer, nn.Linear):
                _set(layer.weight, _dense(next(source), channels))
                _set(layer.bias, next(source))
                channels = 0
    if next(source, None) is not None:
        raise ValueError("arrays left")


def _dense(weight: Array, channels: int) -> Array:
    """A dense layer's weight as ``[outputs, inputs]``.

    The first after the convolutions reads their pixels in the order column, row, channel, where
    ours come as channel, row, column.
    """
    inputs, outputs = weight.shape
    if channels:
        side = round((inputs / channels) ** 0.5)
        weight = weight.reshape(side, side, channels, outputs).transpose(2, 1, 0, 3)
    return np.ascontiguousarray(weight.reshape(inputs, outputs).T)


def _set(parameter: Tensor | None, values: Array) -> None:
    if parameter is None or tuple(parameter.shape) != values.shape:
        raise ValueError("another shape")
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
