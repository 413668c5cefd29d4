"""The workflow that looks whether the object came back, on a real server."""

from __future__ import annotations

import numpy as np
import pytest
from support.shipped import load, of_class, scene, settings

FAST = {
    "UpscaleToModelRes": {"model_family": "custom", "megapixels": 0.1, "multiple_of": 16},
    "FluxFillRefine": {"steps": 4},
}


@pytest.fixture(scope="module")
def case(server):
    picture, mask = scene(300, 220, (120, 90, 160, 130))
    prompt = settings(
        load("object_removal_checked"), LoadImage={"image": server.upload(picture)}, **FAST
    )
    return prompt, mask


def outcome(server, prompt):
    """The result, LaMa's picture, and what the check says."""
    run = server.run(prompt, timeout=240).check()
    (preview,) = (k for k, n in prompt.items() if n["_meta"]["title"] == "After LaMa")
    (saved,) = run.images(of_class(prompt, "SaveImage"))
    (lama,) = run.images(preview)
    (text,) = run.outputs[of_class(prompt, "PreviewAny")]["text"]
    result, lama = (np.asarray(server.image(r)).astype(int) for r in (saved, lama))
    return result, lama, text


def test_a_model_that_paints_something_new_is_overruled(server, case):
    prompt, mask = case
    result, lama, text = outcome(server, prompt)
    assert text.count("fails") == prompt[of_class(prompt, "RepeatImageBatch")]["inputs"]["amount"]
    assert "no refinement passes" in text.lower()
    assert np.abs(result - lama)[mask].max() <= 3


def test_a_model_that_only_refines_is_heard(server, case):
    prompt, mask = case
    keeping = settings(
        prompt,
        UNETLoader={"unet_name": "flux1-fill-keeping.safetensors"},
        VAELoader={"vae_name": "ae-keeping.safetensors"},
    )
    result, lama, text = outcome(server, keeping)
    assert text.count("passes") == 4
    assert text.endswith("is the best.")
    assert np.abs(result - lama)[mask].max() <= 6
