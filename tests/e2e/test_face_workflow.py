"""The face workflow on a real server, from its API twin."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from PIL import Image
from support.server import ComfyServer
from support.shipped import load, of_class, settings


def prompt_of(server: ComfyServer, picture: Image.Image) -> dict:
    return settings(
        load("face_restore"),
        LoadImage={"image": server.upload(picture)},
        FaceRestore={"identity_guard": False},
    )


@pytest.mark.skipif(importlib.util.find_spec("mtcnn") is None, reason="mtcnn is not installed")
@pytest.mark.skipif(importlib.util.find_spec("skimage") is None, reason="scikit-image is absent")
def test_a_face_changes_and_nothing_else(server):
    from skimage import data

    picture = Image.fromarray(data.astronaut())
    prompt = prompt_of(server, picture)
    prompt["as_image"] = {
        "class_type": "MaskToImage",
        "inputs": {"mask": [of_class(prompt, "FaceRestore"), 1]},
    }
    prompt["show"] = {"class_type": "PreviewImage", "inputs": {"images": ["as_image", 0]}}
    run = server.run(prompt, timeout=300).check()
    (reference,) = run.images(of_class(prompt, "SaveImage"))
    result = np.asarray(server.image(reference))
    weights = np.asarray(server.image(run.images("show")[0]))[..., 0]
    original = np.asarray(picture)
    assert 0.02 < (weights > 0).mean() < 0.25
    assert weights[100:130, 200:250].min() > 200  # eyes
    # A weight below 1/255 is saved as 0, so beyond that and the blocks around it.
    near = np.pad(weights.reshape(64, 8, 64, 8).max(axis=(1, 3)) > 0, 1)
    near = np.maximum.reduce([near[y : y + 64, x : x + 64] for y in range(3) for x in range(3)])
    far = np.kron(~near, np.ones((8, 8), bool))
    assert far.mean() > 0.6
    assert np.array_equal(result[far], original[far])
    assert (result[weights > 200] != original[weights > 200]).mean() > 0.5
    report = run.outputs[of_class(prompt, "PreviewAny")]["text"][0]
    assert "restored" in report


def test_a_picture_without_a_face_passes_through(server):
    pixels = np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8).repeat(8, 0)
    picture = Image.fromarray(pixels.repeat(8, 1))
    run = server.run(prompt_of(server, picture), timeout=300).check()
    prompt = load("face_restore")
    (reference,) = run.images(of_class(prompt, "SaveImage"))
    assert np.array_equal(np.asarray(server.image(reference)), np.asarray(picture))
    assert "no face" in run.outputs[of_class(prompt, "PreviewAny")]["text"][0].lower()
