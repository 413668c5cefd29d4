"""The workflow for videos on a real server: frames in, frames out."""

from __future__ import annotations

import numpy as np
from PIL import Image
from support.shipped import load, of_class, settings
from support.video import read_video, write_video

FRAMES = 7
OBJECT = np.s_[40:80, 60:110]
RED = (200, 20, 20)


def clip() -> list[np.ndarray]:
    """A sky that slowly brightens, with a red object that stays where it is."""
    y, x = np.mgrid[:128, :192]
    frames = [np.stack([70 + x / 3 + k, 110 + y / 4, 190 - x / 4], axis=-1) for k in range(FRAMES)]
    frames = [frame.astype(np.uint8) for frame in frames]
    for frame in frames:
        frame[OBJECT] = RED
    return frames


def test_the_object_goes_from_every_frame_and_the_rest_stays(server, tmp_path):
    frames = clip()
    alpha = np.full(frames[0].shape[:2], 255, np.uint8)
    alpha[OBJECT] = 0
    prompt = settings(
        load("object_removal_video"),
        LoadVideo={"file": server.upload(write_video(tmp_path / "clip.mp4", frames))},
        LoadImage={"image": server.upload(Image.fromarray(np.dstack([frames[0], alpha])))},
    )
    run = server.run(prompt).check()
    (saved,) = run.images(of_class(prompt, "SaveVideo"))
    result, rate = read_video(server.view_bytes(saved))
    assert len(result) == FRAMES
    assert rate == 12
    for before, after in zip(frames, result, strict=True):
        assert after.shape == before.shape
        # Twice through a lossy codec: what is far from the object is close to what it was.
        assert np.abs(after[:, 130:].astype(int) - before[:, 130:]).mean() < 4
        assert (np.abs(after[OBJECT].astype(int) - RED).sum(axis=-1) > 150).all()
