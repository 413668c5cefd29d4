"""The inputs of DefectDetect."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..cleanplate.defects.catalogue import catalogue
from ..cleanplate.defects.text import ZONES
from . import face_finding
from .defect_detectors import BY_LABEL, NONE, Widgets, detector_files, sam_files

_DETECTORS = {
    "sharpness": "Blur of the picture as a whole, by motion or focus, and pictures that were only "
    "enlarged.",
    "compression": "The blocks of strong JPEG compression.",
    "noise": "Grain of the picture as a whole; very fine texture such as grass may count, too.",
    "exposure": "Pictures that are too dark or too bright as a whole; night scenes and white "
    "backdrops may count, too.",
    "faces": "Faces that are small, blurred, or cut off by the border.",
    "text": "Watermarks, signatures and other text, with the networks of the Python package "
    "rapidocr, which has to be installed; some seconds for each megapixel.",
    "highlights": "Small white reflections of lights. A suggestion: lamps, catchlights in eyes and "
    "drops of water are found, too.",
    "blur_map": "Regions out of focus. A suggestion: backgrounds that are meant to be out of focus "
    "are found, too.",
}


def choice_of_detectors() -> list[io.Input]:
    """What to look for, and what of it counts."""
    return [
        *(_boolean(name, tooltip) for name, tooltip in _DETECTORS.items()),
        _int(
            "short_side",
            16384,
            "A shorter side with fewer pixels is a low resolution; 0 for any.",
        ),
        _share(
            "threshold",
            "Least score that counts, 0 to 1. Below 0.5 more is found, and more that is none. For "
            "the YOLO model and connected boxes confidence counts instead.",
        ),
        _int("most", 100, "Keep only so many defects of a picture, the most severe; 0 for all."),
    ]


def models_and_links() -> list[io.Input]:
    """What the user brings: networks, and what other nodes have found."""
    kinds = list(catalogue())
    return [
        _combo(
            "yolo_model",
            [NONE, *detector_files()],
            "A detector of the YOLO kind as .onnx, in models/ultralytics/bbox, ultralytics/segm, "
            "yolo, onnx or detection.",
        ),
        io.String.Input(
            "classes",
            default=Widgets.classes,
            multiline=True,
            optional=True,
            tooltip="Which defect a class of the YOLO model or a label of connected boxes is, a "
            "line for each: class = kind, such as hand = hand; * stands for all others. Classes "
            "that are named like a kind need no line.",
        ),
        _share(
            "confidence",
            "Least score of what the YOLO model finds, and of connected boxes.",
        ),
        _combo(
            "sam_model",
            [NONE, *sam_files()],
            "Segment Anything (ViT-B, L or H) in models/sams: turns boxes into exact masks.",
        ),
        io.BoundingBox.Input(
            "boxes",
            optional=True,
            force_input=True,
            tooltip="Boxes of another detector, such as SAM3 or RT-DETR, one list for each "
            "picture or one for all.",
        ),
        _combo(
            "boxes_kind",
            [BY_LABEL, *kinds],
            "Which defect connected boxes are whose label neither classes nor a kind names.",
        ),
        face_finding.FaceLandmarks.Input(
            "face_landmarks",
            optional=True,
            tooltip="From MediaPipe Face Landmarker: eyes at different heights are found.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Defects that you have painted, one for each spot. Counts from 0.5 upwards.",
        ),
        _combo("mask_kind", kinds, "Which defect the mask marks."),
        io.String.Input(
            "findings",
            default="",
            optional=True,
            force_input=True,
            tooltip="What a vision-language model says of the picture: a JSON list of kind, bbox, "
            "severity and note. Counts for every picture.",
        ),
    ]


def further_settings() -> list[io.Input]:
    """Rarely used."""
    return [
        _boolean(
            "paint_whole",
            "Paint the whole picture into the mask where it has a defect as a whole. What "
            "follows then changes all of it.",
            advanced=True,
        ),
        _share(
            "least_area",
            "Defects with a smaller box are left out, as a part of the picture.",
            step=0.001,
            advanced=True,
        ),
        _share(
            "most_area",
            "Defects with a larger box are left out, as a part of the picture.",
            step=0.001,
            advanced=True,
        ),
        io.Float.Input(
            "aspect_ratio",
            default=Widgets.aspect_ratio,
            min=0.0,
            max=20.0,
            step=0.01,
            optional=True,
            advanced=True,
            tooltip="Width divided by height that is wanted; 0 for any.",
        ),
        _int(
            "size_multiple",
            256,
            "Width and height have to be multiples of this; 1 for any.",
            least=1,
            advanced=True,
        ),
        _combo(
            "face_detector",
            [face_finding.BUILT_IN, *face_finding.detectors()],
            "Finds the faces: the built-in MTCNN, or a YuNet .onnx file in models/facedetection.",
            advanced=True,
        ),
        _share(
            "face_confidence",
            "How sure the detector must be of a face; 0.8 is usual for YuNet.",
            advanced=True,
        ),
        _int(
            "least_face",
            1024,
            "Pixels from forehead to chin: lower faces are small; 0 for none.",
            advanced=True,
        ),
        _combo(
            "text_zone",
            list(ZONES),
            "Where text counts: anywhere, in the corners, or along the border.",
            advanced=True,
        ),
        _share(
            "text_readable",
            "How well text must be read to count; what is less readable is often texture.",
            advanced=True,
        ),
        _boolean(
            "text_contrast",
            "Look for text a second time with contrast raised, for faint watermarks; takes twice "
            "as long.",
            advanced=True,
        ),
    ]


_ALL = Widgets()


def _boolean(name: str, tooltip: str, **extra: Any) -> io.Input:
    return io.Boolean.Input(
        name, default=getattr(_ALL, name), tooltip=tooltip, optional=True, **extra
    )


def _int(name: str, most: int, tooltip: str, least: int = 0, **extra: Any) -> io.Input:
    default = getattr(_ALL, name)
    return io.Int.Input(
        name, default=default, min=least, max=most, tooltip=tooltip, optional=True, **extra
    )


def _share(name: str, tooltip: str, step: float = 0.05, **extra: Any) -> io.Input:
    return io.Float.Input(
        name,
        default=getattr(_ALL, name),
        min=0.0,
        max=1.0,
        step=step,
        tooltip=tooltip,
        optional=True,
        **extra,
    )


def _combo(name: str, options: list[str], tooltip: str, **extra: Any) -> io.Input:
    return io.Combo.Input(
        name,
        options=options,
        default=getattr(_ALL, name),
        tooltip=tooltip,
        optional=True,
        **extra,
    )
