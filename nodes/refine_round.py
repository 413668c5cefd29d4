"""The rounds of RefineDefects, as a graph: what it expands into."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder
from server import PromptServer
from torch import Tensor

from ..cleanplate.checks import size_of
from ..cleanplate.defects.inspection import box_entry, inspect
from ..cleanplate.defects.plan import FILL, REFINE, REMOVE, RESTORE, Repair
from ..cleanplate.defects.rounds import Progress, judge, take_back
from ..cleanplate.defects.rounds_report import say_round
from .crop import CropAroundMask
from .faces import FaceRestore
from .fill import ContentAwareFill
from .refine import FluxFillRefine
from .removal import LamaRemove
from .shared import finished, progress_steps, stop_if_interrupted
from .stitch import StitchBack
from .upscale import UpscaleToModelRes

_log = logging.getLogger(__name__)

ROUND, LOOK = "CleanPlateRefineRound", "CleanPlateLookAgain"
RefinementType = io.Custom("CLEANPLATE_REFINEMENT")

_NAMES = {REMOVE: "remove", FILL: "fill", REFINE: "refine", RESTORE: "restore"}
_CUSTOM = "custom"
_FACES = frozenset({"bad_face", "small_face", "blurred_face", "asymmetric_face"})
"""Kinds whose box is that of a face."""

Link = Any
"""``[node id, output]``, or the value itself."""


@dataclass(frozen=True, eq=False)
class Tools:
    """The models that repair, and how they are run.

    Attributes:
        model, vae, clip: of the diffusion model, or None.
        is_flux: whether it is Flux, which knows no negative prompt.
        family: what UpscaleToModelRes calls it.
        megapixels: of what it sees, in units of 1024x1024 pixels; 0 as the family wants.
        steps, guidance, cfg: of the sampling.
        removal_model, upscale_model, face_model: or None.
    """

    model: Any = None
    vae: Any = None
    clip: Any = None
    is_flux: bool = True
    family: str = "Flux"
    megapixels: float = 0.0
    steps: int = 20
    guidance: float = 30.0
    cfg: float = 7.0
    removal_model: Any = None
    upscale_model: Any = None
    face_model: Any = None


class RefineRound(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=ROUND,
            display_name="Refine Defects: one round",
            category="CleanPlate/defects",
            description="Placed by RefineDefects alone: expands into the repairs of one round, a "
            "second look, and the next round; into nothing when the repair is over.",
            is_dev_only=True,
            enable_expand=True,
            inputs=[
                io.Image.Input("image", tooltip="One picture."),
                RefinementType.Input("progress", tooltip="Where its repair stands."),
                RefinementType.Input("tools", tooltip="The models."),
                RefinementType.Input("prompts", tooltip="Links to the prompts encoded so far."),
                RefinementType.Input(
                    "after", optional=True, tooltip="What has to be finished before."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The repaired picture."),
                RefinementType.Output(display_name="progress", tooltip="Where the repair ended."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        progress: Progress,
        tools: Tools,
        prompts: Mapping[str, Link],
        after: Any = None,
    ) -> io.NodeOutput:
        repairs = progress.next_repairs()
        if not repairs:
            return io.NodeOutput(image, progress)
        # The picture itself and no link to it: what a link leads to may have left the cache, and
        # would be computed again with all before it.
        graph = GraphBuilder()
        build = _Builder(graph, tools, dict(prompts))
        repaired: Link = image
        for number, repair in enumerate(repairs, 1):
            repaired = build.repair(repaired, repair, repair.mask(progress.size), number)
        look = graph.node(
            LOOK, "look", before=image, image=repaired, progress=progress, repairs=repairs
        )
        follows = graph.node(
            ROUND,
            f"round_{len(progress.rounds) + 2}",
            image=look.out(0),
            progress=look.out(1),
            tools=tools,
            prompts=build.prompts,
        )
        return io.NodeOutput(follows.out(0), follows.out(1), expand=graph.finalize())


class LookAgain(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=LOOK,
            display_name="Refine Defects: look again",
            category="CleanPlate/defects",
            description="Placed by RefineDefects alone: looks for defects again after a round, and "
            "takes back the repairs that brought no improvement.",
            is_dev_only=True,
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            inputs=[
                io.Image.Input("before", tooltip="The picture before the round."),
                io.Image.Input("image", tooltip="The picture after it."),
                RefinementType.Input("progress", tooltip="Where its repair stood before."),
                RefinementType.Input("repairs", tooltip="The repairs of the round."),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", tooltip="The better of both, for each place."
                ),
                RefinementType.Output(display_name="progress", tooltip="Where its repair stands."),
            ],
        )

    @classmethod
    def execute(
        cls, before: Tensor, image: Tensor, progress: Progress, repairs: Sequence[Repair]
    ) -> io.NodeOutput:
        stop_if_interrupted()
        if size_of(image) != progress.size:
            raise ValueError(
                f"a repair has given back {size_of(image)} for a picture of {progress.size}."
            )
        again = inspect(image, progress.detection, step=progress_steps())
        progress = judge(progress, repairs, again.images[0])
        last = progress.rounds[-1]
        cls._tell(say_round(last, len(progress.rounds)))
        kept = take_back(before, image, last.results)
        return io.NodeOutput(finished(kept), progress)

    @classmethod
    def _tell(cls, text: str) -> None:
        """Say something in the log, and under the node that the user sees."""
        _log.info("RefineDefects: %s", text)
        server, prompt = getattr(PromptServer, "instance", None), cls.hidden.dynprompt
        if server and prompt:
            server.send_progress_text(text, prompt.get_display_node_id(cls.hidden.unique_id))


class _Builder:
    """Adds repairs to a graph."""

    def __init__(self, graph: GraphBuilder, tools: Tools, prompts: dict[str, Link]) -> None:
        self._graph, self._tools = graph, tools
        self.prompts = prompts

    def repair(self, image: Link, repair: Repair, mask: Link, number: int) -> Link:
        """The picture after a repair."""
        grow = repair.grow
        for node in repair.nodes:
            if node == REFINE:
                image = self._refine(image, mask, grow, repair, number)
            elif node == RESTORE:
                image = self._restore(image, mask, repair, number)
            else:
                image, mask = self._remove(node, image, mask, repair, number)
                grow = 0
        return image

    def _remove(
        self, node: str, image: Link, mask: Link, repair: Repair, number: int
    ) -> tuple[Link, Link]:
        # These crop by themselves, and leave every other pixel as it is.
        if node == REMOVE:
            inputs = {**_defaults(LamaRemove), "removal_model": self._tools.removal_model}
        else:
            inputs = {**_defaults(ContentAwareFill), "seed": repair.seed}
        inputs |= {"image": image, "mask": mask, "grow": repair.grow}
        made = self._graph.node(node, f"{_NAMES[node]}_{number}", **inputs)
        return made.out(0), made.out(1)

    def _refine(self, image: Link, mask: Link, grow: int, repair: Repair, number: int) -> Link:
        tools = self._tools
        crop = self._graph.node(
            "CropAroundMask",
            f"crop_{number}",
            **{
                **_defaults(CropAroundMask),
                "image": image,
                "mask": mask,
                "grow": grow,
                "context_factor": repair.context,
            },
        )
        large = {**_defaults(UpscaleToModelRes), "image": crop.out(1), "mask": crop.out(2)}
        if tools.upscale_model is not None:
            large["upscale_model"] = tools.upscale_model
        large["model_family"] = tools.family
        if tools.megapixels:
            large |= {"model_family": _CUSTOM, "megapixels": tools.megapixels}
        upscaled = self._graph.node("UpscaleToModelRes", f"upscale_{number}", **large)
        inputs = {
            **_defaults(FluxFillRefine),
            "model": tools.model,
            "vae": tools.vae,
            "positive": self._prompt(repair.positive),
            "image": upscaled.out(0),
            "mask": upscaled.out(1),
            "seed": repair.seed,
            "steps": tools.steps,
            "guidance": tools.guidance,
            "denoise": repair.denoise,
            "cfg": tools.cfg,
        }
        if not tools.is_flux:
            inputs["negative"] = self._prompt(repair.negative)
        refined = self._graph.node(REFINE, f"refine_{number}", **inputs)
        stitched = self._graph.node(
            "StitchBack",
            f"stitch_{number}",
            **{**_defaults(StitchBack), "stitch": crop.out(0), "image": refined.out(0)},
        )
        return stitched.out(0)

    def _restore(self, image: Link, mask: Link, repair: Repair, number: int) -> Link:
        inputs = {
            **_defaults(FaceRestore),
            "image": image,
            "mask": mask,
            "upscale_model": self._tools.face_model,
        }
        box = repair.defect.box
        if repair.defect.kind in _FACES and box is not None:
            inputs["boxes"] = [[{**box_entry(repair.defect, box), "label": "face"}]]
        return self._graph.node(RESTORE, f"restore_{number}", **inputs).out(0)

    def _prompt(self, text: str) -> Link:
        """The encoded text; each text is encoded once."""
        if text not in self.prompts:
            name = f"prompt_{len(self.prompts) + 1}"
            node = self._graph.node("CLIPTextEncode", name, clip=self._tools.clip, text=text)
            self.prompts[text] = node.out(0)
        return self.prompts[text]


def _defaults(node: type[io.ComfyNode]) -> dict[str, Any]:
    """The values of a node's widgets: nodes of an expansion have no others."""
    inputs = node.define_schema().inputs
    return {item.id: item.default for item in inputs if getattr(item, "default", None) is not None}


NODES: list[type[io.ComfyNode]] = [RefineRound, LookAgain]
