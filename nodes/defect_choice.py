"""SelectDefect and DefectPrompt."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.bounds import bounding_boxes
from ..cleanplate.defects.catalogue import catalogue
from ..cleanplate.defects.catalogue import kind as kind_of
from ..cleanplate.defects.choice import choose, mask_of
from ..cleanplate.defects.inspection import Defects, box_entry
from ..cleanplate.defects.report import negative_prompt, positive_prompt
from ..cleanplate.geometry import Box
from .shared import DefectsType, finished

_ANY = "any"
_PLACED, _ALL = "with a place", "all"
_NOTHING = "other"
"""Kind whose numbers stand for a defect that is not there: what follows can work with them."""


class SelectDefect(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SelectDefect",
            display_name="Select Defect",
            category="CleanPlate/defects",
            description="One of the defects that DefectDetect has found: its mask, prompts and "
            "settings, to repair it with any nodes. Where there are not so many defects the mask "
            "is empty and found is false, so that a loop can go on until none is left.",
            search_aliases=[
                "pick defect",
                "defect mask",
                "filter defects",
                "detection by index",
                "select detection",
            ],
            inputs=[
                DefectsType.Input("defects", tooltip="From DefectDetect."),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=999,
                    tooltip="Which one; 0 is the most severe. The number in DefectDetect's "
                    "preview, unless kind or which say otherwise.",
                ),
                io.Int.Input(
                    "image_index",
                    default=0,
                    min=0,
                    max=9999,
                    optional=True,
                    tooltip="Of which picture of the batch; 0 is the first.",
                ),
                io.Combo.Input(
                    "kind",
                    options=[_ANY, *catalogue()],
                    default=_ANY,
                    optional=True,
                    tooltip="Only defects of this kind.",
                ),
                io.String.Input(
                    "scene",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="What the picture shows, in your words: comes first in the positive "
                    "prompt.",
                ),
                io.Combo.Input(
                    "which",
                    options=[_PLACED, _ALL],
                    default=_PLACED,
                    optional=True,
                    advanced=True,
                    tooltip="Only defects with a place, or also those of the picture as a whole, "
                    "whose mask is empty.",
                ),
                io.Boolean.Input(
                    "grow_mask",
                    default=True,
                    optional=True,
                    advanced=True,
                    tooltip="Grow the mask by as much as the kind needs, so that no rim of the "
                    "defect stays.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask", tooltip="Where it is, one mask; empty if there is none."
                ),
                io.String.Output(display_name="positive", tooltip="Prompt for the repair."),
                io.String.Output(
                    display_name="negative",
                    tooltip="Weighted terms to steer away from; empty if there is none.",
                ),
                io.Float.Output(
                    display_name="denoise", tooltip="How much of the old picture to forget."
                ),
                io.Float.Output(
                    display_name="context", tooltip="For context_factor of CropAroundMask."
                ),
                io.Boolean.Output(display_name="found", tooltip="Whether there is such a defect."),
                io.Int.Output(
                    display_name="count",
                    tooltip="How many there are in this picture that could be selected.",
                ),
                io.String.Output(
                    display_name="kind", tooltip="Its kind; empty if there is none. For kind_name."
                ),
                io.String.Output(
                    display_name="fix",
                    tooltip="The node that repairs it best; empty where none of this pack does.",
                ),
                io.String.Output(
                    display_name="reason", tooltip="Why it counts as a defect, and what to do."
                ),
                io.BoundingBox.Output(
                    display_name="box",
                    tooltip="Its box: a list for one picture, empty if it has none.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        defects: Defects,
        index: int,
        image_index: int = 0,
        kind: str = _ANY,
        scene: str = "",
        which: str = _PLACED,
        grow_mask: bool = True,
    ) -> io.NodeOutput:
        of_image = defects.images[image_index].defects if image_index < len(defects.images) else ()
        name = "" if kind == _ANY else kind
        chosen = choose(of_image, index, name=name, placed=which == _PLACED)
        defect = chosen.defect
        entry = catalogue()[defect.kind if defect else _NOTHING]
        names = [defect.kind] if defect else []
        reason = f"{entry.title}: {defect.reason}. {entry.advice}" if defect else ""
        boxes = [[box_entry(defect, defect.box)] if defect and defect.box else []]
        return io.NodeOutput(
            finished(mask_of(defect, defects.size, grow=grow_mask)[None]),
            positive_prompt(names, scene),
            negative_prompt(names),
            entry.denoise,
            entry.context,
            defect is not None,
            chosen.count,
            defect.kind if defect else "",
            entry.fix if defect else "",
            reason,
            boxes,
        )


class DefectPrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DefectPrompt",
            display_name="Defect Prompt",
            category="CleanPlate/defects",
            description="What the catalogue of defects says about a kind: positive and weighted "
            "negative prompt, denoise, growth of the mask and context, to repair a defect with any "
            "nodes. Also for kinds that nothing can detect: paint the mask and choose the kind.",
            search_aliases=[
                "negative prompt",
                "weighted negative",
                "fix hands prompt",
                "repair prompt",
                "defect catalogue",
            ],
            inputs=[
                io.Combo.Input(
                    "kind",
                    options=list(catalogue()),
                    default="unwanted_object",
                    tooltip="Which defect is to be repaired.",
                ),
                io.String.Input(
                    "scene",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="What the picture shows, in your words: comes first in the positive "
                    "prompt.",
                ),
                io.String.Input(
                    "kind_name",
                    default="",
                    optional=True,
                    force_input=True,
                    tooltip="Instead of kind: its name, such as from SelectDefect, or several with "
                    "commas between. Empty for no defect.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where the defect is: grow becomes right for its size.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="positive", tooltip="Prompt for the repair."),
                io.String.Output(
                    display_name="negative", tooltip="Weighted terms to steer away from."
                ),
                io.Float.Output(
                    display_name="denoise", tooltip="How much of the old picture to forget."
                ),
                io.Int.Output(
                    display_name="grow",
                    tooltip="Pixels by which to grow the mask, for grow of CropAroundMask or "
                    "LamaRemove; without a mask the least.",
                ),
                io.Float.Output(
                    display_name="context", tooltip="For context_factor of CropAroundMask."
                ),
                io.String.Output(
                    display_name="fix",
                    tooltip="The node that repairs it best; empty where none of this pack does.",
                ),
                io.String.Output(display_name="advice", tooltip="What to do, in a sentence."),
            ],
        )

    @classmethod
    def execute(
        cls,
        kind: str,
        scene: str = "",
        kind_name: str | None = None,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        names = [kind] if kind_name is None else _named(kind_name)
        entries = [kind_of(name) for name in names or [_NOTHING]]
        place = _largest(mask)
        return io.NodeOutput(
            positive_prompt(names, scene),
            negative_prompt(names),
            max(entry.denoise for entry in entries),
            max(entry.growth(place) for entry in entries),
            max(entry.context for entry in entries),
            entries[0].fix if names else "",
            " ".join(dict.fromkeys(entry.advice for entry in entries)) if names else "",
        )


def _named(names: str) -> list[str]:
    return [name for name in (part.strip() for part in names.split(",")) if name]


def _largest(mask: Tensor | None) -> Box:
    """The largest box of the masks; a single pixel without."""
    boxes = [] if mask is None else bounding_boxes(mask.reshape(-1, *mask.shape[-2:]), 0.5)
    sides = [max(box.width, box.height) for box in boxes if box]
    return Box(0, 0, max(sides, default=1), 1)
