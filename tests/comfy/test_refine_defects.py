"""RefineDefects: what runs, in which order, when it ends, and which picture is kept."""

from __future__ import annotations

import json

import pytest
import torch
from support.defects import BLUE, GREEN, RED, colour_detector, detection, scene
from support.graphs import node

SPOT, FINGERS = "spot", "extra_fingers"
KINDS = {RED: (SPOT, 0.5), BLUE: (FINGERS, 0.8)}
WORSE = {**KINDS, GREEN: ("wrong_limbs", 1.0)}
"""What the painter Flux paints is found, and worse than what was there."""

WIDGETS = {
    "max_rounds": 5,
    "per_round": 2,
    "repair": "by kind",
    "scene": "",
    "seed": 3,
    "steps": 4,
    "guidance": 30.0,
    "cfg": 7.0,
    "megapixels": 0.05,
}
REDS = [(RED, place) for place in ((15, 15, 10, 12), (15, 160, 10, 12), (120, 15, 10, 12))]
HAND = (BLUE, (80, 90, 20, 20))
REFINED = ["negative", "guidance", "conditioning", "differential", "sample", "decode"]


@pytest.fixture
def package(comfy):
    return f"{comfy.node('RefineDefects').__module__.rpartition('.nodes')[0]}.cleanplate"


@pytest.fixture
def look(comfy, package):
    """Inspects an image with a detector of colours, or with another one."""
    import importlib

    inspect = importlib.import_module(f"{package}.defects.inspection").inspect

    def found(image, kinds=KINDS, detector=None, **given):
        how = detector or colour_detector("colours", kinds, package)
        return inspect(image, detection(("colours", how), package=package), **given)

    return found


def graph_of(comfy, image, defects, **widgets):
    return {
        "image": comfy.source(image),
        "defects": comfy.source(defects),
        "fix": node(
            "RefineDefects",
            image=["image", 0],
            defects=["defects", 0],
            **{**WIDGETS, **widgets},
        ),
    }


def with_diffusion(graph, model="flux1-fill-dev.safetensors", vae="ae.safetensors"):
    graph |= {
        "model": node("UNETLoader", unet_name=model, weight_dtype="default"),
        "clip": node(
            "DualCLIPLoader",
            clip_name1="clip_l.safetensors",
            clip_name2="t5xxl_fp16.safetensors",
            type="flux",
        ),
        "vae": node("VAELoader", vae_name=vae),
    }
    graph["fix"]["inputs"] |= {name: [name, 0] for name in ("model", "vae", "clip")}
    return graph


def with_removal(graph):
    graph["lama"] = node("LoadRemovalModel", model_name="big-lama.safetensors")
    graph["fix"]["inputs"]["removal_model"] = ["lama", 0]
    return graph


def refine(comfy, graph):
    run = comfy.execute_graph(graph, want=["fix"]).check()
    image, report, mask, left, rounds, passed = run.results["fix"]
    return run, image, json.loads(report), mask, left, rounds, passed


def sequence(run, root="fix.0.0."):
    """The nodes that RefineDefects has expanded into, in the order in which they ran."""
    ran = [event["node"] for event in run.events("executing") if event["node"]]
    return [name.removeprefix(root) for name in ran if name.startswith(root)]


def rounds_of(image, *rounds):
    """The ids of what runs for one image: the names of each round, then the second look."""
    ids, where = [image], f"{image}.0.0."
    for number, names in enumerate(rounds, 2):
        ids += [where + name for name in (*names, "look", f"round_{number}")]
        where += f"round_{number}.0.0."
    return ids


def refinement(number, prompt=True):
    """What runs for one repair by the diffusion model."""
    inside = [f"refine_{number}.0.0.{name}" for name in REFINED]
    encoded = ["prompt_1"] if prompt else []
    first = [f"crop_{number}", f"upscale_{number}", *encoded, f"refine_{number}"]
    return [*first, *inside, f"stitch_{number}"]


# what runs ----------------------------------------------------------------------------------------


def test_the_planned_nodes_run_in_their_order_until_it_is_clean(comfy, look):
    image = scene(*REDS)
    run, result, (report,), mask, left, rounds, passed = refine(
        comfy, graph_of(comfy, image, look(image))
    )
    assert sequence(run) == [
        *rounds_of("image_0", ["fill_1", "fill_2"], ["fill_1"]),
        "join",
    ]
    assert (rounds, passed, left.count) == (2, True, 0)
    assert report["stopped"] == "Nothing is left."
    assert look(result).count == 0
    assert (result - scene()).abs().max() < 0.1
    assert torch.equal(mask > 0, (result != image).any(-1))
    assert [
        [(one["nodes"], one["seed"], one["result"]) for one in done["repairs"]]
        for done in report["rounds"]
    ] == [
        [(["ContentAwareFill"], 3, "gone"), (["ContentAwareFill"], 4, "gone")],
        [(["ContentAwareFill"], 1003, "gone")],
    ]


@pytest.mark.parametrize("cache", ["CLASSIC", "LRU", "NONE", "RAM_PRESSURE"])
def test_no_node_runs_twice_whatever_comfyui_caches(comfy, look, cache):
    """ComfyUI drops results when memory is short; with RAM_PRESSURE here all the time."""
    image = scene(REDS[0], HAND)
    graph = with_diffusion(graph_of(comfy, image, look(image), per_round=1))
    settings = {"lru": 4, "ram": 1e6, "ram_inactive": 1e6}
    execution = comfy._execution
    comfy._executor = execution.PromptExecutor(
        comfy._server, cache_type=execution.CacheType[cache], cache_args=settings
    )
    try:
        run, *_, rounds, passed = refine(comfy, graph)
    finally:
        comfy.reset()
    names = [refinement(1), ["fill_1"]]
    assert sorted(sequence(run)) == sorted([*rounds_of("image_0", *names), "join"])
    assert (rounds, passed) == (2, True)


def test_a_diffusion_repair_is_crop_upscale_refine_stitch(comfy, look):
    image = scene(*REDS, HAND)
    graph = with_diffusion(with_removal(graph_of(comfy, image, look(image))))
    run, result, (report,), mask, _, rounds, passed = refine(comfy, graph)
    ran = sequence(run)
    # the parts of a refinement have no order among themselves
    first, second = (*refinement(1), "remove_2"), ("remove_1", "remove_2")
    assert sorted(ran) == sorted([*rounds_of("image_0", first, second), "join"])
    order = [name.rpartition(".")[2] for name in ran if ".refine_1." not in name]
    assert order == [
        *("image_0", "crop_1", "upscale_1", "prompt_1", "refine_1", "stitch_1", "remove_2"),
        *("look", "round_2", "remove_1", "remove_2", "look", "round_3", "join"),
    ]
    assert (rounds, passed) == (2, True)
    repair = report["rounds"][0]["repairs"][0]
    assert repair["nodes"] == ["FluxFillRefine"]
    assert repair["positive"] == "a natural hand with five fingers, correct anatomy"
    # the painter paints its green where the hand was, and StitchBack keeps all the rest
    assert (result[0, 85:95, 95:105] - torch.tensor(GREEN)).abs().max() < 0.2
    assert torch.equal(result[mask == 0], image[mask == 0])


def test_what_was_removed_is_refined_if_wanted(comfy, look):
    image = scene(REDS[0])
    graph = graph_of(comfy, image, look(image), repair="by kind, refined")
    run, *_, passed = refine(comfy, with_diffusion(with_removal(graph)))
    names = ["remove_1", *refinement(1)]
    assert sorted(sequence(run)) == sorted([*rounds_of("image_0", names), "join"])
    assert passed is True


def test_everything_is_repainted_if_wanted_and_a_text_is_encoded_once(comfy, look):
    image = scene(*REDS)
    graph = graph_of(comfy, image, look(image), repair="diffusion only", scene="a wall")
    run, _, (report,), *_ = refine(comfy, with_diffusion(graph))
    names = [name.rpartition(".")[2] for name in sequence(run)]
    assert names.count("prompt_1") == 1
    assert not [name for name in names if name.startswith("prompt_2")]
    assert [name for name in names if name.startswith("stitch")] == [
        *("stitch_1", "stitch_2", "stitch_1"),
    ]
    assert {one["positive"] for done in report["rounds"] for one in done["repairs"]} == {"a wall"}


def test_an_sd_model_has_a_negative_prompt(comfy, look):
    image = scene(HAND)
    graph = graph_of(comfy, image, look(image), max_rounds=1)
    graph["model"] = node("CheckpointLoaderSimple", ckpt_name="sd15-inpainting.safetensors")
    graph["fix"]["inputs"] |= {"model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2]}
    run, *_ = refine(comfy, graph)
    names = {name.rpartition(".")[2] for name in sequence(run)}
    assert {"prompt_1", "prompt_2", "refine_1", "stitch_1"} <= names
    assert "guidance" not in names


def test_a_face_is_restored(comfy, look, package):
    image = scene((BLUE, (60, 80, 30, 30)))
    defects = look(image, {BLUE: ("bad_face", 0.9)})
    graph = graph_of(comfy, image, defects)
    graph["faces"] = node("UpscaleModelLoader", model_name="GFPGANv1.4.pth")
    graph["fix"]["inputs"]["face_model"] = ["faces", 0]
    run, result, (report,), *_ = refine(comfy, graph)
    # no face is there: nothing changes, so nothing has helped
    assert sequence(run) == [*rounds_of("image_0", ["restore_1"]), "join"]
    assert report["rounds"][0]["repairs"][0]["result"] == "no better, taken back"
    assert torch.equal(result, image)


# the end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_rounds", [0, 1])
def test_the_rounds_are_counted(comfy, look, max_rounds):
    image = scene(*REDS)
    graph = graph_of(comfy, image, look(image), max_rounds=max_rounds)
    run, result, (report,), mask, left, rounds, passed = refine(comfy, graph)
    assert (rounds, passed) == (max_rounds, False)
    assert left.count == (3, 1)[max_rounds]
    if max_rounds == 0:
        assert sequence(run) == ["join"]
        assert torch.equal(result, image)
        assert not mask.any()
        assert "max_rounds is 0" in report["stopped"]


def test_a_clean_picture_passes(comfy, look):
    image = scene()
    run, result, (report,), mask, _, rounds, passed = refine(
        comfy, graph_of(comfy, image, look(image))
    )
    assert sequence(run) == ["join"]
    assert torch.equal(result, image)
    assert not mask.any()
    assert (rounds, passed) == (0, True)
    assert report["summary"] == ["Nothing was found."]


def test_a_loop_that_makes_things_worse_keeps_the_better_image(comfy, look):
    """The model paints what is found as a worse defect; the red spot beside it is repaired."""
    image = scene(REDS[0], HAND)
    graph = with_diffusion(graph_of(comfy, image, look(image, WORSE)))
    _, result, (report,), _, left, rounds, passed = refine(comfy, graph)
    assert [
        [(one["kind"], one["result"]) for one in done["repairs"]] for done in report["rounds"]
    ] == [
        [(FINGERS, "no better, taken back"), (SPOT, "gone")],
        [(FINGERS, "no better, taken back")],
    ]
    assert report["stopped"] == "The last round brought no improvement."
    assert (rounds, passed, left.count) == (2, False, 1)
    repaired = report["rounds"][0]["repairs"][1]["box"]
    far = torch.ones(1, *image.shape[1:3], dtype=torch.bool)
    far[:, : repaired["y"] + 30, : repaired["x"] + 30] = False
    assert torch.equal(result[far], image[far])
    assert (result[~far] - scene()[~far]).abs().max() < 0.1
    # another seed each time
    seeds = [one["seed"] for done in report["rounds"] for one in done["repairs"]]
    assert seeds == [3, 4, 1003]


def test_nothing_changes_where_nothing_helps(comfy, look):
    image = scene(HAND)
    graph = with_diffusion(graph_of(comfy, image, look(image, WORSE)))
    _, result, (report,), mask, _, rounds, passed = refine(comfy, graph)
    assert torch.equal(result, image)
    assert not mask.any()
    assert (rounds, passed) == (1, False)
    assert report["stopped"] == "The last round brought no improvement."


def test_what_nothing_connected_repairs_is_left_with_the_reason(comfy, look):
    image = scene(HAND)
    _, _, (report,), _, left, rounds, passed = refine(comfy, graph_of(comfy, image, look(image)))
    assert report["left"][0]["why"] == "Connect model, vae and clip."
    assert (rounds, passed, left.count) == (0, False, 1)


def test_a_run_repeats_and_another_seed_differs(comfy, look):
    image = scene(*REDS)
    image += 0.05 * torch.rand(image.shape, generator=torch.Generator().manual_seed(1))
    image = image.clamp(0, 1)
    graph = graph_of(comfy, image, look(image))
    first = refine(comfy, graph)
    comfy.reset()
    again = refine(comfy, graph)
    assert torch.equal(first[1], again[1])
    assert first[2] == again[2]
    graph["fix"]["inputs"]["seed"] = 4000
    assert not torch.equal(refine(comfy, graph)[1], first[1])


# looking again ------------------------------------------------------------------------------------


def test_a_detector_that_fails_in_the_loop_is_reported(comfy, look, package):
    find, calls = colour_detector("colours", KINDS, package), []

    def tires(image):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("tired")
        return find(image)

    image = scene(*REDS)
    _, result, (report,), _, _, rounds, passed = refine(
        comfy, graph_of(comfy, image, look(image, detector=tires))
    )
    assert report["failures"] == [{"detector": "colours", "message": "RuntimeError: tired"}]
    assert report["passed"] is None
    assert (rounds, passed) == (2, False)
    assert look(result).count == 0


def test_what_others_have_found_is_repaired_once(comfy, look, package):
    import importlib

    inspection = importlib.import_module(f"{package}.defects.inspection")
    find = colour_detector("mask", KINDS, package)
    image = scene(*REDS)
    given = [inspection.Given(tuple(find(image[0])))]
    defects = look(image, detector=lambda image: [], given=given)
    _, result, (report,), _, _, rounds, passed = refine(comfy, graph_of(comfy, image, defects))
    assert (rounds, passed) == (2, True)
    assert len(report["not_looked_for"]) == 3
    assert look(result).count == 0


@pytest.mark.parametrize("where", ["sampling", "looking"])
def test_cancel_in_the_middle_of_a_round(comfy, look, package, where):
    import comfy.model_management as management

    find, looked = colour_detector("colours", KINDS, package), []

    def watched(image):
        looked.append(1)
        if where == "looking" and len(looked) == 2:
            management.interrupt_current_processing()
        return find(image)

    image = scene(*REDS, HAND)
    graph = with_diffusion(graph_of(comfy, image, look(image, detector=watched), steps=8))
    loader = {"model": graph["model"]}
    model = comfy.execute_graph(loader, want=["model"]).check().results["model"][0].clone()
    steps = []

    def sampled(args):
        steps.append(args["sigma"])
        if where == "sampling" and len(steps) == 3:
            management.interrupt_current_processing()
        return args["denoised"]

    model.set_model_sampler_post_cfg_function(sampled)
    graph["model"] = comfy.source(model)
    run = comfy.execute_graph(graph, want=["fix"])
    management.interrupt_current_processing(False)
    assert run.status == "interrupted"
    ran = sequence(run)
    last = "sample" if where == "sampling" else "look"
    assert ran[-1].endswith(last)
    assert len(looked) == (1 if where == "sampling" else 2)
    assert len(steps) == (3 if where == "sampling" else 8)
    # and the next run is as if nothing had been
    *_, passed = refine(comfy, graph_of(comfy, image, look(image), repair="fill only"))
    assert passed is False


# pictures -----------------------------------------------------------------------------------------


def test_each_picture_of_a_batch_is_repaired_as_if_it_came_alone(comfy, look):
    shades = [scene(*REDS), scene(), scene(REDS[1])]
    image = torch.cat(shades)
    run, result, reports, mask, left, rounds, passed = refine(
        comfy, graph_of(comfy, image, look(image))
    )
    assert sequence(run) == [
        *rounds_of("image_0", ["fill_1", "fill_2"], ["fill_1"]),
        *rounds_of("image_2", ["fill_1"]),
        "join",
    ]
    assert result.shape == image.shape
    assert [len(report["rounds"]) for report in reports] == [2, 0, 1]
    assert (rounds, passed, len(left.images)) == (2, True, 3)
    assert torch.equal(result[1], image[1])
    assert not mask[1].any()
    for number, shade in enumerate(shades):
        alone = refine(comfy, graph_of(comfy, shade, look(shade)))
        assert torch.equal(alone[1][0], result[number])
        assert alone[2] == [reports[number]]


@pytest.mark.parametrize("repair", ["by kind", "diffusion only"])
def test_transparency_is_kept(comfy, look, repair):
    image = scene(*REDS)
    image = torch.cat((image, torch.rand(1, *image.shape[1:3], 1)), dim=-1)
    graph = with_diffusion(graph_of(comfy, image, look(image), repair=repair))
    _, result, *_, passed = refine(comfy, graph)
    assert passed is True
    assert result.shape == image.shape
    assert torch.equal(result[..., 3], image[..., 3])


def test_a_list_of_pictures_is_one_run_for_each(comfy, look):
    image = torch.cat([scene(*REDS[:1]), scene(*REDS[:1])])
    graph = graph_of(comfy, image, look(image[:1]))
    graph["list"] = node("RebatchImages", images=["image", 0], batch_size=1)
    graph["fix"]["inputs"]["image"] = ["list", 0]
    run = comfy.execute_graph(graph, want=["fix"]).check()
    images, _, _, _, _, passed = run.results["fix"]
    assert [tuple(one.shape) for one in images] == [(1, 160, 200, 3)] * 2
    assert passed == [True, True]


def test_the_user_is_told_at_the_node(comfy, look):
    image = scene(*REDS)
    run, _, (report,), *_ = refine(comfy, graph_of(comfy, image, look(image)))
    said = [text for where, text in run.texts if where == "fix"]
    assert said == report["summary"][:2]
    (shown,) = [shown["text"] for shown in run.outputs.values() if "text" in shown]
    assert shown == ["\n".join(report["summary"])]
    shows = [event for event in run.events("executed") if "text" in (event["output"] or {})]
    assert {event["display_node"] for event in shows} == {"fix"}


# bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": scene(height=100)}, "of 200x160 but image holds 1 of 200x100"),
        ({"image": torch.cat([scene(), scene()])}, "those of 1 images"),
        ({"defects": "text"}, "defects is a str: connect the output defects of DefectDetect"),
        ({"model": object()}, "vae and clip of the diffusion model is not connected"),
        ({"removal_model": object()}, "removal_model is a object"),
        ({"repair": "diffusion only"}, "connect model, vae and clip"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_work_is_refused_in_one_sentence(comfy, look, change, words):
    graph = graph_of(comfy, scene(), look(scene(*REDS)))
    for name, value in change.items():
        if name == "repair":
            graph["fix"]["inputs"][name] = value
        else:
            graph["bad"] = comfy.source(value)
            graph["fix"]["inputs"][name] = ["bad", 0]
    run = comfy.execute_graph(graph, want=["fix"])
    assert run.error["exception_type"] == "ValueError"
    assert words in run.error["exception_message"]
    assert run.error["node_id"] == "fix"


def test_a_model_that_does_not_inpaint_is_refused_before_anything_runs(comfy, look):
    graph = graph_of(comfy, scene(HAND), look(scene(HAND)))
    graph["model"] = node("CheckpointLoaderSimple", ckpt_name="sd15.safetensors")
    graph["fix"]["inputs"] |= {"model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2]}
    run = comfy.execute_graph(graph, want=["fix"])
    assert "not trained to inpaint" in run.error["exception_message"]
    assert sequence(run) == []
