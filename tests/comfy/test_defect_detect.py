"""DefectDetect, through ComfyUI's executor."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
import torch
from standins.sam import weights
from standins.yolo import network, v8
from support.graphs import node
from support.results import PromptRejected

BUILT_IN = ("sharpness", "compression", "noise", "exposure", "faces", "highlights", "blur_map")
NOTHING = {**dict.fromkeys(BUILT_IN, False), "short_side": 0}
OUTPUTS = ("defects", "mask", "boxes", "report", "defect_count", "passed", "preview")
GREY = torch.full((1, 64, 128, 3), 0.5)
NAMES = "{0: 'face', 1: 'hand'}"
HAND = {"x": 30, "y": 8, "width": 20, "height": 40}
# Centre, width, height of an input of 64x64, and the scores of two classes; in a picture of 128x64
# the first is HAND.
ROWS = [(20.0, 30.0, 10.0, 20.0, 0.0, 0.75), (50.0, 40.0, 8.0, 8.0, 0.35, 0.0)]


def graph(comfy, image, links=None, **widgets):
    links = {name: comfy.source(value) for name, value in (links or {}).items()}
    inputs = {name: [name, 0] for name in ("image", *links)}
    return {
        "image": comfy.source(image),
        **links,
        "detect": node("DefectDetect", **inputs, **widgets),
    }


def detected(comfy, image, links=None, **widgets):
    run = comfy.execute_graph(graph(comfy, image, links, **widgets), want=["detect"]).check()
    results = dict(zip(OUTPUTS, run.results["detect"], strict=True))
    return {**results, "report": json.loads(results["report"]), "run": run}


def refusal(comfy, *given, **widgets):
    run = comfy.execute_graph(graph(comfy, *given, **widgets), want=["detect"])
    assert run.status == "error"
    assert run.error["exception_type"] == "ValueError"
    message = run.error["exception_message"].strip()
    assert "\n" not in message
    return message


def rejection(comfy, **widgets):
    with pytest.raises(PromptRejected) as caught:
        comfy.execute_graph(graph(comfy, GREY, **widgets))
    return str(caught.value)


def kinds(result):
    return [[defect["kind"] for defect in report["defects"]] for report in result["report"]]


@pytest.fixture(scope="module")
def astronaut():
    """A clean photo of 512x512 with one face."""
    data = pytest.importorskip("skimage.data")
    return torch.from_numpy(data.astronaut()).float()[None] / 255


@pytest.fixture
def in_models(comfy):
    written = []

    def write(name, content):
        path = comfy.base / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written.append(path)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)

    yield write
    for path in written:
        path.unlink(missing_ok=True)


# built in -----------------------------------------------------------------------------------------


def test_a_batch_with_a_clean_picture_in_the_middle(comfy, astronaut):
    dark = astronaut * 0.1
    result = detected(comfy, torch.cat([dark, astronaut, dark]))
    assert kinds(result) == [["too_dark"], [], ["too_dark"]]
    assert [report["passed"] for report in result["report"]] == [False, True, False]
    assert (result["defect_count"], result["passed"]) == (2, False)
    assert result["boxes"] == [[], [], []]
    assert result["mask"].shape == (3, 512, 512)
    assert result["preview"].shape == (3, 512, 512, 3)
    assert len(result["defects"].images) == 3
    lines = [text for _, text in result["run"].texts]
    assert lines == ["Image 1: Too dark\nImage 2: no defects\nImage 3: Too dark"]


def test_a_clean_photo_passes_as_it_is(comfy, astronaut):
    result = detected(comfy, astronaut)
    assert result["passed"] is True
    assert result["report"][0]["failures"] == []
    # Nothing is drawn, the preview has 256 steps.
    assert (result["preview"] - astronaut).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("too_dark", lambda image: image * 0.1),
        ("too_bright", lambda image: (image * 4 + 0.3).clamp(0, 1)),
        ("noise", lambda image: (image + 0.1 * torch.randn(image.shape)).clamp(0, 1)),
        ("low_resolution", lambda image: image[:, :300, :300]),
        ("blur", lambda image: blurred(image, 9)),
        ("cropped_subject", lambda image: image[:, :, 190:].contiguous()),
    ],
)
def test_what_the_defaults_find(comfy, astronaut, kind, spoil):
    torch.manual_seed(0)
    (found,) = kinds(detected(comfy, spoil(astronaut)))
    assert kind in found


def blurred(image, side):
    planes = image.movedim(-1, 1)
    for _ in range(3):
        planes = torch.nn.functional.avg_pool2d(
            torch.nn.functional.pad(planes, (side // 2,) * 4, mode="replicate"), side, 1
        )
    return planes.movedim(1, -1)


def test_defects_of_the_whole_are_painted_only_when_asked(comfy, astronaut):
    result = detected(comfy, astronaut * 0.1)
    assert result["defect_count"] == 1
    assert not result["mask"].any()
    assert result["report"][0]["defects"][0]["box"] is None
    assert detected(comfy, astronaut * 0.1, paint_whole=True)["mask"].all()


def test_suggestions_are_off_until_they_are_chosen(comfy):
    image = torch.full((1, 512, 512, 3), 0.55)
    image[:, 100:112, 200:212] = 1.0
    assert detected(comfy, image)["defect_count"] == 0
    result = detected(comfy, image, highlights=True)
    assert kinds(result) == [["specular_highlight"]]
    assert result["mask"].sum() == 144
    (box,) = result["boxes"][0]
    assert (box["x"], box["y"], box["width"], box["height"]) == (200, 100, 12, 12)
    assert box["label"] == "specular_highlight"
    assert result["mask"][0, 100:112, 200:212].all()


def test_shape_and_size_that_are_wanted(comfy):
    assert kinds(detected(comfy, GREY, **{**NOTHING, "short_side": 65})) == [["low_resolution"]]
    assert kinds(detected(comfy, GREY, **NOTHING, aspect_ratio=1.5)) == [["wrong_aspect"]]
    assert kinds(detected(comfy, GREY, **NOTHING, size_multiple=24)) == [["wrong_aspect"]]
    assert detected(comfy, GREY, **NOTHING, aspect_ratio=2.0, size_multiple=64)["passed"] is True


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("channels", [3, 4])
def test_transparency_and_precision_change_nothing(comfy, astronaut, dtype, channels):
    image = (astronaut * 0.1).to(dtype)
    if channels == 4:
        image = torch.cat([image, torch.rand(1, 512, 512, 1).to(dtype)], dim=-1)
    before = image.clone()
    result = detected(comfy, image)
    assert kinds(result) == [["too_dark"]]
    assert result["preview"].shape == (1, 512, 512, 3)
    assert torch.equal(image, before)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (1, 600), (600, 1), (40, 9)])
def test_images_too_small_for_a_detector(comfy, size):
    image = torch.rand(2, *size, 3, generator=torch.Generator().manual_seed(0))
    result = detected(comfy, image, **dict.fromkeys(BUILT_IN, True))
    assert [report["failures"] for report in result["report"]] == [[], []]
    assert [some[0] for some in kinds(result)] == ["low_resolution"] * 2


def test_the_same_image_gives_the_same_report(comfy, astronaut):
    torch.manual_seed(0)
    image = (astronaut * 0.3 + 0.05 * torch.randn(astronaut.shape)).clamp(0, 1)
    reports = []
    for _ in range(2):
        comfy.reset()
        result = detected(comfy, image, **dict.fromkeys(BUILT_IN, True))
        assert result["defect_count"] >= 2
        reports.append(result["run"].results["detect"][3])
    assert reports[0] == reports[1]
    severities = [defect["severity"] for defect in json.loads(reports[0])[0]["defects"]]
    assert severities == sorted(severities, reverse=True)


def test_what_is_shown_under_the_node(comfy, astronaut):
    image = torch.nn.functional.interpolate(
        (astronaut * 0.1).movedim(-1, 1), size=(1000, 2000), mode="bilinear"
    ).movedim(1, -1)
    result = detected(comfy, image, sharpness=False, faces=False)
    shown = result["run"].outputs["detect"]
    from PIL import Image

    assert result["preview"].shape == (1, 1000, 2000, 3)
    (row,) = json.loads(json.dumps(shown["cleanplate_defects"]))
    assert Image.open(comfy.base / "temp" / row["picture"]["filename"]).size == (1536, 768)
    assert (row["width"], row["height"], row["passed"]) == (2000, 1000, False)
    (defect,) = row["defects"]
    assert (defect["kind"], defect["group"], defect["box"]) == ("too_dark", "light", None)
    assert {"title", "score", "severity", "reason"} < defect.keys()
    steps = list(result["run"].events("progress"))
    assert steps[-1]["value"] == steps[-1]["max"]


def test_cancelling(comfy, astronaut, monkeypatch):
    import comfy.model_management as management
    from comfy.utils import ProgressBar

    update = ProgressBar.update_absolute
    seen = []

    def interrupt_at_the_third(bar, value, total=None, preview=None):
        seen.append(value)
        if len(seen) == 3:
            management.interrupt_current_processing()
        update(bar, value, total, preview)

    monkeypatch.setattr(ProgressBar, "update_absolute", interrupt_at_the_third)
    run = comfy.execute_graph(graph(comfy, astronaut.repeat(4, 1, 1, 1)), want=["detect"])
    management.interrupt_current_processing(False)
    assert run.status == "interrupted"
    assert len(seen) == 3


# a detector of the user's -------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["ultralytics/bbox", "ultralytics/segm", "yolo", "detection"])
def test_a_yolo_model(comfy, in_models, folder):
    in_models(f"{folder}/known.onnx", network(v8(ROWS), names=NAMES))
    settings = {**NOTHING, "yolo_model": "known.onnx", "classes": "hand = hand\nface = bad_face"}
    result = detected(comfy, GREY, **settings)
    assert sorted(kinds(result)[0]) == ["bad_face", "hand"]
    hand = next(box for box in result["boxes"][0] if box["label"] == "hand")
    assert hand == {**HAND, "label": "hand", "score": pytest.approx(0.75)}
    assert result["mask"][0, 8:48, 30:50].all()
    (report,) = result["report"]
    assert (report["threshold"], report["thresholds"]) == (0.5, {"yolo": 0.3})
    reasons = [entry["reason"] for entry in report["defects"] if entry["kind"] == "hand"]
    assert "please check" in reasons[0]
    surer = detected(comfy, GREY, **settings, confidence=0.5)
    assert kinds(surer) == [["hand"]]
    one = detected(comfy, GREY, **{**settings, "classes": ""})
    assert kinds(one) == [["hand"]]
    assert one["report"][0]["notes"] == ["yolo: found but mapped to no kind: face."]


def test_500_boxes_are_bounded(comfy, in_models):
    generator = np.random.default_rng(0)
    rows = [
        (4 + 2.4 * (n % 25), 20 + 2.4 * (n // 25 % 10), 2.0, 2.0, 0.0, generator.uniform(0.5, 1))
        for n in range(250)
    ]
    in_models("yolo/many.onnx", network(v8(rows, 250), names=NAMES))
    mask = torch.zeros(1, 64, 128)
    for n in range(50):
        mask[0, 5 * (n // 25) : 5 * (n // 25) + 4, 5 * (n % 25) : 5 * (n % 25) + 4] = 1
    result = detected(comfy, GREY, {"mask": mask}, **NOTHING, yolo_model="many.onnx")
    (report,) = result["report"]
    assert len(result["boxes"][0]) == len(report["defects"]) == 100
    assert any("only the 100 most severe" in note for note in report["notes"])
    some = detected(comfy, GREY, {"mask": mask}, **NOTHING, yolo_model="many.onnx", most=3)
    assert len(some["boxes"][0]) == 3
    assert some["defect_count"] == result["defect_count"] == report["defect_count"]


def test_outputs_that_are_not_read_are_a_failure_and_the_others_report(comfy, in_models, astronaut):
    in_models("yolo/odd.onnx", network(np.zeros((1, 7))))
    result = detected(comfy, astronaut * 0.1, yolo_model="odd.onnx")
    (report,) = result["report"]
    assert kinds(result) == [["too_dark"]]
    (failure,) = report["failures"]
    assert failure["detector"] == "yolo"
    assert "odd.onnx" in failure["message"]
    clean = detected(comfy, astronaut, yolo_model="odd.onnx")
    assert clean["report"][0]["passed"] is None
    assert clean["passed"] is False
    assert "undecided; yolo failed" in clean["run"].texts[-1][1]


def test_other_files_than_onnx_are_told_how_to_become_one(comfy, in_models):
    words = rejection(comfy, yolo_model="hands.pt")
    assert "yolo export model=hands.pt format=onnx" in words
    assert "choose hands.onnx" in words
    in_models("yolo/text.onnx", b"no network at all")
    assert "text.onnx is not an ONNX file" in refusal(comfy, GREY, yolo_model="text.onnx")


def test_classes_that_do_not_fit(comfy, in_models):
    in_models("yolo/known.onnx", network(v8(ROWS), names=NAMES))
    words = rejection(comfy, classes="hand = paw", yolo_model="known.onnx")
    assert "'hand' is mapped to the kind 'paw', which does not exist" in words
    assert "write class = kind" in rejection(comfy, classes="hand", yolo_model="known.onnx")
    message = refusal(comfy, GREY, classes="foot = extra_toes", yolo_model="known.onnx")
    assert message == "known.onnx has no class 'foot': choose one of face, hand."


@pytest.mark.parametrize(
    ("widgets", "words"),
    [
        ({"yolo_model": "gone.onnx"}, "'gone.onnx' is not in models/ultralytics/bbox"),
        ({"yolo_model": "../../secret.onnx"}, "is not in models/ultralytics/bbox"),
        ({"sam_model": "gone.pth"}, "'gone.pth' is not in models/sams"),
        ({"face_detector": "gone.onnx"}, "'gone.onnx' is not in models/facedetection"),
        ({"least_area": 0.5, "most_area": 0.2}, "the smaller first"),
        ({"most_area": 1.5}, "from 0 to 1"),
        ({"threshold": 1.5}, "bigger than max"),
        ({"mask_kind": "unheard_of"}, "not in list"),
        ({"text_zone": "middle"}, "not in list"),
    ],
)
def test_settings_are_refused_before_anything_runs(comfy, widgets, words):
    assert words in rejection(comfy, **widgets)


# exact masks --------------------------------------------------------------------------------------


def test_segment_anything_is_managed_by_comfyui(comfy, in_models):
    import comfy.model_management as management

    in_models("sams/sam_tiny.pth", weights())
    boxes = [[{**HAND, "label": "hand", "score": 0.9}]]
    plain = detected(comfy, GREY, {"boxes": boxes}, **NOTHING)
    exact = detected(comfy, GREY, {"boxes": boxes}, **NOTHING, sam_model="sam_tiny.pth")
    assert exact["report"][0]["failures"] == []
    (defect,) = exact["defects"].images[0].defects
    assert defect.mask is not None
    assert plain["mask"].sum() == 800
    assert 0 < exact["mask"].sum() != 800
    segment = exact["defects"].detection.segment
    assert segment.patcher in [loaded.model for loaded in management.current_loaded_models]


def test_other_checkpoints_are_refused(comfy, in_models):
    tensors = weights()
    tensors["image_encoder.neck.0.weight"] = torch.zeros(8, 16, 1, 1)
    in_models("sams/odd.pth", tensors)
    assert "of an unknown size (width 16)" in refusal(comfy, GREY, sam_model="odd.pth")
    in_models("sams/other.pth", {"a": torch.zeros(1)})
    assert "no checkpoint of Segment Anything" in refusal(comfy, GREY, sam_model="other.pth")


# what others have found ---------------------------------------------------------------------------


def test_boxes_of_other_nodes(comfy):
    boxes = [
        [
            {**HAND, "label": "Logo", "score": 0.8},
            {"x": 100, "y": 10, "width": 10, "height": 10, "label": "thing", "score": 0.9},
            {"x": 1, "y": 1, "width": 5, "height": 5, "label": "cat", "score": 0.9},
        ],
        [],
    ]
    images = GREY.repeat(2, 1, 1, 1)
    given = {"boxes": boxes}
    result = detected(comfy, images, given, **NOTHING, classes="thing = spot")
    assert sorted(kinds(result)[0]) == ["logo", "spot"]
    assert kinds(result)[1] == []
    assert result["report"][0]["notes"] == ["boxes: box 3, labelled 'cat', is mapped to no kind."]
    every = detected(comfy, images, given, **NOTHING, boxes_kind="watermark")
    assert sorted(kinds(every)[0]) == ["logo", "watermark", "watermark"]
    starred = detected(comfy, images, given, **NOTHING, classes="* = text")
    assert sorted(kinds(starred)[0]) == ["logo", "text", "text"]
    faint = detected(comfy, images, given, **NOTHING, boxes_kind="spot", confidence=0.85)
    assert len(kinds(faint)[0]) == 2


def test_a_painted_mask(comfy):
    mask = torch.zeros(1, 64, 128)
    mask[0, 10:20, 10:30] = 1
    mask[0, 40:50, 100:110] = 0.7
    result = detected(comfy, GREY, {"mask": mask}, **NOTHING, mask_kind="extra_fingers")
    assert kinds(result) == [["extra_fingers", "extra_fingers"]]
    assert torch.allclose(result["mask"], mask)


FINDINGS = """Here you are:
```json
[{"kind": "extra finger", "bbox": [0.25, 0.25, 0.5, 0.5], "severity": 0.9, "note": "six"}]
```"""


def test_findings_of_a_language_model(comfy):
    result = detected(comfy, GREY.repeat(2, 1, 1, 1), {"findings": FINDINGS}, **NOTHING)
    assert kinds(result) == [["extra_fingers"]] * 2
    (box,) = result["boxes"][1]
    assert (box["x"], box["y"], box["width"], box["height"]) == (32, 16, 32, 16)
    assert detected(comfy, GREY, {"findings": "[]"}, **NOTHING)["passed"] is True


@pytest.mark.parametrize("text", ["The picture is lovely.", "", "[1]", '[{"kind": ', "{]"])
def test_findings_that_cannot_be_read_leave_it_undecided(comfy, text):
    result = detected(comfy, GREY, {"findings": text}, **NOTHING)
    (report,) = result["report"]
    assert report["passed"] is None
    assert report["failures"][0]["detector"] == "findings"
    assert (result["passed"], result["defect_count"]) == (False, 0)


def test_uneven_eyes_from_landmarks(comfy):
    points = np.zeros((478, 2))
    for number, place in {
        **{468: (80, 30), 473: (120, 36), 4: (100, 50), 10: (100, 4), 152: (100, 62)},
        **{33: (74, 30), 133: (86, 30), 159: (80, 28), 145: (80, 32)},
        **{362: (114, 36), 263: (126, 36), 386: (120, 34), 374: (120, 38)},
    }.items():
        points[number] = place
    face = {"landmarks_xy": points, "bbox_xyxy": [70, 0, 128, 64], "score": 0.9}
    landmarks = {"frames": [[face]], "image_size": (64, 128), "connection_sets": {}}
    result = detected(comfy, GREY, {"face_landmarks": landmarks}, **NOTHING)
    assert kinds(result) == [["asymmetric_eyes"]]
    assert result["report"][0]["defects"][0]["source"] == "eye_tilt"


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ({"mask": torch.ones(1, 50, 128)}, "mask is 128x50 but image is 128x64"),
        ({"boxes": [[], [], []]}, "boxes are for 3 images but image holds 1"),
        ({"boxes": 7}, "connect a BOUNDING_BOX"),
        ({"face_landmarks": 7}, "FACE_LANDMARKS"),
    ],
)
def test_what_belongs_to_other_images(comfy, links, words):
    assert words in refusal(comfy, GREY, links, **NOTHING)


def test_an_image_that_is_none(comfy):
    assert "NaN" in refusal(comfy, GREY * torch.nan)


# text ---------------------------------------------------------------------------------------------


def test_text_without_its_networks_is_a_sentence(comfy, monkeypatch):
    package = comfy.node("DefectDetect").__module__.removesuffix(".nodes.defects")
    models = importlib.import_module(f"{package}.cleanplate.defects.text_models")
    monkeypatch.setattr(models, "_PACKAGES", ("no_such_package",))
    assert "pip install --no-deps rapidocr" in refusal(comfy, GREY, text=True)


def test_text_is_found_where_it_counts(comfy):
    pytest.importorskip("rapidocr")
    import cv2

    pixels = np.full((300, 500, 3), 90, np.uint8)
    cv2.putText(pixels, "SAMPLE", (330, 280), cv2.FONT_HERSHEY_SIMPLEX, 1, (240, 240, 240), 2)
    image = torch.from_numpy(pixels).float()[None] / 255
    images = torch.cat([image, image.roll((-130, -170), (1, 2))])
    result = detected(comfy, images, **NOTHING, text=True, text_zone="corners")
    assert kinds(result) == [["watermark"], []]
    assert result["mask"][0, 260:275, 350:420].float().mean() > 0.8
