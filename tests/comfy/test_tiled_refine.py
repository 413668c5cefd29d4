"""TiledRefine with real models' code, real sampling and real ControlNet objects."""

from __future__ import annotations

import sys

import pytest
import torch
from support.graphs import node, picture
from support.results import PromptRejected

from cleanplate.geometry import Box, Size
from cleanplate.upscale.noise import NoiseField

SETTINGS = {
    "seed": 5,
    "steps": 2,
    "cfg": 1.0,
    "sampler_name": "euler",
    "scheduler": "normal",
    "denoise": 0.3,
    "tile": 256,
    "overlap": 64,
    "skip_flat": 0.0,
}


@pytest.fixture(scope="module")
def sd(comfy):
    """An SD 1.5 checkpoint of random weights: model, text encoder, VAE, empty prompt."""
    graph = {
        "load": node("CheckpointLoaderSimple", ckpt_name="sd15.safetensors"),
        "text": node("CLIPTextEncode", clip=["load", 1], text=""),
    }
    run = comfy.execute_graph(graph, want=["load", "text"]).check()
    return (*run.results["load"], run.results["text"][0])


@pytest.fixture(scope="module")
def flux(comfy):
    """What Flux Fill makes of the text encoders' prompts, and both predictable models."""
    graph = {
        "clip": node(
            "DualCLIPLoader",
            clip_name1="clip_l.safetensors",
            clip_name2="t5xxl_fp16.safetensors",
            type="flux",
        ),
        "text": node("CLIPTextEncode", clip=["clip", 0], text="a wall"),
        "painter": node(
            "UNETLoader", unet_name="flux1-fill-dev.safetensors", weight_dtype="default"
        ),
        "keeping": node(
            "UNETLoader", unet_name="flux1-fill-keeping.safetensors", weight_dtype="default"
        ),
        "vae": node("VAELoader", vae_name="ae.safetensors"),
        "keeping_vae": node("VAELoader", vae_name="ae-keeping.safetensors"),
    }
    results = comfy.execute_graph(graph, want=list(graph)).check().results
    return {name: values[0] for name, values in results.items()}


@pytest.fixture(scope="module")
def lossless(comfy):
    """ComfyUI's VAE for models that work on pixels: it changes nothing."""
    graph = {"vae": node("VAELoader", vae_name="pixel_space")}
    return comfy.execute_graph(graph, want=["vae"]).check().results["vae"][0]


def ours(comfy, module):
    package = comfy.node("TiledRefine").__module__.rpartition(".")[0]
    return sys.modules[f"{package}.{module}"]


def graph_of(comfy, image, model, vae, positive, negative=None, mask=None, clip=None, **settings):
    graph = {
        "image": comfy.source(image),
        "model": comfy.source(model),
        "vae": comfy.source(vae),
        "positive": comfy.source(positive),
        "negative": comfy.source(negative if negative is not None else positive),
        "refine": node(
            "TiledRefine",
            image=["image", 0],
            model=["model", 0],
            vae=["vae", 0],
            positive=["positive", 0],
            negative=["negative", 0],
            **{**SETTINGS, **settings},
        ),
    }
    for name, value in (("mask", mask), ("clip", clip)):
        if value is not None:
            graph[name] = comfy.source(value)
            graph["refine"]["inputs"][name] = [name, 0]
    return graph


def refined(comfy, *args, **settings):
    return comfy.execute_graph(graph_of(comfy, *args, **settings), want=["refine"])


def result_of(run):
    return run.check().results["refine"][0]


def recorded(model, act=None):
    """A model whose sampling is written down: latents, noise, mask, conditioning of each tile.

    `act` stands for the sampling itself; without it the model samples.
    """
    import comfy.patcher_extension

    calls = []

    def wrapper(executor, noise, latent, *args, **kwargs):
        call = {"noise": noise, "latent": latent.clone(), "mask": args[2]}
        call |= {k: executor.class_obj.conds[k] for k in ("positive", "negative")}
        call["seed"] = args[5]
        calls.append(call)
        return act(latent) if act else executor(noise, latent, *args, **kwargs)

    model = model.clone()
    model.add_wrapper(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, wrapper)
    return model, calls


def unchanged(latent):
    return latent


@pytest.mark.parametrize(
    ("height", "width", "tile", "overlap", "tiles"),
    [(256, 256, 256, 64, 1), (300, 555, 256, 64, 6), (517, 263, 256, 0, 6), (7, 5, 256, 64, 1)],
)
def test_with_a_sampler_that_changes_nothing_the_image_comes_back(
    comfy, sd, lossless, height, width, tile, overlap, tiles
):
    model, calls = recorded(sd[0], unchanged)
    image = torch.rand(1, height, width, 3)
    run = refined(comfy, image, model, lossless, sd[3], tile=tile, overlap=overlap)
    assert float((result_of(run) - image).abs().max()) < 1e-6
    assert len(calls) == tiles
    assert len({call["latent"].shape for call in calls}) == 1


def test_a_change_of_every_tile_is_that_of_the_image(comfy, sd, lossless):
    model, _ = recorded(sd[0], lambda latent: latent / 2)  # pixels of a VAE are in -1..1
    image = torch.rand(1, 300, 555, 3)
    result = result_of(refined(comfy, image, model, lossless, sd[3]))
    assert float((result - (0.25 + image / 2)).abs().max()) < 1e-6


def test_images_of_a_batch_and_transparency(comfy, sd, lossless):
    model, calls = recorded(sd[0], unchanged)
    image = torch.rand(3, 300, 100, 4)
    result = result_of(refined(comfy, image, model, lossless, sd[3]))
    assert float((result - image).abs().max()) < 1e-6
    assert torch.equal(result[..., 3], image[..., 3])
    assert len(calls) == 6
    assert len({call["seed"] for call in calls}) == 6


def test_overlapping_tiles_start_from_the_same_noise(comfy, sd):
    model, calls = recorded(sd[0], unchanged)
    refined(comfy, picture(448, 448), model, sd[2], sd[3]).check()
    field = NoiseField(SETTINGS["seed"], 4)
    boxes = [Box(x, y, 32, 32) for y in (0, 24) for x in (0, 24)]
    assert len(calls) == 4
    for call, box in zip(calls, boxes, strict=True):
        assert torch.equal(call["noise"], field.part(box))
    assert torch.equal(calls[0]["noise"][..., 24:], calls[1]["noise"][..., :8])


def test_a_tile_is_encoded_at_its_own_size_and_place(comfy, sd, lossless):
    model, calls = recorded(sd[0], unchanged)
    image = picture(300, 555)
    refined(comfy, image, model, lossless, sd[3]).check()
    last = calls[-1]["latent"]
    assert last.shape == (1, 3, 192, 240)
    seen = image[0, 304 - 192 :, 560 - 240 :].movedim(-1, 0) * 2 - 1
    assert torch.allclose(last[0, :, :188, :235], seen, atol=1e-6)


def test_the_same_seed_gives_the_same_image_and_another_does_not(comfy, sd):
    image = picture(128, 272)

    def run(seed):
        comfy.reset()
        return result_of(refined(comfy, image, sd[0], sd[2], sd[3], seed=seed))

    first = run(5)
    assert torch.equal(run(5), first)
    assert not torch.equal(run(6), first)
    assert first.shape == image.shape
    assert first.is_contiguous()


def test_a_model_that_paints_one_colour_paints_all(comfy, flux):
    image = torch.rand(1, 300, 300, 3)
    run = refined(comfy, image, flux["painter"], flux["vae"], flux["text"], denoise=1.0)
    green = torch.tensor([0.0, 1.0, 0.0]).expand(300, 300, 3)
    assert float((result_of(run)[0] - green).abs().max()) < 2 / 255


def test_outside_the_mask_not_a_bit_changes(comfy, flux):
    image = torch.rand(1, 300, 448, 3)
    mask = torch.zeros(1, 300, 448)
    mask[0, 20:80, 30:85] = 1
    mask[0, 80:88, 30:85] = 0.5
    model, calls = recorded(flux["painter"])
    run = refined(comfy, image, model, flux["vae"], flux["text"], mask=mask, denoise=1.0)
    result = result_of(run)
    assert torch.equal(result[mask == 0], image[mask == 0])
    green = torch.tensor([0.0, 1.0, 0.0])
    assert float((result[mask == 1] - green).abs().max()) < 0.15  # the VAE mixes cells
    assert float((result[0, 32:64, 40:72] - green).abs().max()) < 2 / 255
    assert len(calls) == 1
    assert any("3 of 4 tiles have nothing to refine" in text for _, text in run.texts)
    # latent cells that the mask touches at all are sampled
    sampled = calls[0]["mask"][0, 0]
    assert sampled.shape == (calls[0]["latent"].shape[2], calls[0]["latent"].shape[3])
    assert sampled[2:10, 3:11].unique().tolist() == [1]
    assert sampled[10, 3:11].unique().tolist() == [0.5]
    assert float(sampled.sum()) == 8 * 8 + 4


def test_a_model_that_keeps_the_picture_keeps_it_across_tiles(comfy, flux):
    # Blocks as large as latent cells survive the stand-in for the VAE.
    blocks = torch.randint(0, 3, (1, 38, 56, 3)).float() / 2
    image = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)
    run = refined(comfy, image, flux["keeping"], flux["keeping_vae"], flux["text"], steps=4)
    assert float((result_of(run) - image).abs().max()) < 2 / 255


def test_progress_counts_all_steps_and_names_the_tile(comfy, sd):
    run = refined(comfy, picture(64, 600), sd[0], sd[2], sd[3], steps=3)
    run.check()
    events = [(e["value"], e["max"]) for e in run.events("progress")]
    assert {most for _, most in events} == {9}
    values = [value for value, _ in events]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0, 9)
    assert {3, 6} <= set(values)
    texts = [text for _, text in run.texts]
    assert texts == ["tile 1 of 3", "tile 2 of 3", "tile 3 of 3"]


def test_the_preview_shows_the_whole_image(comfy, sd, monkeypatch):
    from comfy.utils import ProgressBar

    shown = []
    original = ProgressBar.update_absolute

    def look(bar, value, total=None, preview=None):
        if preview is not None:
            shown.append(preview)
        original(bar, value, total, preview)

    monkeypatch.setattr(ProgressBar, "update_absolute", look)
    image = picture(64, 1100)
    model, _ = recorded(sd[0], torch.zeros_like)
    result = result_of(refined(comfy, image, model, sd[2], sd[3], tile=512))
    assert len(shown) == 1 + 3
    for kind, preview, most in shown:
        assert (kind, preview.size, most) == ("JPEG", (367, 22), 512)

    def pixels(preview):
        return torch.frombuffer(bytearray(preview.tobytes()), dtype=torch.uint8).view(22, 367, 3)

    assert torch.equal(pixels(shown[0][1]), (image[0, ::3, ::3] * 255).round().byte())
    assert torch.equal(pixels(shown[-1][1]), (result[0, ::3, ::3] * 255).round().byte())


def test_cancelling_stops_within_a_step(comfy, sd):
    import comfy.model_management as management

    steps = []

    def cancel(args):
        steps.append(args["sigma"])
        if len(steps) == 6:
            management.interrupt_current_processing()
        return args["denoised"]

    model = sd[0].clone()
    model.set_model_sampler_post_cfg_function(cancel)
    run = refined(comfy, picture(64, 600), model, sd[2], sd[3], steps=4)
    management.interrupt_current_processing(False)
    assert run.status == "interrupted"
    assert len(steps) == 6
    assert [text for _, text in run.texts] == ["tile 1 of 3", "tile 2 of 3"]


def test_flat_tiles_are_left_out(comfy, sd, lossless):
    model, calls = recorded(sd[0], unchanged)
    image = torch.full((1, 256, 640, 3), 0.5)
    image[0, :, 500:] = torch.rand(256, 140, 3)
    run = refined(comfy, image, model, lossless, sd[3], skip_flat=4.0)
    run.check()
    assert len(calls) == 1
    assert any("2 of 3 tiles have nothing to refine" in text for _, text in run.texts)


@pytest.mark.parametrize("case", ["denoise 0", "empty mask", "all flat"])
def test_nothing_to_do_returns_the_image_and_says_so(comfy, sd, case):
    image = torch.full((1, 300, 300, 3), 0.25)
    model, calls = recorded(sd[0], unchanged)
    given, words = {
        "denoise 0": ({"denoise": 0.0}, "denoise is 0"),
        "empty mask": ({"mask": torch.zeros(1, 300, 300)}, "4 of 4 tiles have nothing to refine"),
        "all flat": ({"skip_flat": 4.0}, "4 of 4 tiles have nothing to refine"),
    }[case]
    run = refined(comfy, image, model, sd[2], sd[3], **given)
    assert torch.equal(result_of(run), image)
    assert calls == []
    assert any(words in text for _, text in run.texts)


def test_nan_of_the_model_leaves_the_tile(comfy, sd, lossless):
    def spoil(latent):
        return latent * (torch.nan if float(latent.mean()) < 0 else 1.0)

    model, _ = recorded(sd[0], spoil)
    image = torch.zeros(1, 256, 448, 3)
    image[0, :, 224:] = 1
    run = refined(comfy, image, model, lossless, sd[3])
    assert float((result_of(run) - image).abs().max()) < 1e-6
    assert any("NaN of tile 1" in text for _, text in run.texts)


def test_each_tile_has_its_prompt(comfy, flux):
    model, calls = recorded(flux["painter"], unchanged)
    positive = [[flux["text"][0][0], {**flux["text"][0][1], "guidance": 2.5}]]
    run = refined(
        comfy,
        picture(256, 600),
        model,
        flux["vae"],
        positive,
        clip=flux["clip"],
        tile_prompts="a cat\n\na dog\n",
    )
    run.check()
    seen = [call["positive"][0] for call in calls]
    assert len(seen) == 3
    texts = [cond["cross_attn"] for cond in seen]
    assert torch.equal(texts[1], positive[0][0])
    assert not torch.equal(texts[0], texts[1])
    assert not torch.equal(texts[0], texts[2])
    assert [cond["guidance"] for cond in seen] == [2.5] * 3
    assert not torch.equal(seen[0]["pooled_output"], seen[2]["pooled_output"])


def refusal(comfy, *args, **settings):
    run = refined(comfy, *args, **settings)
    assert run.status == "error"
    assert run.error["exception_type"] == "ValueError"
    assert list(run.events("progress")) == []
    message = run.error["exception_message"].strip()
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image": picture(300, 300) * torch.nan}, "image holds"),
        ({"mask": torch.ones(1, 50, 60)}, "mask is 60x50 but image is 300x300"),
        ({"mask": torch.ones(2, 300, 300)}, "2 masks for 1 images"),
        ({"vae": None}, "vae is missing"),
        ({"tile_prompts": "one\ntwo\nthree"}, "3 lines but the image has 4 tiles (2 rows x 2"),
        ({"tile_prompts": "one\ntwo\nthree\nfour"}, "tile_prompts needs clip"),
    ],
)
def test_refused(comfy, sd, settings, words):
    values = {"image": picture(300, 300), "model": sd[0], "vae": sd[2], "positive": sd[3]}
    assert words in refusal(comfy, **{**values, **settings})


def test_models_of_videos_are_refused(comfy, sd):
    from comfy.latent_formats import Wan21

    model = sd[0].clone()
    model.add_object_patch("latent_format", Wan21())
    message = refusal(comfy, picture(300, 300), model, sd[2], sd[3])
    assert "latents are not those of an image" in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"overlap": 128}, "less than half a tile"), ({"tile": 128}, "256 to 4096")],
)
def test_settings_that_cannot_work_are_refused_before_anything_runs(comfy, sd, settings, words):
    with pytest.raises(PromptRejected, match=words):
        refined(comfy, picture(300, 300), sd[0], sd[2], sd[3], **settings)


class Hints(torch.nn.Module):
    """A ControlNet's network that controls nothing and remembers the hints it saw."""

    dtype = torch.float32

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, x, hint, timesteps, context, **_):
        self.seen.append((x.shape, hint.clone()))
        return {"input": [], "middle": [], "output": []}


def control_of(hint):
    import comfy.controlnet

    network = Hints()
    device = torch.device("cpu")
    control = comfy.controlnet.ControlNet(network, load_device=device)
    return control.set_cond_hint(hint, 1.0, (0.0, 1.0)), network


@pytest.mark.parametrize("batch", [1, 4])
def test_the_hint_is_cropped_with_the_tile(comfy, sd, batch):
    image = torch.rand(batch, 128, 448, 3)
    first, first_network = control_of(image.movedim(-1, 1))
    # of half the size, and shared by positive and negative
    second, network = control_of(torch.rand(batch, 3, 64, 224))
    second.set_previous_controlnet(first)
    before = {name: value for name, value in vars(second).items() if name != "extra_args"}
    text, options = sd[3][0]
    both = [[text, {**options, "control": second, "control_apply_to_uncond": False}]]
    refined(comfy, image, sd[0], sd[2], both, negative=both, cfg=7.0, steps=1, denoise=1.0).check()
    # positive and negative in one call, so the control stayed one object
    assert len(network.seen) == len(first_network.seen) == 2 * batch
    for number, ((shape, hint), (_, small)) in enumerate(
        zip(first_network.seen, network.seen, strict=True)
    ):
        i, left = number // 2, 192 * (number % 2)
        assert shape == (2, 4, 16, 32)
        assert hint.shape[1:] == small.shape[1:] == (3, 128, 256)
        assert torch.equal(hint[0], image[i, :, left : left + 256].movedim(-1, 0))
        whole = second.cond_hint_original[i]
        doubled = whole.repeat_interleave(2, 1).repeat_interleave(2, 2)
        assert torch.equal(small[0], doubled[:, :, left : left + 256])
    # what came was not written to
    assert {k: v for k, v in vars(second).items() if k != "extra_args"} == before
    assert both[0][1]["control"] is second
    assert second.cond_hint is None
    assert second.cond_hint_original.shape == (batch, 3, 64, 224)


@pytest.fixture
def cropping(comfy):
    return ours(comfy, "window_conditioning")


def cut_of(cropping, box, canvas=None, image=0):
    return cropping.Cut(canvas or Size(1000, 600), box, 8, image)


def cropped(cropping, cut, **options):
    (conditioning,) = cropping.crop_conditionings(cut, [[torch.zeros(1), options]])
    return conditioning[0][1] if conditioning else None


BOX = Box(480, 320, 256, 256)


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        ((10, 20, 45, 70), (10, 20, 5, 10)),
        ((200, 200, 0, 0), None),
        ((8, 70, 38, 0), (6, 10, 0, 0)),
        (("percentage", 0.5, 0.5, 0.5, 0.5), (32, 30, 0, 2)),
    ],
)
def test_areas(cropping, area, expected):
    made = cropped(cropping, cut_of(cropping, BOX), area=area, strength=0.5)
    assert made.get("area") == expected
    assert made["strength"] == 0.5


@pytest.mark.parametrize("area", [(10, 10, 0, 0), ("percentage", 1.0, 0.4, 0.0, 0.0)])
def test_an_area_elsewhere_is_left_out(cropping, area):
    assert cropped(cropping, cut_of(cropping, BOX), area=area) is None


@pytest.mark.parametrize("size", [(600, 1000), (75, 125), (300, 500), (64, 64)])
def test_masks_are_what_core_makes_of_the_whole(cropping, size):
    import torch.nn.functional as F

    canvas = Size(1000, 608)
    mask = torch.rand(3, *size)
    made = cropped(cropping, cut_of(cropping, BOX, canvas, image=2), mask=mask)["mask"]
    whole = F.interpolate(mask[2:, None], size=(76, 125), mode="bilinear")[:, 0]
    assert torch.allclose(made, whole[:, 40:72, 60:92], atol=3e-4)


def test_a_mask_elsewhere_is_left_out(cropping):
    mask = torch.zeros(600, 1000)
    mask[:300] = 1
    assert cropped(cropping, cut_of(cropping, BOX), mask=mask) is None


def test_latents_of_the_image_are_cropped_and_others_stay_whole(cropping):
    own, other = torch.rand(1, 16, 75, 125), torch.rand(1, 16, 64, 64)
    made = cropped(cropping, cut_of(cropping, BOX), reference_latents=[own, other])
    assert torch.equal(made["reference_latents"][0], own[..., 40:72, 60:92])
    assert made["reference_latents"][1] is other
    # the last tile reaches beyond the image, as its pixels do
    last = Box(480, 352, 256, 256)
    made = cropped(cropping, cut_of(cropping, last), reference_latents=[own])
    assert torch.equal(made["reference_latents"][0][..., :31, :], own[..., 44:, 60:92])
    assert torch.equal(made["reference_latents"][0][..., 31, :], own[..., 73, 60:92])


def test_latents_and_mask_of_inpainting_models(cropping):
    latents, mask = torch.rand(2, 4, 75, 125), torch.rand(2, 600, 1000)
    cut = cut_of(cropping, Box(480, 240, 256, 256), image=1)
    made = cropped(cropping, cut, concat_latent_image=latents, concat_mask=mask)
    assert torch.equal(made["concat_latent_image"], latents[1:, :, 30:62, 60:92])
    assert torch.equal(made["concat_mask"], mask[1:, 240:496, 480:736])


def test_a_hint_of_another_shape_is_cut_to_the_middle_as_core_does(cropping):
    from comfy.utils import common_upscale

    hint = torch.rand(1, 3, 500, 500)
    control, _ = control_of(hint)
    canvas = Size(1024, 608)
    made = cropped(cropping, cut_of(cropping, BOX, canvas), control=control)["control"]
    whole = common_upscale(hint, 1024, 608, "nearest-exact", "center")
    assert torch.equal(made.cond_hint_original, whole[..., 320:576, 480:736])
    assert control.cond_hint_original is hint


def test_cropping_costs_nothing_beside_the_tile(cropping):
    # One value stands for planes whose rows alone would not fit into memory.
    side = 1 << 30
    hint, mask = torch.rand(1, 3, 1, 1).expand(1, 3, side, side), torch.ones(1, 1).expand(64, 64)
    control, _ = control_of(hint)
    latents = torch.rand(1, 4, 1, 1).expand(1, 4, side // 8, side // 8)
    edge = Box(side - 100, side - 100, 112, 112)
    made = cropped(
        cropping,
        cut_of(cropping, edge, Size(side, side)),
        control=control,
        mask=mask,
        concat_latent_image=latents,
    )
    assert made["control"].cond_hint_original.shape == (1, 3, 112, 112)
    assert made["mask"].shape == (1, 14, 14)
    assert made["concat_latent_image"].shape == (1, 4, 14, 14)


def test_gligen_boxes(cropping):
    boxes = [("near", 10, 20, 45, 70), ("far", 5, 5, 0, 0)]
    made = cropped(cropping, cut_of(cropping, BOX), gligen=("position", None, boxes))
    assert made["gligen"] == ("position", None, [("near", 10, 20, 5, 10)])
    far = cropped(cropping, cut_of(cropping, BOX), gligen=("position", None, boxes[1:]))
    assert "gligen" not in far
    assert len(boxes) == 2


def test_a_tile_that_no_prompt_reaches_stays_as_it_is(comfy, sd, lossless):
    model, calls = recorded(sd[0], torch.zeros_like)
    text, options = sd[3][0]
    left = [[text, {**options, "area": (256, 100, 0, 0), "strength": 1.0}]]
    image = picture(256, 640)
    result = result_of(refined(comfy, image, model, lossless, left))
    assert len(calls) == 1
    assert torch.equal(result[:, :, 300:], image[:, :, 300:])
