"""QualityScore and PickBest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from comfy.clip_vision import Output as ClipVisionOutput
from comfy_api.latest import io, ui
from torch import Tensor

from ..cleanplate.agreement import agreement, cosines
from ..cleanplate.checks import check_image, size_of
from ..cleanplate.quality import WANTED_SIDE, Quality, given, judge
from ..cleanplate.ranking import numbers_of, rank
from .shared import finished, progress_steps, say


def _flat(batches: Sequence[Tensor]) -> list[Tensor]:
    """Every picture ``[H, W, C]`` of one batch or several, which may differ in size."""
    for batch in batches:
        check_image(batch)
    return [picture for batch in batches for picture in batch]


def _judged(
    pictures: Sequence[Tensor], side: int, step: Callable[[int, int], None]
) -> list[Quality]:
    judged = []
    for number, picture in enumerate(pictures):
        step(number, len(pictures))
        judged.append(judge(picture, side))
    step(len(pictures), len(pictures))
    return judged


def _as_lines(judged: Sequence[Quality]) -> str:
    return "\n".join(f"Image {number}: {quality}" for number, quality in enumerate(judged, 1))


def _weight(name: str, tooltip: str) -> io.Input:
    return io.Float.Input(
        f"{name}_weight",
        default=1.0,
        min=0.0,
        max=10.0,
        step=0.05,
        advanced=True,
        tooltip=f"{tooltip} 0 leaves it out, 1 counts it in full, 2 twice.",
    )


_WEIGHTS = {
    "sharpness": "How much it counts how wide the edges are, in the worst direction.",
    "noise": "How much grain in even areas counts.",
    "compression": "How much the 8x8 blocks of JPEG count.",
    "light": "How much it counts that the picture is too dark or burnt out.",
    "resolution": "How much it counts that the shorter side is below wanted_side.",
    "agreement": "How much the agreement with the prompt counts, where CLIP is connected.",
    "given": "How much scores count, where they are connected.",
}


class QualityScore(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="QualityScore",
            display_name="Quality Score",
            category="CleanPlate/defects",
            description="Says how good each picture is, without anything to compare it with, from "
            "sharpness, noise, JPEG blocks, light and size; on request also from its agreement "
            "with the prompt (CLIP) and from scores of other nodes. No weights are needed.",
            search_aliases=[
                "image quality assessment",
                "iqa",
                "no reference quality",
                "sharpness score",
                "clip score",
                "aesthetic score",
                "rate images",
                "화질 평가",
                "画質評価",
                "画质评分",
            ],
            is_input_list=True,
            inputs=[
                io.Image.Input("image", tooltip="The picture or pictures to judge."),
                io.ClipVisionOutput.Input(
                    "clip_vision_output",
                    optional=True,
                    tooltip="The same pictures, encoded by CLIP Vision Encode. Together with "
                    "positive it adds the agreement with the prompt.",
                ),
                io.Conditioning.Input(
                    "positive",
                    optional=True,
                    tooltip="The prompt that the pictures shall agree with: the conditioning of "
                    "an SDXL model for CLIP Vision bigG, or of SD 2 for CLIP Vision H.",
                ),
                io.AnyType.Input(
                    "scores",
                    optional=True,
                    tooltip="One score for each picture from any other node: numbers, a list of "
                    "them, or a text.",
                ),
                io.Float.Input(
                    "worst",
                    default=0.0,
                    min=-1e6,
                    max=1e6,
                    step=0.01,
                    advanced=True,
                    tooltip="Which of the connected scores counts as 0.",
                ),
                io.Float.Input(
                    "best",
                    default=1.0,
                    min=-1e6,
                    max=1e6,
                    step=0.01,
                    advanced=True,
                    tooltip="Which of the connected scores counts as 1. Below worst where less is "
                    "better.",
                ),
                io.Int.Input(
                    "wanted_side",
                    default=WANTED_SIDE,
                    min=1,
                    max=16384,
                    tooltip="Pixels that the shorter side has to have; a smaller picture loses "
                    "in proportion.",
                    advanced=True,
                ),
                *(_weight(name, tooltip) for name, tooltip in _WEIGHTS.items()),
            ],
            outputs=[
                io.Float.Output(
                    display_name="scores",
                    is_output_list=True,
                    tooltip="0 to 1 for each picture, as a list: for Pick Best.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="One line for each picture: its score, and its parts from the worst.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: list[Tensor],
        worst: list[float],
        best: list[float],
        wanted_side: list[int],
        clip_vision_output: list[ClipVisionOutput] | None = None,
        positive: list[Any] | None = None,
        scores: list[Any] | None = None,
        **weights: list[float],
    ) -> io.NodeOutput:
        pictures = _flat(image)
        extra = [
            _agreements(clip_vision_output, positive, len(pictures)),
            _given(scores, worst[0], best[0], len(pictures)),
        ]
        by_name = {name.removesuffix("_weight"): values[0] for name, values in weights.items()}
        judged = [
            quality.with_parts(parts[number] for parts in extra if parts).weighted(**by_name)
            for number, quality in enumerate(_judged(pictures, wanted_side[0], progress_steps()))
        ]
        report = _as_lines(judged)
        say(report)
        return io.NodeOutput([q.score for q in judged], report, ui=ui.PreviewText(report))


def _given(scores: list[Any] | None, worst: float, best: float, images: int) -> list[Any]:
    if scores is None:
        return []
    found = rank(numbers_of(scores), images).scores
    return [given(value, worst, best) for value in found]


def _agreements(
    outputs: list[ClipVisionOutput] | None, positive: list[Any] | None, images: int
) -> list[Any]:
    if outputs is None and positive is None:
        return []
    if outputs is None or positive is None:
        there, absent = ("positive", "clip_vision_output")[:: 1 if outputs is None else -1]
        raise ValueError(
            f"{there} is connected but {absent} is not: the agreement of pictures with a prompt "
            "needs both, connect both or neither."
        )
    text = positive[0][0][1].get("pooled_output") if positive[0] else None
    if text is None:
        raise ValueError(
            "positive holds no features of the text as a whole: connect the conditioning of a "
            "model with CLIP, such as SDXL."
        )
    features = torch.cat([output["image_embeds"] for output in outputs])
    if len(features) != images:
        raise ValueError(
            f"clip_vision_output holds {len(features)} pictures but image holds {images}: encode "
            "the same pictures."
        )
    width = outputs[0]["last_hidden_state"].shape[-1]
    return [agreement(cosine) for cosine in cosines(features, width, text[:1])]


_HIGHEST, _LOWEST = "highest", "lowest"


class PickBest(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PickBest",
            display_name="Pick Best",
            category="CleanPlate/defects",
            description="Keeps the best pictures of a batch, the best first. By its own quality "
            "score, or by scores from any other node.",
            search_aliases=[
                "best of batch",
                "best of n",
                "rank images",
                "sort images by score",
                "select best image",
                "auto pick",
                "베스트 선택",
                "ベスト選択",
                "选择最佳",
            ],
            is_input_list=True,
            inputs=[
                io.Image.Input("image", tooltip="The pictures to choose from."),
                io.AnyType.Input(
                    "scores",
                    optional=True,
                    tooltip="One score for each picture: of Quality Score, or of any other node "
                    "as numbers, a list, or a text. Without it the pictures are judged as by "
                    "Quality Score.",
                ),
                io.Int.Input(
                    "keep",
                    default=1,
                    min=1,
                    max=4096,
                    tooltip="How many pictures to keep. All of them, if there are fewer.",
                ),
                io.Combo.Input(
                    "prefer",
                    options=[_HIGHEST, _LOWEST],
                    default=_HIGHEST,
                    advanced=True,
                    tooltip="Which of the connected scores is the best. Of equal ones the first "
                    "picture wins.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The best pictures, best first."),
                io.Int.Output(
                    display_name="index",
                    tooltip="Where the best one is among those connected, counted from 0: for "
                    "Latent From Batch, for example.",
                ),
                io.Float.Output(display_name="score", tooltip="The score of the best one."),
                io.String.Output(
                    display_name="ranking",
                    tooltip="One line for each picture, the best first, counted from 1.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: list[Tensor],
        keep: list[int],
        prefer: list[str],
        scores: list[Any] | None = None,
    ) -> io.NodeOutput:
        pictures = _flat(image)
        if scores is None:
            judged = _judged(pictures, WANTED_SIDE, progress_steps())
            ranking = rank([quality.score for quality in judged], len(pictures))
            text = ranking.lines(judged)
        else:
            ranking = rank(numbers_of(scores), len(pictures), lowest=prefer[0] == _LOWEST)
            text = str(ranking)
        first = ranking.order[0]
        chosen = [pictures[number] for number in ranking.order[: keep[0]]]
        say(text)
        return io.NodeOutput(
            finished(_together(chosen)),
            first,
            ranking.scores[first],
            text,
            ui=ui.PreviewText(text),
        )


def _together(pictures: Sequence[Tensor]) -> Tensor:
    first = pictures[0]
    for picture in pictures[1:]:
        if picture.shape != first.shape:
            sizes = f"{size_of(first[None])} and {size_of(picture[None])}"
            raise ValueError(
                f"the best images are {sizes} with {first.shape[2]} and {picture.shape[2]} "
                "channels, which make no batch: set keep to 1, or make them alike first."
            )
    return torch.stack(list(pictures))


NODES: list[type[io.ComfyNode]] = [QualityScore, PickBest]
