"""LamaRemove under ComfyUI's memory management, with small networks from `comfy.source`."""

from __future__ import annotations

import sys

import pytest
import torch
from spandrel.architectures.LaMa import LaMaArch
from standins.small_lama import Watched, descriptor, small_lama
from support.graphs import lama_graph, mask_of, picture

TEXT = "Memory ran out"


def graph_with(comfy, model, image, mask, **settings):
    graph = lama_graph(comfy, image, mask, **settings)
    graph["model"] = comfy.source(model)
    return graph


def scene(batch=1, height=400, width=500):
    image = picture(height, width, batch)
    return image, mask_of((150, 200, 90, 110), height=height, width=width)


@pytest.mark.parametrize("cap", [256, 320, 16384])
def test_the_network_sees_no_more_than_the_cap(comfy, cap):
    network = Watched()
    image, mask = scene()
    graph = graph_with(comfy, descriptor(network), image, mask, max_side=cap, context_pixels=200)
    result, changed = comfy.execute_graph(graph, want=["remove"]).check().results["remove"]
    ((seen, _),) = network.seen
    assert max(seen.shape[2:]) == min(cap, 504)
    assert torch.equal(result[changed == 0], image[changed == 0])


def test_settings_that_older_graphs_lack_have_their_defaults(comfy):
    network = Watched()
    image, mask = scene()
    graph = graph_with(comfy, descriptor(network), image, mask)
    assert not {"max_side", "same_crop_for_all", "refine"} & set(graph["remove"]["inputs"])
    comfy.execute_graph(graph, want=["remove"]).check()
    assert len(network.seen) == 1


@pytest.fixture
def as_on_a_gpu(comfy, monkeypatch):
    """Give crops together, which a CPU is not given."""
    package = comfy.node("LamaRemove").__module__.rpartition(".")[0]
    monkeypatch.setattr(sys.modules[f"{package}.managed_fill"], "batch_pixels_of", lambda *_: 2**20)


def test_equal_crops_are_filled_together(comfy, as_on_a_gpu):
    network = Watched()
    image, mask = scene(5)
    run = comfy.execute_graph(graph_with(comfy, descriptor(network), image, mask), want=["remove"])
    run.check()
    sizes = [tuple(seen.shape) for seen, _ in network.seen]
    assert sum(size[0] for size in sizes) == 5
    assert max(size[0] * size[2] * size[3] for size in sizes) <= 2**20 * 1.05
    assert len(sizes) < 5


@pytest.mark.parametrize("same", [False, True])
def test_frames_of_a_video_may_share_their_crop(comfy, same):
    network = Watched()
    image = picture(300, 700, 3)
    spots = [(100, 120, 30, 30), (110, 180, 30, 30), (120, 240, 30, 30)]
    masks = torch.cat([mask_of(spot, height=300, width=700) for spot in spots])
    graph = graph_with(
        comfy, descriptor(network), image, masks, same_crop_for_all=same, context_pixels=64
    )
    result, changed = comfy.execute_graph(graph, want=["remove"]).check().results["remove"]
    widths = {seen.shape[3] for seen, _ in network.seen}
    assert widths == ({304} if same else {184})
    assert torch.equal(result[changed == 0], image[changed == 0])


class Greedy(Watched):
    """A network that runs out of memory beyond a number of pixels."""

    def __init__(self, pixels):
        super().__init__()
        self.pixels = pixels
        self.calls = []

    def forward(self, image, mask):
        count, _, height, width = image.shape
        self.calls.append((count, height, width))
        if count * height * width > self.pixels:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(image, mask)


def test_out_of_memory_is_tried_again_at_half_the_size_and_said(comfy, as_on_a_gpu):
    network = Greedy(200 * 200)
    image, mask = scene(3)
    # each frame has an object elsewhere, whose crops differ in size
    masks = torch.cat([mask, mask_of((20, 20, 80, 90), height=400, width=500), mask])
    graph = graph_with(comfy, descriptor(network), image, masks)
    run = comfy.execute_graph(graph, want=["remove"]).check()
    result, changed = run.results["remove"]
    assert torch.equal(result[changed == 0], image[changed == 0])
    assert not torch.equal(result[changed > 0], image[changed > 0])
    # two frames at once, the first alone, at half the size; the second at once at half the size
    (count, height, width), alone, half, next_frame, other = network.calls
    assert count == 2
    assert alone == (1, height, width)
    assert max(half) == pytest.approx(width / 2, abs=8)
    assert next_frame == half
    assert max(other) <= max(half)
    assert [text for _, text in run.texts if TEXT in text] == [
        "Memory ran out with a crop of 262 pixels: all other models were unloaded, and crops are "
        "capped at 131 pixels from here on."
    ]


def test_out_of_memory_at_half_the_size_too_is_an_error(comfy):
    graph = graph_with(comfy, descriptor(Greedy(10)), *scene())
    run = comfy.execute_graph(graph, want=["remove"])
    assert run.status == "error"
    assert "OutOfMemoryError" in run.error["exception_type"]


def test_another_error_is_not_tried_again(comfy):
    class Broken(Watched):
        def forward(self, image, mask):
            super().forward(image, mask)
            raise RuntimeError("something else")

    network = Broken()
    run = comfy.execute_graph(graph_with(comfy, descriptor(network), *scene()), want=["remove"])
    assert "something else" in run.error["exception_message"]
    assert len(network.seen) == 1


@pytest.mark.parametrize("refine", [0, 3])
def test_cancel_stops_within_a_crop_or_a_step(comfy, refine):
    import comfy.model_management as management

    calls = []

    class Hook:
        def __call__(self, *_):
            calls.append(1)
            if len(calls) == 2:
                management.interrupt_current_processing()

    model = descriptor(small_lama(), LaMaArch() if refine else Alone())
    # the first of the residual blocks: it runs in each fill and in each step
    model.model.model.model[5].register_forward_pre_hook(Hook())
    if refine:
        image, mask = scene(1, 520, 520)
        settings = {"context_pixels": 300, "refine": refine}
    else:
        image = picture(900, 900)
        spots = [(y, x, 9, 9) for y in (40, 800) for x in (40, 800)]
        mask = mask_of(*spots, height=900, width=900)
        settings = {"context_pixels": 100}
    graph = graph_with(comfy, model, image, mask, **settings)
    run = comfy.execute_graph(graph, want=["remove"])
    management.interrupt_current_processing(False)
    assert run.status == "interrupted"
    assert len(calls) == 2


class Alone(LaMaArch):
    """Of networks that take one crop at a time."""

    id = "Alone"


def test_a_network_of_one_size_sees_picture_in_all_of_it(comfy):
    network = Watched()
    model = descriptor(network, Alone(), minimum=128, multiple_of=128, square=True)
    image, mask = scene()
    comfy.execute_graph(graph_with(comfy, model, image, mask), want=["remove"]).check()
    ((seen, _),) = network.seen
    assert seen.shape[2:] == (128, 128)
    small = mask_of((150, 200, 9, 9), height=400, width=500)
    graph = graph_with(comfy, model, image, small, context_pixels=0)
    comfy.execute_graph(graph, want=["remove"]).check()
    assert network.seen[1][0].shape[2:] == (128, 128)


def test_refining_says_what_it_costs_before_it_starts(comfy):
    image, mask = scene(1, 520, 520)
    model = descriptor(small_lama())
    settings = {"context_pixels": 300, "refine": 2}
    run = comfy.execute_graph(graph_with(comfy, model, image, mask, **settings), want=["remove"])
    result, changed = run.check().results["remove"]
    assert torch.equal(result[changed == 0], image[changed == 0])
    (text,) = [text for _, text in run.texts if "Refin" in text]
    assert text == (
        "Refining a crop of 520x520: 2 steps, which compute as much as 6 plain fills and take "
        "about 3.9 GB."
    )
    # plainly filled it looks otherwise
    graph = graph_with(comfy, model, image, mask, **{**settings, "refine": 0})
    plain = comfy.execute_graph(graph, want=["remove"]).check().results["remove"][0]
    assert not torch.equal(plain, result)


def test_what_cannot_be_refined_is_refused_before_anything_runs(comfy):
    network = Watched()
    graph = graph_with(comfy, descriptor(network, Alone()), *scene(), refine=1)
    run = comfy.execute_graph(graph, want=["remove"])
    assert run.error["exception_type"] == "ValueError"
    assert "refine works with LaMa alone" in run.error["exception_message"]
    assert not network.seen


def test_comfyui_is_told_how_much_memory_a_call_takes(comfy, monkeypatch, as_on_a_gpu):
    import comfy.model_management as management

    asked = []
    plain = management.load_models_gpu

    def watched(models, memory_required=0, **kwargs):
        asked.append(memory_required)
        return plain(models, memory_required=memory_required, **kwargs)

    monkeypatch.setattr(management, "load_models_gpu", watched)
    network = Watched()
    graph = graph_with(comfy, descriptor(network), *scene(2))
    comfy.execute_graph(graph, want=["remove"]).check()
    ((seen, _),) = network.seen
    assert asked == [1050 * seen.shape[0] * seen.shape[2] * seen.shape[3]]


@pytest.mark.parametrize(
    "spots",
    [
        [(0, 0, 1, 133), (100, 0, 1, 133), (0, 0, 101, 1), (0, 132, 101, 1)],
        [(0, 0, 101, 66)],
        [(y, x, 1, 1) for y in range(0, 101, 2) for x in range(0, 133, 2)],
    ],
    ids=["frame", "half", "dots"],
)
def test_masks_that_touch_all_borders_or_leave_little(comfy, spots):
    image, mask = picture(), mask_of(*spots)
    graph = graph_with(comfy, descriptor(small_lama()), image, mask, grow=0, feather=0)
    result, changed = comfy.execute_graph(graph, want=["remove"]).check().results["remove"]
    assert result.isfinite().all()
    assert torch.equal(changed, mask)
    assert torch.equal(result[changed == 0], image[changed == 0])


def test_a_batch_in_which_some_masks_are_empty(comfy):
    network = Watched()
    image = picture(batch=3)
    masks = torch.cat([mask_of(), mask_of((40, 50, 9, 9)), mask_of()])
    graph = graph_with(comfy, descriptor(network), image, masks)
    result, changed = comfy.execute_graph(graph, want=["remove"]).check().results["remove"]
    assert sum(len(seen) for seen, _ in network.seen) == 1
    assert torch.equal(result[[0, 2]], image[[0, 2]])
    assert not changed[[0, 2]].any()
