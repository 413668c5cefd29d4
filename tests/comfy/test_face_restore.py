"""FaceRestore, through ComfyUI's executor."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from standins.broken import write_esrgan
from standins.faces import (
    Transparent,
    descriptor,
    write_codeformer,
    write_gfpgan,
    write_restoreformer,
)
from support.faces import face_at, texture
from support.graphs import node

PLAIN = {
    "strength": 1.0,
    "fidelity": 0.7,
    "selection": "all",
    "index": 0,
    "colour_match": "none",
    "identity_guard": False,
}
TRUE_SIZE = {
    "GFPGAN": (write_gfpgan, {"return_rgb": False, "randomize_noise": False}),
    "RestoreFormer": (write_restoreformer, {}),
    "CodeFormer": (write_codeformer, {"weight": 0.7}),
}


def graph(comfy, image, model, **settings):
    return {
        "image": comfy.source(image),
        "model": comfy.source(model),
        "restore": node(
            "FaceRestore",
            image=["image", 0],
            upscale_model=["model", 0],
            **{**PLAIN, **settings},
        ),
    }


def restored(comfy, image, model, **settings):
    run = comfy.execute_graph(graph(comfy, image, model, **settings), want=["restore"])
    return run.check().results["restore"]


@pytest.fixture
def in_upscale_models(comfy):
    written = []

    def write(name, make):
        path = comfy.base / "models" / "upscale_models" / name
        written.append(path)
        return make(path)

    yield write
    for path in written:
        path.unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUE_SIZE)
def test_networks_of_true_size(comfy, in_upscale_models, name):
    """Through core's loader; the crop goes in as RGB in -1..1, what comes out is added."""
    make, options = TRUE_SIZE[name]
    if name == "CodeFormer" and importlib.util.find_spec("spandrel_extra_arches") is None:
        pytest.skip("spandrel_extra_arches is not installed (CodeFormer is non-commercial)")
    in_upscale_models(f"{name}.safetensors", make)
    loader = {"load": node("UpscaleModelLoader", model_name=f"{name}.safetensors")}
    (model,) = comfy.execute_graph(loader, want=["load"]).check().results["load"]
    seen = []
    model.model.register_forward_hook(
        lambda network, args, kwargs, result: seen.append((args, kwargs, result)),
        with_kwargs=True,
    )
    image = texture(512, 512)[None]
    after, mask, crop, made, boxes, report = restored(comfy, image, model, already_aligned=True)
    (((fed,), called_with, (result, *_)),) = seen
    assert called_with == options
    assert torch.allclose(fed[0].movedim(0, -1), crop[0] * 2 - 1, atol=1e-6)
    assert torch.allclose(crop, image, atol=1e-5)
    wanted = (result[0].movedim(0, -1).clamp(-1, 1) + 1) / 2
    assert torch.allclose(made[0], wanted, atol=1e-5)
    # On the frame's own grid the image becomes what the network made.
    assert (after - wanted).abs().max() < 1e-3
    assert (mask == 1).all()
    assert boxes[0][0]["width"] == 512
    assert "restored" in report
    comfy.reset()


@pytest.mark.parametrize("name", TRUE_SIZE)
def test_range_and_channels_of_a_network_that_keeps_what_it_saw(comfy, name):
    image = torch.zeros(1, 512, 512, 3)
    image[..., 0], image[..., 1], image[..., 2] = 1.0, 0.5, 0.25
    network = Transparent(name, colour=(0.0, 0.0, 0.5))
    after = restored(comfy, image, descriptor(network), already_aligned=True)[0]
    (fed,) = network.seen
    assert fed.shape == (1, 3, 512, 512)
    assert [round(float(plane.mean()), 4) for plane in fed[0]] == [1.0, 0.0, -0.5]
    assert torch.allclose(after[0, 256, 256], torch.tensor([1.0, 0.5, 0.5]), atol=1e-5)
    assert network.options == [TRUE_SIZE[name][1]]


@pytest.fixture(scope="module")
def astronaut():
    """A photo with one face, whose eyes are 42 pixels apart."""
    data = pytest.importorskip("skimage.data")
    for name in ("mtcnn", "lz4"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    return torch.from_numpy(data.astronaut()).float()[None] / 255


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_network_that_changes_nothing_leaves_every_pixel(comfy, astronaut, dtype):
    image = astronaut.to(dtype)
    network = Transparent("GFPGAN")
    settings = {"strength": 0.8, "colour_match": "gain and offset", "identity_guard": True}
    result = restored(comfy, image, descriptor(network), **settings)
    after, mask, crop, made, boxes, report = result
    assert len(network.seen) == 1
    assert torch.equal(after, image.float())
    assert mask.sum() > 10_000
    assert torch.equal(crop, made)
    (box,) = boxes[0]
    assert box["x"] < 205 < box["x"] + box["width"]
    assert box["label"] == "face"
    assert box["score"] > 0.95
    assert "1 face found, 1 restored" in report
    assert "landmarks moved 0.0%" in report


def test_a_negative_face(comfy, astronaut):
    after, mask, *_ = restored(comfy, astronaut, descriptor(Transparent("GFPGAN", -1.0)))
    full = mask == 1
    assert full.any()
    assert (after - (1 - astronaut))[full].abs().max() < 1 / 255
    assert torch.equal(after[mask == 0], astronaut[mask == 0])


def test_the_guard_keeps_a_face_that_is_none_any_more(comfy, astronaut):
    model = descriptor(Transparent("GFPGAN", 0.0, (0.9, -0.9, 0.0)))
    after, _, _, _, _, report = restored(comfy, astronaut, model, identity_guard=True)
    free, *_ = restored(comfy, astronaut, model)
    assert (after - astronaut).abs().max() < 0.5 * (free - astronaut).abs().max()
    assert "lowered from 1.00 to stay itself" in report or "drift too far" in report


def test_what_is_shown(comfy, astronaut):
    """The report under the node, progress, and a model that ComfyUI manages."""
    import comfy.model_management as management

    prompt = graph(comfy, astronaut, descriptor(Transparent("GFPGAN")))
    run = comfy.execute_graph(prompt, want=["restore", "model"]).check()
    report = run.results["restore"][-1]
    assert ("restore", report) in run.texts
    assert list(run.outputs["restore"]["text"]) == [report]
    assert any(data["value"] == data["max"] for data in run.events("progress"))
    (model,) = run.results["model"]
    assert model.patcher in [loaded.model for loaded in management.current_loaded_models]


def test_a_mask_with_nothing_of_the_face(comfy, astronaut):
    mask = torch.zeros(astronaut.shape[:3])
    mask[:, 400:] = 1
    prompt = graph(comfy, astronaut, descriptor(Transparent("GFPGAN", -1.0)))
    prompt["mask"] = comfy.source(mask)
    prompt["restore"]["inputs"]["mask"] = ["mask", 0]
    report = unchanged(comfy, prompt, astronaut)
    assert "1 face found, 0 restored" in report
    assert "the mask does not touch it" in report


def unchanged(comfy, prompt, image):
    """Run a graph in which no face is restored, with nodes behind every output; the report."""
    prompt["show"] = node("PreviewImage", images=["restore", 0])
    prompt["crops"] = node("PreviewImage", images=["restore", 2])
    run = comfy.execute_graph(prompt).check()
    assert "show" in run.outputs
    assert "crops" not in run.outputs
    inputs = {k: v for k, v in prompt["restore"]["inputs"].items() if not isinstance(v, list)}
    execute = comfy.node("FaceRestore").execute
    mask = image.new_zeros(0)
    model = descriptor(Transparent("GFPGAN", -1.0))
    if "mask" in prompt:
        from_source = prompt["mask"]["inputs"]["key"]
        mask = comfy.node(prompt["mask"]["class_type"]).values[from_source]
        inputs["mask"] = mask
    after, changed, *_, boxes, report = execute(image=image, upscale_model=model, **inputs).result
    assert torch.equal(after, image)
    assert changed.shape == image.shape[:3]
    assert not changed.any()
    assert boxes == [[]] * len(image)
    assert report in [text for _, text in run.texts]
    return report


@pytest.mark.parametrize("shape", [(1, 120, 90, 3), (2, 40, 40, 4), (1, 16, 16, 3), (1, 3, 2, 3)])
def test_no_face_is_no_error(comfy, astronaut, shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    model = descriptor(Transparent("GFPGAN", -1.0))
    report = unchanged(comfy, graph(comfy, image, model, confidence=0.97), image)
    assert report.count("no face found at a confidence of 0.97 or more") == shape[0]


def test_transparency_is_kept(comfy, astronaut):
    image = torch.cat((astronaut, torch.rand(1, 512, 512, 1)), 3)
    after, mask, *_ = restored(comfy, image, descriptor(Transparent("GFPGAN", -1.0)))
    assert mask.any()
    assert torch.equal(after[..., 3], image[..., 3])


def test_a_batch_with_an_empty_picture(comfy, astronaut):
    images = torch.cat((astronaut, torch.full_like(astronaut, 0.5), astronaut))
    result = restored(comfy, images, descriptor(Transparent("GFPGAN", -1.0)))
    after, _, crops, _, boxes, report = result
    assert [len(some) for some in boxes] == [1, 0, 1]
    assert len(crops) == 2
    assert torch.equal(after[1], images[1])
    assert torch.equal(after[0], after[2])
    assert "Image 2: no face found" in report


def test_a_rotated_face_is_found_when_asked(comfy, astronaut):
    image = torch.rot90(astronaut, 2, (1, 2)).contiguous()
    model = descriptor(Transparent("GFPGAN", -1.0))
    after, mask, *_ = restored(comfy, image, model, rotated_faces=True)
    assert mask.any()
    upright = restored(comfy, astronaut, model)[0]
    assert (torch.rot90(after, 2, (1, 2)) - upright).abs().mean() < 0.02


def refusal(comfy, prompt):
    run = comfy.execute_graph(prompt, want=["restore"])
    assert run.status == "error"
    return run.error["exception_type"], run.error["exception_message"].strip()


def test_an_upscale_model_is_refused(comfy, in_upscale_models):
    in_upscale_models("esrgan-x4.safetensors", write_esrgan)
    prompt = graph(comfy, texture(64, 64)[None], None)
    prompt["model"] = node("UpscaleModelLoader", model_name="esrgan-x4.safetensors")
    kind, message = refusal(comfy, prompt)
    assert kind == "ValueError"
    assert "4x ESRGAN upscale model, which does not restore faces" in message


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (texture(40, 40)[None][..., :1], "3 or 4"),
        (torch.full((1, 40, 40, 3), torch.nan), "NaN"),
    ],
)
def test_bad_pictures(comfy, image, words):
    kind, message = refusal(comfy, graph(comfy, image, descriptor(Transparent("GFPGAN"))))
    assert kind == "ValueError"
    assert words in message


@pytest.mark.parametrize("name", TRUE_SIZE)
def test_a_network_that_raises_stops_the_graph_with_its_name(comfy, astronaut, name):
    model = descriptor(Transparent(name, fails=TypeError("unexpected keyword argument 'w'")))
    kind, message = refusal(comfy, graph(comfy, astronaut, model))
    assert kind == "RuntimeError"
    assert name in message
    assert "unexpected keyword argument" in message


def test_cancelling(comfy, astronaut):
    """Between two faces, by the flag that ComfyUI's cancel button sets."""
    import comfy.model_management as management

    class Cancelling(Transparent):
        def forward(self, x, **options):
            management.interrupt_current_processing()
            return super().forward(x, **options)

    network = Cancelling("GFPGAN")
    prompt = graph(comfy, astronaut.repeat(3, 1, 1, 1), descriptor(network))
    run = comfy.execute_graph(prompt, want=["restore"])
    management.interrupt_current_processing(False)
    assert run.status == "interrupted"
    assert len(network.seen) == 1


def test_memory_that_runs_out_with_one_face_is_freed_once(comfy, astronaut):
    class Small(Transparent):
        def forward(self, x, **options):
            made = super().forward(x, **options)
            if len(self.seen) == 1:
                raise torch.OutOfMemoryError
            return made

    network = Small("GFPGAN")
    prompt = graph(comfy, astronaut, descriptor(network))
    run = comfy.execute_graph(prompt, want=["restore"]).check()
    assert len(network.seen) == 2
    assert any("all other models were unloaded" in text for _, text in run.texts)


def test_a_detector_file_that_is_missing_is_refused_before_anything_runs(comfy):
    from support.results import PromptRejected

    prompt = graph(
        comfy, texture(40, 40)[None], descriptor(Transparent("GFPGAN")), face_detector="gone.onnx"
    )
    with pytest.raises(PromptRejected, match=r"gone\.onnx"):
        comfy.execute_graph(prompt, want=["restore"])


def test_the_folder_of_detectors_is_added_to_what_others_registered(comfy):
    import folder_paths

    paths, _ = folder_paths.folder_names_and_paths["facedetection"]
    assert any(path.endswith("facedetection") for path in paths)


def given(comfy, image, name, value, network, **settings):
    prompt = graph(comfy, image, descriptor(network), **settings)
    prompt[name] = comfy.source(value)
    prompt["restore"]["inputs"][name] = [name, 0]
    return comfy.execute_graph(prompt, want=["restore"]).check().results["restore"]


def box(x, y, width, height):
    return {"x": x, "y": y, "width": width, "height": height, "label": "face", "score": 1.0}


def test_boxes_say_where_to_look(comfy, astronaut):
    boxes = [[box(170, 60, 110, 120), box(900, 10, 50, 50), box(20, 400, 60, 60)]]
    network = Transparent("GFPGAN", -1.0)
    *_, found, report = given(comfy, astronaut, "boxes", boxes, network)
    assert len(network.seen) == 1
    assert len(found[0]) == 1
    assert "box 2 at (900, 10), 50x50, lies outside the image" in report
    assert "kept, no landmarks were found in its box" in report


def landmarks_of(points, image):
    """What MediaPipe Face Landmarker says of one face, but for what nobody reads here."""
    mesh = torch.zeros(478, 2)
    for place, point in zip((468, 473, 4, 61, 291), points, strict=True):
        mesh[place] = torch.tensor(point)
    (left, top), (right, bottom) = mesh[mesh[:, 0] > 0].amin(0), mesh.amax(0)
    face = {
        "landmarks_xy": mesh.numpy(),
        "bbox_xyxy": [float(v) for v in (left, top, right, bottom)],
        "score": 0.7,
    }
    return {"frames": [[face]] * len(image), "image_size": tuple(image.shape[1:3])}


def test_landmarks_need_no_detector(comfy):
    """In a picture without any face."""
    image = texture(300, 400)[None].repeat(2, 1, 1, 1)
    points = face_at(200, 150, 200, 10).landmarks
    network = Transparent("GFPGAN", -1.0)
    value = landmarks_of(points, image)
    after, mask, crops, *_, report = given(comfy, image, "face_landmarks", value, network)
    assert len(network.seen) == 2
    assert len(crops) == 2
    assert (after - (1 - image))[mask == 1].abs().max() < 1 / 255
    assert mask[0, 150, 200] == 1
    assert "score 0.70: restored" in report


def test_landmarks_of_another_picture_are_refused(comfy):
    image = texture(300, 400)[None]
    value = landmarks_of(face_at(200, 150, 200).landmarks, image[:, :200])
    prompt = graph(comfy, image, descriptor(Transparent("GFPGAN")))
    prompt["given"] = comfy.source(value)
    prompt["restore"]["inputs"]["face_landmarks"] = ["given", 0]
    kind, message = refusal(comfy, prompt)
    assert kind == "ValueError"
    assert "400x200" in message and "400x300" in message


def test_fifty_faces(comfy):
    image = texture(500, 1000)[None]
    frames = [
        landmarks_of(face_at(50 + 100 * (i % 10), 50 + 100 * (i // 10), 64).landmarks, image)
        for i in range(50)
    ]
    value = {**frames[0], "frames": [[frame["frames"][0][0] for frame in frames]]}
    network = Transparent("RestoreFormer")
    after, mask, crops, _, boxes, report = given(comfy, image, "face_landmarks", value, network)
    assert torch.equal(after, image)
    assert mask.any()
    assert len(crops) == len(boxes[0]) == 50
    assert "50 faces found, 50 restored" in report
    few = given(comfy, image, "face_landmarks", value, Transparent("GFPGAN"), max_faces=2, index=0)
    assert "50 faces found, 2 restored" in few[-1]


def test_a_detector_file_that_is_none(comfy):
    folder = comfy.base / "models" / "facedetection"
    folder.mkdir(exist_ok=True)
    path = folder / "page.onnx"
    path.write_text("<html>Sign in</html>")
    try:
        prompt = graph(
            comfy,
            texture(64, 64)[None],
            descriptor(Transparent("GFPGAN")),
            face_detector="page.onnx",
        )
        kind, message = refusal(comfy, prompt)
    finally:
        path.unlink()
    assert kind == "ValueError"
    assert "page.onnx is not a YuNet face detector" in message
