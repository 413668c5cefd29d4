"""Known damage to photos: blur, compression, noise, light, and white spots."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Degrade = Callable[[Picture, int], Picture]
"""Makes a photo worse; the number seeds what is random."""


def blur(sigma: float) -> Degrade:
    return lambda photo, seed: cv2.GaussianBlur(photo, (0, 0), sigma)


def motion(length: int) -> Degrade:
    """Motion by that many pixels, in a direction of the photo's own."""

    def degrade(photo: Picture, seed: int) -> Picture:
        angle = np.random.default_rng(seed).uniform(0, 180)
        kernel = np.zeros((length + 2, length + 2), np.float32)
        kernel[(length + 1) // 2, 1:-1] = 1
        middle = ((length + 1) / 2, (length + 1) / 2)
        turned = cv2.warpAffine(kernel, cv2.getRotationMatrix2D(middle, angle, 1), kernel.shape)
        return cv2.filter2D(photo, -1, turned / turned.sum())

    return degrade


def enlarged(factor: int, how: int = cv2.INTER_CUBIC) -> Degrade:
    def degrade(photo: Picture, seed: int) -> Picture:
        height, width = photo.shape[0] // factor, photo.shape[1] // factor
        small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width * factor, height * factor), interpolation=how)

    return degrade


def jpeg(quality: int, shift: tuple[int, int] = (0, 0)) -> Degrade:
    def degrade(photo: Picture, seed: int) -> Picture:
        code = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(code, cv2.IMREAD_COLOR)[shift[0] :, shift[1] :, ::-1]

    return degrade


def noise(sigma: float, alike: bool = False) -> Degrade:
    """Gaussian noise, of its own in each channel or the same in all."""

    def degrade(photo: Picture, seed: int) -> Picture:
        shape = (*photo.shape[:2], 1 if alike else 3)
        grain = np.random.default_rng(seed).normal(0, sigma, shape)
        return (photo + grain).round().clip(0, 255).astype(np.uint8)

    return degrade


def stops(ev: float) -> Degrade:
    """Exposure changed by so many stops, in linear light."""

    def degrade(photo: Picture, seed: int) -> Picture:
        value = np.arange(256) / 255
        linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
        linear = (linear * 2**ev).clip(0, 1)
        coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        return (coded * 255).round().astype(np.uint8)[photo]

    return degrade


def then(first: Degrade, second: Degrade) -> Degrade:
    return lambda photo, seed: second(first(photo, seed), seed)


def half_blurred(photo: Picture, sigma: float) -> tuple[Picture, Picture]:
    """Blurred in an ellipse that covers half of it; and 1 there."""
    height, width = photo.shape[:2]
    truth = np.zeros((height, width), np.uint8)
    axes = (round(0.4 * width), round(0.4 * height))
    cv2.ellipse(truth, (width // 2, height // 2), axes, 0, 0, 360, 1, -1)
    alpha = cv2.GaussianBlur(truth.astype(np.float32), (0, 0), 1.5)[..., None]
    soft = cv2.GaussianBlur(photo, (0, 0), sigma)
    return (soft * alpha + photo * (1 - alpha)).round().astype(np.uint8), truth


def with_highlights(photo: Picture, seed: int) -> tuple[Picture, NDArray[np.int32]]:
    """Six white spots, irregular, with a soft rim, on what is neither black nor bright.

    Returns:
        the picture, and the number of its spot for each pixel: those that are 60 % white or more.
    """
    generator = np.random.default_rng(seed)
    height, width = photo.shape[:2]
    light = cv2.GaussianBlur(photo.mean(2), (0, 0), 4)
    out, truth = photo.astype(np.float32), np.zeros((height, width), np.int32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    number = 0
    for _ in range(2000):
        radius = max(generator.uniform(0.004, 0.014) * (height * width) ** 0.5, 2.5)
        slim, angle = generator.uniform(0.35, 1), generator.uniform(0, np.pi)
        cx = generator.uniform(3 * radius, width - 3 * radius)
        cy = generator.uniform(3 * radius, height - 3 * radius)
        if not 25 < light[int(cy), int(cx)] < 165:
            continue
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) / slim
        turn = np.arctan2(across, along)
        phases = generator.uniform(0, 2 * np.pi, 2)
        wobble = 1 + 0.15 * np.cos(2 * turn + phases[0]) + 0.12 * np.cos(3 * turn + phases[1])
        away = np.hypot(along, across) / (radius * wobble)
        alpha = np.clip(generator.uniform(1.1, 2.5) * np.exp(-(away**2) / 2), 0, 1)
        if truth[alpha > 0.05].any():
            continue
        number += 1
        colour = 255 - generator.uniform(0, 14, 3).astype(np.float32)
        out += np.maximum(colour - out, 0) * alpha[..., None]
        truth[alpha > 0.6] = number
        if number == 6:
            break
    return out.round().clip(0, 255).astype(np.uint8), truth
