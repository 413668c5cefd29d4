"""RemovalCheck."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..cleanplate.candidates import Chosen, check_candidates
from ..cleanplate.removal_check import THRESHOLD
from ..cleanplate.removal_probe import MISSING, load_probe
from .shared import finished, progress_steps, say


class RemovalCheck(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RemovalCheck",
            display_name="Removal Check",
            category="CleanPlate/removal",
            description="Looks whether a refinement has painted a new object into the hole. Of "
            "several refinements (seeds) it returns the best; if none passes, it returns the "
            "removal itself, and says so.",
            search_aliases=[
                "compare before after",
                "quality check",
                "hallucination check",
                "best of batch",
                "pick seed",
                "verify removal",
                "object removal check",
                "제거 검사",
                "除去チェック",
                "移除检查",
            ],
            inputs=[
                io.Image.Input(
                    "before",
                    tooltip="The removal's result, before it was refined: usually the crop that "
                    "goes into FluxFillRefine.",
                ),
                io.Image.Input(
                    "after",
                    tooltip="The refined pictures, of the same size. Several for one picture are "
                    "candidates; for a batch of pictures, one or more whole batches.",
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="Where it was removed: one mask for all pictures, or one for each. "
                    "Counts from 0.5 upwards.",
                ),
                io.Float.Input(
                    "threshold",
                    default=THRESHOLD,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="A refinement whose score is higher does not pass. Lower is stricter: "
                    "more objects are seen, and more good refinements refused.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="For each picture the best refinement that passes, else before.",
                ),
                io.Float.Output(
                    display_name="score",
                    tooltip="0: nothing new in the hole; 1: an object came back. Of the best "
                    "refinement; of several pictures, the worst.",
                ),
                io.Boolean.Output(
                    display_name="passed",
                    tooltip="Whether a refinement has passed; of several pictures, for all.",
                ),
                io.String.Output(
                    display_name="report", tooltip="One line for each refinement, and the choice."
                ),
            ],
        )

    @classmethod
    def execute(
        cls, before: Tensor, after: Tensor, mask: Tensor, threshold: float
    ) -> io.NodeOutput:
        probe = load_probe()
        chosen = check_candidates(
            before, after, mask, threshold, probe=probe, step=progress_steps()
        )
        report = chosen.report if probe else f"{chosen.report}\n{MISSING}"
        say(report)
        return io.NodeOutput(
            finished(chosen.image),
            chosen.score,
            chosen.passed,
            report,
            ui={**ui.PreviewText(report).as_dict(), "cleanplate_check": _verdicts(chosen)},
        )


def _verdicts(chosen: Chosen) -> list[dict[str, Any]]:
    """For the badge on the node: the best refinement of each picture."""
    return [
        {
            "score": min(verdict.score for verdict in found),
            "passed": pick is not None,
            "threshold": chosen.threshold,
        }
        for pick, found in zip(chosen.picks, chosen.verdicts, strict=True)
    ]


NODES: list[type[io.ComfyNode]] = [RemovalCheck]
