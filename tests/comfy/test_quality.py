"""QualityScore and PickBest, through ComfyUI's executor."""

from __future__ import annotations

import pytest
import torch
from support.graphs import node, picture

QUALITY = {
    "worst": 0.0,
    "best": 1.0,
    "wanted_side": 64,
    **{
        f"{name}_weight": 1.0
        for name in (
            *("sharpness", "noise", "compression", "light", "resolution", "agreement", "given"),
        )
    },
}
PICK = {"keep": 1, "prefer": "highest"}


def pattern(seed=0, size=96):
    """Discs of plain colours, drawn sharp, with rims of one pixel."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    image = torch.full((size, size, 3), 0.4)
    for _ in range(30):
        row, column, radius, *colour = torch.rand(6, generator=generator).tolist()
        distance = torch.hypot(y - size * row, x - size * column)
        inside = (6 + 12 * radius - distance).clamp(0, 1)[..., None]
        image += inside * (0.1 + 0.8 * torch.tensor(colour) - image)
    return image[None]


def softer(image, times):
    moved = image.movedim(-1, 1)
    for _ in range(times):
        moved = torch.nn.functional.avg_pool2d(moved, 3, 1, 1, count_include_pad=False)
    return moved.movedim(1, -1)


BATCH = torch.cat([softer(pattern(), times) for times in (3, 0, 9, 1)])
ORDER = [1, 3, 0, 2]


def quality(comfy, image=BATCH, links=(), **settings):
    graph = {"image": comfy.source(image)}
    inputs = {"image": ["image", 0], **QUALITY, **settings}
    for name, value in dict(links).items():
        graph[name] = comfy.source(value)
        inputs[name] = [name, 0]
    graph["score"] = node("QualityScore", **inputs)
    return graph


def pick(comfy, image=BATCH, scores=None, **settings):
    graph = {"image": comfy.source(image)}
    graph["pick"] = node("PickBest", image=["image", 0], **{**PICK, **settings})
    if scores is not None:
        graph["scores"] = comfy.source(scores)
        graph["pick"]["inputs"]["scores"] = ["scores", 0]
    return graph


def results(comfy, graph, name):
    return comfy.execute_graph(graph, want=[name]).check().results[name]


def test_scores_are_a_list_and_fall_with_blur(comfy):
    run = comfy.execute_graph(quality(comfy), want=["score"]).check()
    scores, report = run.results["score"]
    assert sorted(range(4), key=lambda i: -scores[i]) == ORDER
    assert all(0 < score <= 1 for score in scores)
    lines = report.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"Image {n}" for n in (1, 2, 3, 4)]
    assert lines[2].split(": ")[2].startswith("sharpness")
    assert ("score", report) in run.texts


def test_pick_best_takes_the_scores_of_quality_score(comfy):
    graph = quality(comfy)
    graph["pick"] = node("PickBest", image=["image", 0], scores=["score", 0], **PICK)
    run = comfy.execute_graph(graph, want=["score", "pick"]).check()
    image, index, score, ranking = run.results["pick"]
    assert torch.equal(image, BATCH[1:2])
    assert index == 1
    assert score == max(run.results["score"][0])
    assert [line.split(":")[0] for line in ranking.splitlines()] == [
        f"{place}. image {number + 1}" for place, number in enumerate(ORDER, 1)
    ]


def test_without_scores_pictures_are_judged(comfy):
    image, index, score, ranking = results(comfy, pick(comfy, keep=3), "pick")
    assert torch.equal(image, BATCH[ORDER[:3]])
    assert index == 1
    assert score == results(comfy, quality(comfy, wanted_side=512), "score")[0][1]
    assert "sharpness" in ranking.splitlines()[-1]


@pytest.mark.parametrize(
    "scores",
    [[3, 1, 2, 9], "3 1 2 9", "[3, 1, 2, 9]", torch.tensor([3.0, 1, 2, 9]), ["3", "1", "2", "9"]],
)
def test_scores_of_any_form(comfy, scores):
    image, index, score, _ = results(comfy, pick(comfy, scores=scores, keep=9), "pick")
    assert torch.equal(image, BATCH[[3, 0, 2, 1]])
    assert (index, score) == (3, 9)


def test_scores_that_another_node_makes_one_by_one(comfy):
    graph = quality(comfy)
    graph["less"] = node("ComfyMathExpression", **{"expression": "1 - a", "values.a": ["score", 0]})
    graph["pick"] = node("PickBest", image=["image", 0], scores=["less", 0], **PICK)
    assert results(comfy, graph, "pick")[1] == ORDER[-1]


def test_the_lowest_wins_where_asked_and_ties_go_to_the_first(comfy):
    image, index, *_ = results(comfy, pick(comfy, scores=[5, 2, 2, 7], prefer="lowest"), "pick")
    assert index == 1
    assert torch.equal(image, BATCH[1:2])
    assert results(comfy, pick(comfy, scores=[7, 2, 7, 7]), "pick")[1] == 0


def test_given_scores_weigh_in(comfy):
    graph = quality(comfy, links={"scores": [1, 1, 10, 1]}, worst=1.0, best=10.0)
    scores, report = results(comfy, graph, "score")
    assert max(range(4), key=lambda i: scores[i]) == 2
    assert "given 0.00 (score 1)" in report
    without, _ = results(comfy, quality(comfy), "score")
    graph["score"]["inputs"]["given_weight"] = 0.0
    assert results(comfy, graph, "score")[0] == without


def vision(comfy, image, width=1664, projection=1280):
    """What core's node makes of pictures with a CLIP Vision of one layer and known features."""
    from comfy.clip_vision import ClipVisionModel

    config = {
        "hidden_size": width,
        "projection_dim": projection,
        "intermediate_size": 16,
        "num_attention_heads": 16,
        "num_hidden_layers": 2,
        "num_channels": 3,
        "patch_size": 112,
        "image_size": 224,
        "model_type": "clip_vision_model",
        "hidden_act": "gelu",
    }
    generator = torch.Generator().manual_seed(0)
    model = ClipVisionModel(config)
    weights = {
        name: 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in model.get_sd().items()
    }
    model.load_sd(weights)
    encoder = comfy.node("CLIPVisionEncode")()
    return encoder.encode(model, image, "center")[0]


def conditioning(features):
    return [[torch.zeros(1, 77, 2048), {"pooled_output": features}]]


def test_agreement_with_the_prompt(comfy):
    batch = torch.cat([pattern(seed) for seed in (1, 2, 3)])
    output = vision(comfy, batch)
    wanted = output["image_embeds"][1:2].clone()
    links = {"clip_vision_output": output, "positive": conditioning(wanted)}
    only = {key: 0.0 for key in QUALITY if key.endswith("_weight")} | {"agreement_weight": 1.0}
    scores, report = results(comfy, quality(comfy, batch, links, **only), "score")
    assert scores[1] == 1.0
    assert "cosine 1.000" in report.splitlines()[1]
    away = {**links, "positive": conditioning(-wanted)}
    scores, report = results(comfy, quality(comfy, batch, away, **only), "score")
    assert scores[1] == 0.01
    assert "cosine -1.000" in report


def test_a_list_of_pictures_of_several_sizes(comfy):
    sizes = [softer(pattern(), 6), pattern(1, 48), pattern(2, 120)]
    graph = quality(comfy, sizes[0])
    graph["list"] = node("CreateList", **{"inputs.input0": ["a", 0], "inputs.input1": ["b", 0]})
    graph |= {"a": comfy.source(sizes[0]), "b": comfy.source(sizes[2])}
    graph["score"]["inputs"]["image"] = ["list", 0]
    scores, _ = results(comfy, graph, "score")
    assert len(scores) == 2
    graph["pick"] = node("PickBest", image=["list", 0], scores=["score", 0], **PICK)
    image, index, *_ = results(comfy, graph, "pick")
    assert index == 1
    assert torch.equal(image, sizes[2])
    graph["pick"]["inputs"]["keep"] = 2
    run = comfy.execute_graph(graph, want=["pick"])
    assert "make no batch: set keep to 1" in run.error["exception_message"]


def test_alpha_and_type_are_kept(comfy):
    image = torch.cat([picture(channels=4), picture(channels=4).flip(2)])
    chosen, *_ = results(comfy, pick(comfy, image, scores=[1, 2]), "pick")
    assert torch.equal(chosen, image[1:])


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ({"scores": [1, 2]}, "scores holds 2 numbers for 4 images"),
        ({"scores": "good"}, "the text 'good'"),
        ({"scores": [1, 2, 3, float("nan")]}, "holds nan"),
        ({"positive": conditioning(torch.ones(1, 1280))}, "clip_vision_output is not"),
        (
            {
                "positive": conditioning(torch.ones(1, 768)),
                "clip_vision_output": {
                    "image_embeds": torch.ones(4, 768),
                    "last_hidden_state": torch.ones(4, 257, 1024),
                },
            },
            "SD 1.5, SD 3 and Flux",
        ),
        (
            {
                "positive": conditioning(None),
                "clip_vision_output": {"image_embeds": torch.ones(4, 1280)},
            },
            "no features of the text as a whole",
        ),
        (
            {
                "positive": conditioning(torch.ones(1, 1280)),
                "clip_vision_output": {
                    "image_embeds": torch.ones(2, 1280),
                    "last_hidden_state": torch.ones(2, 257, 1664),
                },
            },
            "holds 2 pictures but image holds 4",
        ),
    ],
)
def test_refused_before_anything_is_judged(comfy, links, words):
    run = comfy.execute_graph(quality(comfy, links=links), want=["score"])
    assert run.status == "error"
    assert run.error["exception_type"] == "ValueError"
    message = run.error["exception_message"].strip()
    assert words in message
    assert "\n" not in message
    assert not list(run.events("progress"))


def test_a_wrong_number_of_scores_is_refused(comfy):
    run = comfy.execute_graph(pick(comfy, scores=[1, 2, 3]), want=["pick"])
    assert "scores holds 3 numbers for 4 images" in run.error["exception_message"]


def test_a_damaged_picture_is_refused(comfy):
    broken = BATCH.clone()
    broken[2, 5, 5] = torch.nan
    run = comfy.execute_graph(pick(comfy, broken), want=["pick"])
    assert "NaN" in run.error["exception_message"]


def test_cancelling_stops_before_the_next_picture(comfy, monkeypatch):
    import comfy.model_management as management
    from comfy.utils import ProgressBar

    seen = []
    update = ProgressBar.update_absolute

    def interrupt_at_the_second(bar, value, total=None, preview=None):
        seen.append(value)
        if value == 1:
            management.interrupt_current_processing()
        update(bar, value, total, preview)

    monkeypatch.setattr(ProgressBar, "update_absolute", interrupt_at_the_second)
    run = comfy.execute_graph(quality(comfy), want=["score"])
    management.interrupt_current_processing(False)
    assert run.status == "interrupted"
    assert max(seen) == 1
