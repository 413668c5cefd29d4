"""FluxFill with a tiny random FluxFillPipeline, saved and loaded by diffusers itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cleanplate.flux import FluxFill, check_source, plan_steps

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Flux Fill of a few thousand random weights in the diffusers layout (VAE factor 8)."""
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTokenizer,
        T5Config,
        T5EncoderModel,
        T5Tokenizer,
    )

    torch.manual_seed(0)
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz")]
    words = {word: i for i, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -2.0), ("▁", -3.0)]
    pieces += [(c, -4.0) for c in "abcdefghijklmnopqrstuvwxyz"]
    clip = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words), hidden_size=8, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=77, projection_dim=8,
            bos_token_id=len(words) - 2, eos_token_id=len(words) - 1, pad_token_id=1,
        )
    )  # fmt: skip
    t5 = T5EncoderModel(
        T5Config(vocab_size=len(pieces) + 100, d_model=16, d_kv=8, d_ff=16, num_layers=1,
                 num_heads=2)
    )  # fmt: skip
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=2 * 16 + 4 * 64, out_channels=16, num_layers=1,
        num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=8, axes_dims_rope=[4, 4, 8],
        guidance_embeds=True,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=1, sample_size=32,
        block_out_channels=(4, 4, 4, 4), layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5,
    )  # fmt: skip
    pipeline = diffusers.FluxFillPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        text_encoder=clip,
        text_encoder_2=t5,
        tokenizer=CLIPTokenizer(vocab=words, merges=[], model_max_length=77),
        tokenizer_2=T5Tokenizer(vocab=pieces, model_max_length=512),
        transformer=transformer,
        vae=vae,
    )
    path = tmp_path_factory.mktemp("flux")
    pipeline.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Any:
    """The pipeline as FluxFill itself loads it."""
    return FluxFill.load(folder)._pipeline


@pytest.fixture
def crop() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(1, 32, 48, 3, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 32, 48)
    mask[:, 8:24, 16:32] = 1
    return image, mask


def test_repaints_a_crop_and_reports_the_steps_it_really_runs(folder, crop):
    seen = []
    refine = FluxFill.load(
        folder, seed=3, steps=2, prompt="grass", progress=lambda *at: seen.append(at)
    )
    before = [t.clone() for t in crop]
    result = refine(*crop)
    assert result.shape == crop[0].shape and result.dtype == torch.float32
    assert result.is_contiguous() and result.min() >= 0 and result.max() <= 1
    assert seen == [(0, 2), (1, 2), (2, 2)]  # denoise 0.8 costs no step, as in ComfyUI
    assert all(torch.equal(a, b) for a, b in zip(before, crop, strict=True))


def test_the_seed_decides_and_nothing_else(tiny, crop):
    first, second, other = (FluxFill(tiny, steps=1, seed=s)(*crop) for s in (7, 7, 8))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_each_image_of_a_batch_is_made_as_if_alone(tiny, crop):
    image, mask = crop
    seen = []
    both = FluxFill(tiny, steps=1, seed=7, progress=lambda *at: seen.append(at))(
        image.repeat(2, 1, 1, 1), mask
    )
    assert torch.equal(both[:1], FluxFill(tiny, steps=1, seed=7)(image, mask))
    assert torch.equal(both[1:], FluxFill(tiny, steps=1, seed=8)(image, mask))
    assert seen == [(0, 2), (1, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize("steps", [1, 3, 7, 20, 50])
@pytest.mark.parametrize("denoise", [0.1, 0.3, 0.55, 0.8, 0.99, 1.0])
def test_exactly_the_wanted_steps_are_run_at_the_end_of_the_schedule(tiny, steps, denoise):
    schedule, strength = plan_steps(steps, denoise)
    tiny.scheduler.set_timesteps(schedule, mu=0.5)
    times, run = tiny.get_timesteps(schedule, strength, "cpu")
    assert len(times) == run == steps
    assert schedule == int(steps / denoise)  # KSampler.set_steps of ComfyUI


def test_starts_from_the_image_it_is_given(tiny, crop):
    # At a low denoise two different starts stay different; at 1 only the noise counts, and what
    # lies under the mask is hidden from the model.
    image, mask = crop
    changed = torch.where(mask[..., None] > 0, torch.full_like(image, 0.9), image)

    def spread(denoise: float) -> float:
        fill = FluxFill(tiny, steps=1, denoise=denoise)
        return float((fill(image, mask) - fill(changed, mask)).abs().max())

    assert spread(0.2) > 1e-3
    assert spread(1.0) < 1e-5


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 30, 32, 3), "32x30.*multiples of 16"), ((1, 32, 32, 4), "4 channels")],
)
def test_refuses_a_crop_the_model_cannot_take(shape, words):
    fill = FluxFill(object())
    with pytest.raises(ValueError, match=words):
        fill(torch.rand(shape), torch.zeros(shape[:3]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"steps": 0}, "steps is 0"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"denoise": 0.0}, "denoise is 0.0"),
        ({"denoise": 1.5}, "denoise is 1.5"),
    ],
)
def test_settings_out_of_range_are_refused_before_loading(settings, words):
    with pytest.raises(ValueError, match=words):
        FluxFill(object(), **settings)


def test_sources_that_are_no_flux_fill(tmp_path):
    (tmp_path / "empty").mkdir()
    other, broken = tmp_path / "other", tmp_path / "broken"
    for path, text in ((other, '{"_class_name": "StableDiffusionPipeline"}'), (broken, "{")):
        path.mkdir()
        (path / "model_index.json").write_text(text)
    single = tmp_path / "flux.safetensors"
    single.write_bytes(b"")
    for source, words in (
        (tmp_path / "empty", "no model_index.json"),
        (other, "holds a StableDiffusionPipeline: a FluxFillPipeline is needed"),
        (broken, "is damaged"),
        (single, "is a single file"),
        (tmp_path / "missing", "there is no folder"),
        ("./missing", "there is no folder"),
        ("flux", "there is no folder"),
    ):
        with pytest.raises(ValueError, match=words):
            check_source(source)
    check_source("black-forest-labs/FLUX.1-Fill-dev")


def test_a_folder_with_a_part_missing_gives_one_sentence(folder, tmp_path):
    (tmp_path / "model_index.json").write_text((folder / "model_index.json").read_text())
    with pytest.raises(ValueError, match="cannot load Flux Fill from") as caught:
        FluxFill.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_without_diffusers_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ValueError, match="pip install diffusers"):
        FluxFill.load(folder)
