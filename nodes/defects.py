"""DefectDetect, and the nodes for single defects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor
from torch.nn.functional import interpolate

from ..cleanplate.checks import check_image, size_of
from ..cleanplate.defects.boxes import FROM_BOXES, FROM_MASK, defects_from_boxes, defects_from_mask
from ..cleanplate.defects.drawing import draw_defects
from ..cleanplate.defects.eye_tilt import SOURCE as FROM_LANDMARKS
from ..cleanplate.defects.eye_tilt import uneven_eyes
from ..cleanplate.defects.inspection import (
    Defects,
    Given,
    boxes_of,
    from_findings,
    from_others,
    inspect,
    masks_of,
    reports,
    summary,
)
from ..cleanplate.defects.report import Limits, as_json
from ..cleanplate.defects.yolo import parse_classes
from ..cleanplate.geometry import Size
from .defect_choice import DefectPrompt, SelectDefect
from .defect_detectors import (
    BY_LABEL,
    Widgets,
    detection_by,
    wrong_detector,
    wrong_face_detector,
    wrong_sam,
)
from .defect_widgets import choice_of_detectors, further_settings, models_and_links
from .shared import DefectsType, finished, progress_steps, say

_SHOWN = 1536
"""Most pixels of a side of the picture under the node; the output `preview` is full size."""


class DefectDetect(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DefectDetect",
            display_name="Detect Defects",
            category="CleanPlate/defects",
            description="Looks for defects: blur, compression, noise, wrong light, too few pixels, "
            "bad faces, text, reflections, and what your own YOLO model, connected boxes, a mask "
            "or a vision-language model name. Says what, where and how bad, and what would repair "
            "it. Defects of the picture as a whole are reported, and not painted into the mask.",
            search_aliases=[
                "quality check",
                "artifact detection",
                "watermark detection",
                "text mask",
                "blur detection",
                "yolo detector",
                "bbox detector",
                "find flaws",
                "결함 감지",
                "워터마크 감지",
                "欠陥検出",
                "透かし検出",
                "缺陷检测",
                "水印检测",
            ],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="The picture or pictures to look at."),
                *choice_of_detectors(),
                *models_and_links(),
                *further_settings(),
            ],
            outputs=[
                DefectsType.Output(
                    display_name="defects",
                    tooltip="For SelectDefect and RefineDefects: what was found, and how to look "
                    "again.",
                ),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="For each picture where its defects are, all in one; nothing for "
                    "defects of the picture as a whole unless paint_whole is on.",
                ),
                io.BoundingBox.Output(
                    display_name="boxes",
                    tooltip="For each picture the boxes of its defects, labelled with their kinds.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="JSON: for each picture its defects with score, severity, reason, "
                    "prompts and the node that repairs it, what failed, and notes.",
                ),
                io.Int.Output(
                    display_name="defect_count",
                    tooltip="How many were found in all pictures.",
                ),
                io.Boolean.Output(
                    display_name="passed",
                    tooltip="Whether every picture is without defects. What could not be decided, "
                    "because a detector failed, has not passed.",
                ),
                io.Image.Output(
                    display_name="preview",
                    tooltip="The pictures with what was found drawn in; the numbers are those of "
                    "SelectDefect.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        classes: str = "",
        yolo_model: str = Widgets.yolo_model,
        sam_model: str = Widgets.sam_model,
        face_detector: str = Widgets.face_detector,
        least_area: float = Widgets.least_area,
        most_area: float = Widgets.most_area,
    ) -> bool | str:
        # What another node gives is known only once that node has run.
        try:
            if isinstance(classes, str):
                parse_classes(classes)
            if isinstance(least_area, (int, float)) and isinstance(most_area, (int, float)):
                Limits(least_area=least_area, most_area=most_area)
        except ValueError as error:
            return str(error)
        files = (wrong_detector(yolo_model), wrong_sam(sam_model))
        return next((w for w in (*files, wrong_face_detector(face_detector)) if w), True)

    @classmethod
    def execute(
        cls,
        image: Tensor,
        boxes: Any = None,
        face_landmarks: Any = None,
        mask: Tensor | None = None,
        findings: str | None = None,
        **chosen: Any,
    ) -> io.NodeOutput:
        check_image(image)
        widgets = Widgets(**chosen)
        kinds = parse_classes(widgets.classes)
        given = [Given() for _ in image]
        if boxes is not None:
            otherwise = kinds.get("*", "")
            if widgets.boxes_kind != BY_LABEL:
                otherwise = widgets.boxes_kind
            some = defects_from_boxes(
                boxes, image, kinds, otherwise=otherwise, confidence=widgets.confidence
            )
            given = _with(given, from_others(FROM_BOXES, some))
        if face_landmarks is not None:
            given = _with(given, from_others(FROM_LANDMARKS, uneven_eyes(face_landmarks, image)))
        if mask is not None:
            some = defects_from_mask(mask, image, widgets.mask_kind)
            given = _with(given, from_others(FROM_MASK, some))
        if findings is not None:
            given = _with(given, [from_findings(findings, size_of(image))] * len(image))
        detection = detection_by(widgets, kinds, boxes=boxes is not None)
        found = inspect(image, detection, given=given, step=progress_steps())
        say(summary(found))
        preview = _drawn(image, found)
        told = reports(found)
        return io.NodeOutput(
            found,
            finished(masks_of(found, whole=widgets.paint_whole)),
            boxes_of(found),
            as_json(told),
            found.count,
            found.passed is True,
            finished(preview),
            ui={
                "cleanplate_defects": _rows(
                    found.size, told, ui.PreviewImage(_reduced(preview), cls=cls)
                )
            },
        )


def _with(given: Sequence[Given], more: Sequence[Given]) -> list[Given]:
    return [one + other for one, other in zip(given, more, strict=True)]


def _drawn(image: Tensor, found: Defects) -> Tensor:
    drawn = torch.empty(*image.shape[:3], 3)
    for place, picture, inspected in zip(drawn, image, found.images, strict=True):
        place.copy_(draw_defects(picture, inspected.defects))
    return drawn


def _reduced(pictures: Tensor) -> Tensor:
    """No larger than `_SHOWN`."""
    scale = _SHOWN / max(pictures.shape[1:3])
    if scale >= 1:
        return pictures
    size = [max(1, round(side * scale)) for side in pictures.shape[1:3]]
    reduced = pictures.new_empty(len(pictures), *size, 3)
    for place, picture in zip(reduced, pictures, strict=True):
        small = interpolate(picture.movedim(-1, 0)[None], size, mode="bilinear", antialias=True)
        place.copy_(small[0].movedim(0, -1))
    return reduced.clamp_(0, 1)


def _rows(
    size: Size, told: Sequence[dict[str, Any]], shown: ui.PreviewImage
) -> list[dict[str, Any]]:
    """For js/defect_report.js: each picture's file, size and defects; boxes in its pixels."""
    return [
        {
            "picture": picture,
            "width": size.width,
            "height": size.height,
            "passed": report["passed"],
            "defects": [
                {
                    **{key: entry[key] for key in ("kind", "title", "group", "score", "severity")},
                    **{key: entry[key] for key in ("reason", "box", "fix")},
                }
                for entry in report["defects"]
            ],
            "failures": report["failures"],
            "notes": report["notes"],
        }
        for report, picture in zip(told, shown.as_dict()["images"], strict=True)
    ]


NODES: list[type[io.ComfyNode]] = [DefectDetect, SelectDefect, DefectPrompt]
