"""What FaceRestore does outside its network: exactness and cost, at many sizes of faces and images.

Needs no weights: the networks are one that changes nothing, and one that returns the negative.
"""

from __future__ import annotations

import argparse
import sys
import time
from math import cos, radians, sin
from pathlib import Path

import cv2
import numpy as np
import torch

FACES = (24, 48, 96, 200, 400, 800, 1500)
SIDES = (512, 1024, 2048, 4096)
FACE_OF_FRAME = 0.625
"""Height of a face in the frame of FFHQ, roughly."""


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="faces.py restore", description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    text = "\n\n".join((exactness(), fidelity(), cost()))
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")


def photo(height: int, width: int) -> torch.Tensor:
    """scikit-image's astronaut at that size, with the grain of a camera."""
    from skimage import data

    image = torch.from_numpy(data.astronaut()).float()[None].movedim(-1, 1) / 255
    large = torch.nn.functional.interpolate(image, (height, width), mode="bicubic", antialias=True)
    grain = torch.randn(1, height, width, 3, generator=torch.Generator().manual_seed(0))
    return (large.movedim(1, -1) + 0.02 * grain).clamp(0, 1).contiguous()


def face_at(x: float, y: float, height: float, degrees: float):
    """A face of that height, turned, whose frame has its middle there."""
    from cleanplate.faces.align import TEMPLATE
    from cleanplate.faces.face import Face

    turn, k = radians(degrees), height / FACE_OF_FRAME / 512
    linear = k * np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    points = (TEMPLATE + 0.5 - 256) @ linear.T + (x, y)
    half = height / 2
    return Face((x - half, y - half, x + half, y + half), 1.0, tuple(map(tuple, points.tolist())))


def exactness() -> str:
    """How far identity and negative are from exact, at each size of face."""
    from cleanplate.faces.restore import Settings, restore_faces

    plain = Settings(1.0, colour="none", guard=False)
    lines = [
        "Levels of 255. The plain paste adds the warped change and nothing else.",
        "",
        "| face | image | turned | identity | outside the mask | negative, mean | negative, most "
        "| plain paste, mean | plain paste, most |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for height in FACES:
        for degrees in (0, 25):
            n = max(64, round(height / FACE_OF_FRAME * 1.3))
            image = photo(n, n + 9)
            faces = [[face_at(n / 2 + 0.3, n / 2, height, degrees)]]
            same = restore_faces(image, faces, lambda crops, _: 0 * crops, plain)
            other = restore_faces(image, faces, lambda crops, _: 1 - 2 * crops, plain)
            full, outside = other.mask == 1, other.mask == 0
            away = 255 * (other.image - (1 - image))[full].abs()
            kept = torch.equal(other.image[outside], image[outside])
            worse = 255 * (_plain_paste(image, faces[0][0]) - (1 - image))[full].abs()
            identical = torch.equal(same.image, image)
            lines.append(
                f"| {height} | {n + 9}x{n} | {degrees}° "
                f"| {'bit-identical' if identical else 'DIFFERS'} "
                f"| {'bit-identical' if kept else 'DIFFERS'} "
                f"| {away.mean():.4f} | {away.max():.2f} "
                f"| {worse.mean():.2f} | {worse.max():.1f} |"
            )
    return "\n".join(lines)


def _plain_paste(image: torch.Tensor, face) -> torch.Tensor:
    """The negative's change warped back and added, without the gain of the detail."""
    from cleanplate.checks import size_of
    from cleanplate.faces.align import align
    from cleanplate.faces.warp import Sampler
    from cleanplate.geometry import Box

    alignment = align(face.landmarks)
    change = 1 - 2 * alignment.crop(image[0])
    return image + Sampler(change, alignment.matrix).at(Box.of(size_of(image)))


def fidelity() -> str:
    """How near a face comes to the clean one when the network knows the clean crop.

    Beside ours: the warped change added as it is, which keeps all grain finer than the frame, and
    the restored frame pasted over the image, which loses all detail finer than the frame.
    """
    from skimage import data

    from cleanplate.checks import size_of
    from cleanplate.faces.align import align
    from cleanplate.faces.restore import Settings, restore_faces
    from cleanplate.faces.warp import Sampler
    from cleanplate.geometry import Box

    source = torch.from_numpy(data.astronaut()).float()[None, 20:260, 100:340].movedim(-1, 1) / 255
    lines = [
        "PSNR in dB to the clean image, full-weight mask, with a network that returns the clean "
        "crop.",
        "",
        "| face | damage | before | change added | frame pasted | ours |",
        "|---|---|---|---|---|---|",
    ]
    for n in (110, 240, 600, 1600):
        resized = torch.nn.functional.interpolate(source, (n, n), mode="bicubic", antialias=True)
        clean = resized.movedim(1, -1).clamp(0, 1).contiguous()
        face = face_at(0.52 * n, 0.42 * n, 0.457 * n, 5)
        alignment = align(face.landmarks)
        known = alignment.crop(clean[0])
        for damage, harm in DAMAGES.items():
            bad = harm(clean)
            box = Box.of(size_of(bad))
            change = known - alignment.crop(bad[0])
            ours = restore_faces(
                bad,
                [[face]],
                lambda crops, _, known=known: known[None] - crops,
                Settings(1.0, colour="none", guard=False),
            )
            added = (bad + Sampler(change, alignment.matrix).at(box)).clamp(0, 1)
            pasted = Sampler(known, alignment.matrix).at(box)[None].clamp(0, 1)
            full = ours.mask == 1
            values = (_psnr(x, clean, full) for x in (bad, added, pasted, ours.image))
            lines.append(
                f"| {0.457 * n:.0f} | {damage} | {' | '.join(f'{v:.1f}' for v in values)} |"
            )
    return "\n".join(lines)


def _blurred(image: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(cv2.GaussianBlur(image[0].numpy(), (0, 0), image.shape[1] / 90))[None]


def _noisy(image: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    return (image + 0.05 * noise).clamp(0, 1)


def _compressed(image: torch.Tensor) -> torch.Tensor:
    levels = (image[0].numpy() * 255).round().astype(np.uint8)
    _, packed = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, 15])
    return torch.from_numpy(cv2.imdecode(packed, cv2.IMREAD_COLOR)).float()[None] / 255


DAMAGES = {"blur": _blurred, "noise": _noisy, "JPEG 15": _compressed}


def _psnr(image: torch.Tensor, clean: torch.Tensor, where: torch.Tensor) -> float:
    return float(-10 * (image - clean)[where].square().mean().log10())


def cost() -> str:
    """CPU-seconds outside the network for three faces, least of three runs."""
    from cleanplate import memory
    from cleanplate.faces.restore import Settings, restore_faces

    lines = [
        "CPU-seconds outside the network, at defaults but for the guard's search for landmarks, "
        f"least of three runs. {second_look()}",
        "",
        "| image | faces | copy of the image | all but the copy | for each face |",
        "|---|---|---|---|---|",
    ]
    for side in SIDES:
        image = photo(side, side)
        for height in (60, 120, 250, 500, 900):
            if 3.2 * height > side:
                continue
            faces = [
                face_at((i + 0.5) * side / 3, side * (0.3 + 0.2 * i), height, 12 * i)
                for i in range(3)
            ]

            def work(image=image, faces=faces) -> None:
                restore_faces(image, [faces], lambda crops, _: 0.05 * crops, Settings())

            def copy(image=image) -> None:
                memory.empty(image.shape, image.dtype, image.device).copy_(image)

            copying, all_of_it = least(copy), least(work)
            rest = all_of_it - copying
            lines.append(
                f"| {side}x{side} | 3 x {height} px | {copying:.3f} | {rest:.3f} | {rest / 3:.3f} |"
            )
    return "\n".join(lines)


def second_look() -> str:
    """What the guard's search for landmarks costs."""
    from skimage import data

    from cleanplate.faces.align import align
    from cleanplate.faces.mtcnn import load_mtcnn
    from cleanplate.faces.relook import Relook

    try:
        look = Relook(load_mtcnn())
    except ValueError:
        return "That search was not measured: mtcnn is not installed."
    face = face_at(225, 122, 107, 4)
    crop = align(face.landmarks).crop(torch.from_numpy(data.astronaut()).float() / 255)
    return f"That search takes {2 * least(lambda: look(crop)):.3f} for each face."


def least(work, runs: int = 3) -> float:
    spent = []
    for _ in range(runs):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


if __name__ == "__main__":
    from library import load_library

    load_library()
    main(sys.argv[1:])
