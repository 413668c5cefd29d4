"""The end of RefineDefects: the pictures of a batch together again, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..cleanplate.defects.inspection import Defects, Inspected
from ..cleanplate.defects.report import Selection, as_json
from ..cleanplate.defects.rounds import Progress
from ..cleanplate.defects.rounds_report import as_text, describe_progress
from .refine_round import RefinementType
from .shared import DefectsType, finished

JOIN = "CleanPlateRefineJoin"


class RefineJoin(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=JOIN,
            display_name="Refine Defects: join",
            category="CleanPlate/defects",
            description="Placed by RefineDefects alone: puts the repaired pictures of a batch "
            "together again, and writes the report. Takes image_N and progress_N for picture N.",
            is_dev_only=True,
            accept_all_inputs=True,
            inputs=[
                io.Image.Input("image", tooltip="The pictures as they came."),
                RefinementType.Input("progress", tooltip="Where the repair of each began."),
            ],
            outputs=results(),
        )

    @classmethod
    def execute(cls, image: Tensor, progress: Sequence[Progress], **parts: Any) -> io.NodeOutput:
        ends = [parts.get(f"progress_{i}", start) for i, start in enumerate(progress)]
        pictures = [parts.get(f"image_{i}", one) for i, one in enumerate(image.split(1))]
        result = finished(torch.cat([finished(one) for one in pictures]) if parts else image)
        changed = (result != finished(image)).any(-1).to(torch.float32)
        left = _left(ends)
        reports = [describe_progress(end) for end in ends]
        return io.NodeOutput(
            result,
            as_json(reports),
            finished(changed),
            left,
            max(len(end.rounds) for end in ends),
            left.passed is True,
            ui=ui.PreviewText(as_text(reports)),
        )


def results() -> list[io.Output]:
    """The outputs of `RefineDefects`."""
    return [
        io.Image.Output(display_name="image", tooltip="The repaired pictures, at the same size."),
        io.String.Output(
            display_name="report",
            tooltip="JSON, one entry for each picture: what each round found, did and brought, "
            "what is left and why, and the same in sentences.",
        ),
        io.Mask.Output(display_name="mask", tooltip="Every pixel that has changed."),
        DefectsType.Output(
            display_name="defects", tooltip="What is left, in the form that DefectDetect gives."
        ),
        io.Int.Output(
            display_name="rounds", tooltip="How many rounds it took; of several pictures, the most."
        ),
        io.Boolean.Output(
            display_name="passed",
            tooltip="Whether nothing is left in any picture. Also false where nobody can tell, "
            "because a detector has failed.",
        ),
    ]


def _left(ends: Sequence[Progress]) -> Defects:
    """What is still there, in the form in which DefectDetect gives it."""
    images = []
    for end in ends:
        failures = tuple(f for f in end.failures if f.detector in end.unsure)
        images.append(Inspected(Selection(end.open, len(end.open)), failures, end.notes))
    return Defects(ends[0].size, tuple(images), ends[0].detection)
