"""What DefectDetect costs in ComfyUI, with all built-in detectors on.

    python benchmarks/defects.py node --comfyui PATH [--megapixels 1 4 16]
        [--photo NAME] [--repeat 3] [--out FILE]

Photos of scikit-image, enlarged or put side by side, with a little noise: the first has one face
that grows with the picture, the second none, the third ever more faces. CPU seconds of one thread
and the peak of the memory beside the image, of a whole run: detectors, mask, preview, and the
picture that is saved for the browser. CPU seconds are the best of some repeats; each figure comes
from a process of its own. Prints a Markdown table; Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from library import ROOT

PHOTOS = ("astronaut", "stereo_motorcycle", "astronaut, repeated")
_ALL = ("sharpness", "compression", "noise", "exposure", "faces", "highlights", "blur_map")


def picture(name: str, megapixels: float) -> torch.Tensor:
    """A photo ``[1, H, W, 3]`` of that size."""
    from skimage import data

    title, _, repeated = name.partition(",")
    photo = getattr(data, title)()
    photo = np.asarray(photo[0] if isinstance(photo, tuple) else photo)[..., :3]
    factor = math.sqrt(megapixels * 1e6 / (photo.shape[0] * photo.shape[1]))
    height, width = (round(side * factor) for side in photo.shape[:2])
    if repeated:
        times = math.ceil(factor)
        large = np.tile(photo, (times, times, 1))[:height, :width]
    else:
        large = cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC)
    image = torch.from_numpy(np.ascontiguousarray(large)).float().div_(255)
    noise = torch.Generator().manual_seed(0)
    for row in image:
        row.add_(torch.randn(row.shape, generator=noise), alpha=0.01).clamp_(0, 1)
    return image[None]


def _resident(field: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in status if line.startswith(field)).split()[1])


def measure(options: argparse.Namespace) -> float:
    """CPU seconds for each megapixel, or the peak of the memory in images, of a run."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.inprocess import ComfyProcess

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.single == "memory":
        # Freed blocks go back to the system, so that a peak does not hide in them. It takes time.
        ctypes.CDLL(None).mallopt(-3, 1 << 17)
    image = picture(options.photo, options.megapixels[0])
    with tempfile.TemporaryDirectory() as base:
        comfy = ComfyProcess.start(options.comfyui, Path(base), packs=[ROOT])
        logging.disable(logging.INFO)

        def run(image: torch.Tensor) -> float:
            inputs = {"image": ["image", 0], **dict.fromkeys(_ALL, True)}
            start = time.process_time()
            comfy.execute_graph(
                {
                    "image": comfy.source(image),
                    "detect": {"class_type": "DefectDetect", "inputs": inputs},
                }
            ).check()
            return time.process_time() - start

        run(image[:, :256, :256].contiguous())
        if options.single == "memory":
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
            before = _resident("VmRSS")
            run(image)
            found = (_resident("VmHWM") - before) / image.nbytes
        else:
            seconds = min(run(image) for _ in range(options.repeat))
            found = seconds / (image[0, ..., 0].numel() / 1e6)
        comfy.close()
    return found


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--comfyui", type=Path, required=True)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 16])
    parser.add_argument("--photo", choices=PHOTOS, help="only that one")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the quickest counts")
    parser.add_argument("--single", choices=["cpu", "memory"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="write the table there, too")
    options = parser.parse_args(arguments)
    if options.single:
        print(json.dumps(measure(options)))
        return
    lines = [
        "| photo | megapixels | CPU s a megapixel (aim: 1) "
        "| memory beside the image, in images (aim: 6) |",
        "|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for photo in [options.photo] if options.photo else PHOTOS:
        for megapixels in options.megapixels:
            found = []
            for single in ("cpu", "memory"):
                command = [sys.executable, sys.argv[0], "node", "--comfyui", str(options.comfyui)]
                command += ["--photo", photo, "--megapixels", str(megapixels)]
                command += ["--repeat", str(options.repeat), "--single", single]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found.append(json.loads(done.stdout.splitlines()[-1]))
            lines.append(f"| {photo} | {megapixels:g} | {found[0]:.2f} | {found[1]:.1f} |")
            print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
