"""What DefectDetect looks with: the detectors that its widgets choose, and models from folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import folder_paths
from torch import Tensor

from ..cleanplate.defects import faces as face_library
from ..cleanplate.defects import text as text_library
from ..cleanplate.defects import yolo
from ..cleanplate.defects.aspect import AspectSettings, find_wrong_aspect
from ..cleanplate.defects.boxes import FROM_BOXES, Found
from ..cleanplate.defects.compression import CompressionSettings, find_compression
from ..cleanplate.defects.defect import Defect
from ..cleanplate.defects.exposure import ExposureSettings, find_exposure
from ..cleanplate.defects.highlights import HighlightSettings, find_highlights
from ..cleanplate.defects.inspection import Detection, Look
from ..cleanplate.defects.noise import NoiseSettings, find_noise
from ..cleanplate.defects.report import Limits
from ..cleanplate.defects.resolution import ResolutionSettings, find_low_resolution
from ..cleanplate.defects.sam import Sam
from ..cleanplate.defects.segment import load_sam, sam_segmenter
from ..cleanplate.defects.sharpness import (
    BlurMapSettings,
    SharpnessSettings,
    find_blur,
    find_blurred_regions,
)
from ..cleanplate.defects.text_models import load_text_models
from ..cleanplate.geometry import Box
from ..cleanplate.models import SUFFIXES
from . import face_finding
from .shared import bring_in, patcher_of

NONE = "none"
BY_LABEL = "as labelled"
"""Kind of connected boxes: the one that their label names."""

_DETECTORS = "cleanplate_detectors"
_DETECTOR_SUFFIX = ".onnx"
_PLACES = {
    "ultralytics_bbox": "ultralytics/bbox",
    "ultralytics_segm": "ultralytics/segm",
    "yolo": "yolo",
    "onnx": "onnx",
    "detection": "detection",
}
"""Where other packs keep detectors: their names of the folders, and the folders below models.

Under their names ComfyUI may list no .onnx files, so all have one more name, of ours.
"""

_SAMS = "sams"
_SAM_BYTES = 2 << 30
_USUAL = 0.5
"""Least score of the built-in detectors."""

for _name, _folder in _PLACES.items():
    _elsewhere = folder_paths.folder_names_and_paths.get(_name, ([], set()))[0]
    for _path in (os.path.join(folder_paths.models_dir, *_folder.split("/")), *_elsewhere):
        folder_paths.add_model_folder_path(_DETECTORS, _path)
folder_paths.add_model_folder_path(_SAMS, os.path.join(folder_paths.models_dir, _SAMS))


@dataclass(frozen=True)
class Widgets:
    """The widgets of DefectDetect and their defaults; their tooltips say what they mean."""

    sharpness: bool = True
    compression: bool = True
    noise: bool = True
    exposure: bool = True
    faces: bool = True
    text: bool = False
    highlights: bool = False
    blur_map: bool = False
    short_side: int = 512
    threshold: float = _USUAL
    most: int = 0
    yolo_model: str = NONE
    classes: str = ""
    confidence: float = yolo.CONFIDENCE
    sam_model: str = NONE
    boxes_kind: str = BY_LABEL
    mask_kind: str = "unwanted_object"
    paint_whole: bool = False
    least_area: float = 0.0
    most_area: float = 1.0
    aspect_ratio: float = 0.0
    size_multiple: int = 1
    face_detector: str = face_finding.BUILT_IN
    face_confidence: float = face_finding.DEFAULT_CONFIDENCE
    least_face: int = round(face_library.LEAST_HEIGHT)
    text_zone: str = text_library.ZONES[0]
    text_readable: float = text_library.READABLE
    text_contrast: bool = True


def detector_files() -> list[str]:
    """The .onnx files in the folders of detectors."""
    names = folder_paths.get_filename_list(_DETECTORS)
    return [name for name in names if name.lower().endswith(_DETECTOR_SUFFIX)]


def sam_files() -> list[str]:
    """The files in models/sams that can be read."""
    names = folder_paths.get_filename_list(_SAMS)
    return [name for name in names if name.lower().endswith(SUFFIXES)]


def wrong_file(name: object, found: Callable[[str], str | None], where: str) -> str | None:
    """What is wrong with the name of a file; None for one that is there, or is not known yet."""
    if not isinstance(name, str) or name == NONE or found(name):
        return None
    return f"the file {name!r} is not in {where}"


def find_detector(name: str) -> str | None:
    return folder_paths.get_full_path(_DETECTORS, name)


def find_sam(name: str) -> str | None:
    return folder_paths.get_full_path(_SAMS, name)


def wrong_detector(name: object) -> str | None:
    """What is wrong with the name of a YOLO file."""
    if isinstance(name, str) and name != NONE and not name.lower().endswith(_DETECTOR_SUFFIX):
        file = Path(name).name
        return (
            f"{file} is no .onnx file; others can run code when they are read. Export it once "
            f"with `yolo export model={file} format=onnx opset=12` where it was made, and choose "
            f"{Path(name).stem}.onnx"
        )
    return wrong_file(name, find_detector, ", ".join(f"models/{f}" for f in _PLACES.values()))


def wrong_sam(name: object) -> str | None:
    """What is wrong with the name of a file of Segment Anything."""
    return wrong_file(name, find_sam, "models/sams: put sam_vit_b_01ec64.pth there")


def wrong_face_detector(name: object) -> str | None:
    """What is wrong with the name of a face detector."""
    if name == face_finding.BUILT_IN:
        return None
    return wrong_file(
        name,
        lambda file: None if face_finding.missing(file) else file,
        "models/facedetection",
    )


def detection_by(widgets: Widgets, kinds: Mapping[str, str], *, boxes: bool) -> Detection:
    """How to look for defects; reads the models that are chosen.

    Args:
        widgets: what is chosen.
        kinds: which kind a class is, see `parse_classes`.
        boxes: whether boxes of other nodes are given as well, whose labels `kinds` may mean.

    Raises:
        ValueError: a model is missing or not one that can be used, or has not the classes.
    """
    looks = [*_built_in(widgets), *_whole(widgets)]
    if widgets.faces:
        looks.append((face_library.SOURCE, _faces(widgets)))
    if widgets.text:
        looks.append((text_library.SOURCE, _text(widgets)))
    if widgets.yolo_model != NONE:
        looks.append((yolo.SOURCE, _yolo(widgets, kinds, boxes)))
    others = {yolo.SOURCE: widgets.confidence} if widgets.yolo_model != NONE else {}
    if boxes:
        others[FROM_BOXES] = widgets.confidence
    return Detection(
        tuple(looks),
        Limits(widgets.threshold, widgets.least_area, widgets.most_area, widgets.most, others),
        (comfy.model_management.InterruptProcessingException,),
        None if widgets.sam_model == NONE else _ManagedSam(_read_sam(widgets.sam_model)),
    )


def _built_in(widgets: Widgets) -> list[tuple[str, Look]]:
    # A higher threshold is left to the limits, which count what they drop.
    least = min(widgets.threshold, _USUAL)
    looks: dict[str, Look] = {
        "sharpness": partial(find_blur, settings=SharpnessSettings(least_score=least)),
        "compression": partial(find_compression, settings=CompressionSettings(least_score=least)),
        "noise": partial(find_noise, settings=NoiseSettings(least_score=least)),
        "exposure": partial(find_exposure, settings=ExposureSettings(least_score=least)),
        "highlights": partial(find_highlights, settings=HighlightSettings(least_score=least)),
        "blur_map": partial(find_blurred_regions, settings=BlurMapSettings(least_score=least)),
    }
    return [(name, look) for name, look in looks.items() if getattr(widgets, name)]


def _whole(widgets: Widgets) -> list[tuple[str, Look]]:
    size = ResolutionSettings(widgets.short_side)
    shape = AspectSettings(widgets.aspect_ratio, multiple=widgets.size_multiple)
    return [
        ("resolution", partial(find_low_resolution, settings=size)),
        ("aspect", partial(find_wrong_aspect, settings=shape)),
    ]


def _faces(widgets: Widgets) -> Look:
    finder = face_finding.FaceFinder(
        widgets.face_detector, widgets.face_confidence, face_finding.DEFAULT_SIDE, False
    )

    def look(image: Tensor) -> list[Defect]:
        (found,) = finder.find(image[None], None, None).faces
        return face_library.face_defects(image, found, least_height=widgets.least_face)

    return look


def _text(widgets: Widgets) -> Look:
    return partial(
        text_library.detect_text,
        models=load_text_models(),
        zone=widgets.text_zone,
        readable=widgets.text_readable,
        contrast=widgets.text_contrast,
    )


def _yolo(widgets: Widgets, kinds: Mapping[str, str], boxes: bool) -> Look:
    path = find_detector(widgets.yolo_model)
    if path is None:
        raise ValueError(f"{wrong_detector(widgets.yolo_model)}.")
    detector = yolo.load_yolo(Path(path))
    if boxes:
        kinds = {label: name for label, name in kinds.items() if detector.knows(label)}
    yolo.check_classes(kinds, detector)

    def look(image: Tensor) -> Found:
        return yolo.detect_with_yolo(image, detector, kinds, confidence=widgets.confidence)

    return look


def _read_sam(name: str) -> Sam:
    path = find_sam(name)
    if path is None:
        raise ValueError(f"{wrong_sam(name)}.")
    return load_sam(Path(path))


class _ManagedSam:
    """Segment Anything, whose memory ComfyUI manages; see `Segmenter`."""

    def __init__(self, model: Sam) -> None:
        self.model = model
        self.patcher: comfy.model_patcher.ModelPatcher | None = None
        patcher_of(self)

    def __call__(self, image: Tensor, boxes: Sequence[Box]) -> Any:
        bring_in(self, _SAM_BYTES)
        return sam_segmenter(self.model)(image, boxes)
