"""FaceRestore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.model_management
import torch
from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask
from ..cleanplate.colour import MODES
from ..cleanplate.faces.network import FaceNetwork, face_architecture
from ..cleanplate.faces.report import describe
from ..cleanplate.faces.restore import DEFAULT_COLOUR, FaceReport, Settings, restore_faces
from ..cleanplate.faces.select import CHOICES, LEAST_EYE_DISTANCE, Selection
from .face_finding import (
    BUILT_IN,
    DEFAULT_CONFIDENCE,
    DEFAULT_SIDE,
    FaceFinder,
    FaceLandmarks,
    Found,
    detectors,
    missing,
)
from .shared import bring_in, finished, progress_steps, say

_BYTES_PER_FACE = 1 << 30
"""RestoreFormer needs 0.8 GB for one face in float32, GFPGAN 0.7."""

_TOGETHER = 4


class FaceRestore(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceRestore",
            display_name="Restore Faces",
            category="CleanPlate/refine",
            description="Finds faces, restores each with GFPGAN, RestoreFormer or CodeFormer, and "
            "adds only what has changed to the picture, at its own resolution. Every pixel outside "
            "the returned mask stays exactly as it was. Faces that drift too far from the person "
            "are blended back, and the report says so.",
            search_aliases=[
                "gfpgan",
                "codeformer",
                "restoreformer",
                "face fix",
                "face detailer",
                "facerestore",
                "reactor restore face",
                "얼굴 복원",
                "顔復元",
                "顔修復",
                "人脸修复",
                "面部修复",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The picture or pictures with faces."),
                io.UpscaleModel.Input(
                    "upscale_model",
                    tooltip="GFPGAN, RestoreFormer or CodeFormer, from Load Upscale Model.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Only faces that it touches are restored, and only where it is.",
                ),
                FaceLandmarks.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip="Faces that are known already, for instance from MediaPipe Face "
                    "Landmarker; nothing is searched for then.",
                ),
                io.BoundingBox.Input(
                    "boxes",
                    optional=True,
                    force_input=True,
                    tooltip="Where to look for faces; the rest of the picture is not searched.",
                ),
                io.Float.Input(
                    "strength",
                    default=0.8,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How much of the change is added; 0 changes nothing.",
                ),
                io.Float.Input(
                    "fidelity",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="CodeFormer only: 0 looks best, 1 stays nearest to the person.",
                ),
                io.Combo.Input(
                    "selection",
                    options=list(CHOICES),
                    default="all",
                    tooltip="Which of the faces to restore.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=-100,
                    max=99,
                    tooltip="With the selection 'index' only: 0 is the leftmost face, -1 the "
                    "rightmost.",
                ),
                io.Combo.Input(
                    "colour_match",
                    options=list(MODES),
                    default=DEFAULT_COLOUR,
                    optional=True,
                    advanced=True,
                    tooltip="Gives the restored face the colours that the picture has around it.",
                ),
                io.Boolean.Input(
                    "identity_guard",
                    default=True,
                    optional=True,
                    advanced=True,
                    tooltip="Lowers the strength of faces whose landmarks or coarse shades move "
                    "farther than a restoration should, or keeps them as they are.",
                ),
                io.Float.Input(
                    "confidence",
                    default=DEFAULT_CONFIDENCE,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    advanced=True,
                    tooltip="How sure the detector must be of a face; 0.8 is usual for YuNet. Does "
                    "not count for landmarks and boxes that are connected.",
                ),
                io.Float.Input(
                    "min_eye_distance",
                    default=LEAST_EYE_DISTANCE,
                    min=0.0,
                    max=500.0,
                    step=1.0,
                    optional=True,
                    advanced=True,
                    tooltip="Faces whose eyes are fewer pixels apart are kept: there is too little "
                    "to restore them from.",
                ),
                io.Int.Input(
                    "max_faces",
                    default=0,
                    min=0,
                    max=1000,
                    optional=True,
                    advanced=True,
                    tooltip="Restore at most so many faces of a picture, the largest; 0 is no "
                    "limit.",
                ),
                io.Combo.Input(
                    "face_detector",
                    options=[BUILT_IN, *detectors()],
                    default=BUILT_IN,
                    optional=True,
                    advanced=True,
                    tooltip="Finds the faces: the built-in MTCNN, or a YuNet .onnx file in "
                    "models/facedetection.",
                ),
                io.Int.Input(
                    "detection_size",
                    default=DEFAULT_SIDE,
                    min=64,
                    max=16384,
                    step=64,
                    optional=True,
                    advanced=True,
                    tooltip="Larger pictures are searched reduced to this length of their longer "
                    "side: quicker, and small faces are missed.",
                ),
                io.Boolean.Input(
                    "rotated_faces",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Look again in the picture turned by 90, 180 and 270 degrees where "
                    "nothing is found.",
                ),
                io.Boolean.Input(
                    "already_aligned",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="The picture is nothing but one aligned face, as in a face data set: "
                    "nothing is searched for, and all of it is restored.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The pictures, faces restored."),
                io.Mask.Output(
                    display_name="mask", tooltip="What was changed, and how much of it."
                ),
                io.Image.Output(
                    display_name="faces_before",
                    is_output_list=True,
                    tooltip="The aligned faces as the model saw them, a list of 512x512 pictures.",
                ),
                io.Image.Output(
                    display_name="faces_after",
                    is_output_list=True,
                    tooltip="The same faces as they were added.",
                ),
                io.BoundingBox.Output(
                    display_name="boxes", tooltip="The faces that were restored, for each picture."
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="What became of each face, why, and how far it drifted.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, face_detector: str = BUILT_IN) -> bool | str:
        # A name that another node gives is known only once that node has run.
        if isinstance(face_detector, str) and face_detector != BUILT_IN and missing(face_detector):
            return f"the file {face_detector!r} is not in models/facedetection"
        return True

    @classmethod
    def execute(
        cls,
        image: Tensor,
        upscale_model: Any,
        strength: float,
        fidelity: float,
        selection: str,
        index: int,
        mask: Tensor | None = None,
        face_landmarks: Any = None,
        boxes: Any = None,
        colour_match: str = DEFAULT_COLOUR,
        identity_guard: bool = True,
        confidence: float = DEFAULT_CONFIDENCE,
        min_eye_distance: float = LEAST_EYE_DISTANCE,
        max_faces: int = 0,
        face_detector: str = BUILT_IN,
        detection_size: int = DEFAULT_SIDE,
        rotated_faces: bool = False,
        already_aligned: bool = False,
    ) -> io.NodeOutput:
        face_architecture(upscale_model)
        check_image(image)
        if mask is not None:
            check_mask(mask, image)
        settings = Settings(strength, fidelity, colour_match, identity_guard)
        chosen = Selection(selection, index, 0, min_eye_distance, max_faces)
        finder = FaceFinder(face_detector, confidence, detection_size, rotated_faces)
        nothing = Found([], [], "")
        found = nothing if already_aligned else finder.find(image, face_landmarks, boxes)
        network = _Managed(upscale_model)
        done = restore_faces(
            image,
            None if already_aligned else found.faces,
            network,
            settings,
            chosen,
            mask=mask,
            find=finder.relook() if identity_guard else None,
            together=network.together,
            step=progress_steps(),
        )
        report = describe(done.faces, len(image), strength, found.how, found.dropped)
        say(report)
        return io.NodeOutput(
            finished(done.image),
            finished(done.mask),
            _pictures(done.before),
            _pictures(done.after),
            [_boxes(done.faces, i) for i in range(len(image))],
            report,
            ui=ui.PreviewText(report),
        )


class _Managed:
    """A face network that takes ComfyUI's memory only once a face is really there."""

    def __init__(self, model: Any) -> None:
        self._model = model
        device = comfy.model_management.get_torch_device()
        self.together = 1 if device.type == "cpu" else _TOGETHER

    def __call__(self, crops: Tensor, fidelity: float) -> Tensor:
        management = comfy.model_management
        try:
            return self._run(crops, fidelity)
        except torch.OutOfMemoryError:
            if len(crops) > 1:
                raise
        # From here on nothing holds the failed attempt's tensors.
        management.unload_all_models()
        management.soft_empty_cache()
        say("Memory ran out with a single face: all other models were unloaded.")
        return self._run(crops, fidelity)

    def _run(self, crops: Tensor, fidelity: float) -> Tensor:
        patcher = bring_in(self._model, len(crops) * _BYTES_PER_FACE)
        return FaceNetwork(self._model, patcher.load_device)(crops, fidelity)


def _pictures(crops: Sequence[Tensor]) -> Any:
    # An empty list breaks the nodes after it; a blocker makes ComfyUI skip them.
    return [finished(crop[None]) for crop in crops] or ExecutionBlocker(None)


def _boxes(reports: Sequence[FaceReport], image: int) -> list[dict[str, Any]]:
    found = []
    for report in reports:
        if report.image == image and report.restored:
            left, top, right, bottom = report.face.box
            found.append(
                {
                    "x": left,
                    "y": top,
                    "width": right - left,
                    "height": bottom - top,
                    "label": "face",
                    "score": report.face.score,
                }
            )
    return found


NODES: list[type[io.ComfyNode]] = [FaceRestore]
