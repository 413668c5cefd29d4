"""Small videos, written and read back."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import av
import numpy as np


def write_video(path: Path, frames: Sequence[np.ndarray], fps: int = 12) -> Path:
    """Write frames ``[H, W, 3]`` of bytes as H.264; width and height must be even."""
    height, width, _ = frames[0].shape
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=fps, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def read_video(data: bytes) -> tuple[list[np.ndarray], float]:
    """The frames of a video file, and how many there are in a second."""
    with av.open(BytesIO(data)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        return frames, float(file.streams.video[0].average_rate or 0)
