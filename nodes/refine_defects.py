"""RefineDefects: repair what was found, look again, and go on until nothing is left."""

from __future__ import annotations

from typing import Any, get_args

import comfy.model_base
from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder
from spandrel import MaskedImageModelDescriptor
from torch import Tensor

from ..cleanplate.checks import check_image, size_of
from ..cleanplate.defects.inspection import Defects
from ..cleanplate.defects.plan import Means, Repairs
from ..cleanplate.defects.rounds import Settings, begin
from ..cleanplate.faces.network import face_architecture
from ..cleanplate.upscale.tiled import check_upscaler
from .refine import is_flux_fill
from .refine_join import JOIN, RefineJoin, results
from .refine_round import NODES as ROUND_NODES
from .refine_round import ROUND, Tools
from .shared import DefectsType, RemovalModel

_REPAIRS: list[Repairs] = list(get_args(Repairs))


class RefineDefects(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RefineDefects",
            display_name="Refine Defects",
            category="CleanPlate/defects",
            description="Repairs what DefectDetect has found, one or two defects a round, each "
            "with the node that its kind needs, then looks again: until nothing is left, the "
            "rounds are spent, or a round brings no improvement. A repair that does not help is "
            "taken back. The report says what was found, done and left in each round.",
            search_aliases=[
                "detailer",
                "adetailer",
                "auto fix",
                "repair image",
                "iterative refinement",
                "fix artifacts",
                "detect and inpaint loop",
                "remove watermark",
                "자동 복원",
                "결함 수정",
                "欠陥修復",
                "修复缺陷",
            ],
            enable_expand=True,
            inputs=[*_wires(), *_widgets()],
            outputs=results(),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        defects: Defects,
        max_rounds: int,
        per_round: int,
        repair: Repairs,
        scene: str,
        seed: int,
        steps: int,
        guidance: float,
        cfg: float,
        megapixels: float,
        removal_model: Any = None,
        model: Any = None,
        vae: Any = None,
        clip: Any = None,
        upscale_model: Any = None,
        face_model: Any = None,
    ) -> io.NodeOutput:
        check_image(image)
        _check_defects(defects, image)
        _check_models(removal_model, model, vae, clip, upscale_model, face_model)
        is_flux = model is not None and is_flux_fill(model)
        tools = Tools(
            model=model,
            vae=vae,
            clip=clip,
            is_flux=is_flux,
            family=_family(model, is_flux),
            megapixels=megapixels,
            steps=steps,
            guidance=guidance,
            cfg=cfg,
            removal_model=removal_model,
            upscale_model=upscale_model,
            face_model=face_model,
        )
        means = Means(
            repair, removal_model is not None, model is not None, face_model is not None, scene
        )
        settings = Settings(means, max_rounds, per_round, seed)
        starts = tuple(
            begin(found, defects.size, defects.detection, settings) for found in defects.images
        )
        # Values rather than links are handed on, so that a list of pictures becomes one run for
        # each. One picture after the other: models need not be swapped to and fro.
        graph = GraphBuilder()
        parts: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for number, start in enumerate(starts):
            if not start.next_repairs():
                continue
            ended = graph.node(
                ROUND,
                f"image_{number}",
                image=image[number : number + 1],
                progress=start,
                tools=tools,
                prompts={},
                **after,
            )
            after = {"after": ended.out(1)}
            parts |= {f"image_{number}": ended.out(0), f"progress_{number}": ended.out(1)}
        join = graph.node(JOIN, "join", image=image, progress=starts, **parts)
        return io.NodeOutput(*(join.out(i) for i in range(6)), expand=graph.finalize())


def _wires() -> list[io.Input]:
    """The inputs of `RefineDefects` that are connected."""
    return [
        io.Image.Input("image", tooltip="The pictures that DefectDetect has looked at."),
        DefectsType.Input(
            "defects",
            tooltip="From DefectDetect: what to repair, and how to look again. What boxes, masks, "
            "landmarks or a language model have found is repaired once and not looked for again.",
        ),
        RemovalModel.Input(
            "removal_model",
            optional=True,
            tooltip="From Load Removal Model, for text, logos, spots and reflections. Without it "
            "Content-Aware Fill removes them.",
        ),
        io.Model.Input(
            "model",
            optional=True,
            tooltip="Flux Fill, or an SD or SDXL inpainting checkpoint, for hands, limbs and what "
            "has to be painted anew. Needs vae and clip, too. Without it such defects are left.",
        ),
        io.Vae.Input("vae", optional=True, tooltip="The model's VAE."),
        io.Clip.Input("clip", optional=True, tooltip="The model's text encoder, for the prompts."),
        io.UpscaleModel.Input(
            "upscale_model",
            optional=True,
            tooltip="Enlarges the crops for the diffusion model. Without it they are resized.",
        ),
        io.UpscaleModel.Input(
            "face_model",
            optional=True,
            tooltip="GFPGAN, RestoreFormer or CodeFormer, from Load Upscale Model, for faces. "
            "Without it the diffusion model repaints them, if there is one.",
        ),
    ]


def _widgets() -> list[io.Input]:
    return [
        io.Int.Input(
            "max_rounds",
            default=Settings.max_rounds,
            min=0,
            max=50,
            tooltip="Most rounds of repairing and looking again. 0 changes nothing.",
        ),
        io.Int.Input(
            "per_round",
            default=Settings.per_round,
            min=1,
            max=20,
            tooltip="Most defects of a picture that one round repairs, the most severe first.",
        ),
        io.Combo.Input(
            "repair",
            options=_REPAIRS,
            default=_REPAIRS[0],
            tooltip="by kind: remove, repaint or restore, as the kind of the defect needs. by "
            "kind, refined: the diffusion model also refines what was removed. fill only: just "
            "what can be filled without any model. diffusion only: repaint everything.",
        ),
        io.String.Input(
            "scene",
            default="",
            multiline=True,
            tooltip="A few words on what the picture shows, added to every prompt. Do not name "
            "what shall go.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=0xFFFFFFFFFFFFFFFF,
            control_after_generate=True,
            tooltip="Each repair of each round has a seed of its own that follows from this one, "
            "so the same run gives the same picture.",
        ),
        io.Int.Input(
            "steps",
            default=20,
            min=1,
            max=1000,
            tooltip="Sampling steps of the diffusion model.",
        ),
        io.Float.Input(
            "guidance",
            default=30.0,
            min=0.0,
            max=100.0,
            step=0.5,
            advanced=True,
            tooltip="Flux's own guidance; Flux Fill wants 30. Other models ignore it.",
        ),
        io.Float.Input(
            "cfg",
            default=7.0,
            min=1.0,
            max=30.0,
            step=0.1,
            advanced=True,
            tooltip="Strength of the prompts for SD and SDXL. Flux always runs at 1.",
        ),
        io.Float.Input(
            "megapixels",
            default=0.0,
            min=0.0,
            max=16.0,
            step=0.05,
            advanced=True,
            tooltip="Size of the crops that the diffusion model sees, in units of 1024x1024 "
            "pixels; 0 is what the model was trained for.",
        ),
    ]


def _check_defects(defects: Any, image: Tensor) -> None:
    if not isinstance(defects, Defects):
        raise ValueError(
            f"defects is a {type(defects).__name__}: connect the output defects of DefectDetect."
        )
    if len(defects.images) != len(image) or defects.size != size_of(image):
        raise ValueError(
            f"defects are those of {len(defects.images)} images of {defects.size} but image holds "
            f"{len(image)} of {size_of(image)}: connect the image that DefectDetect has seen."
        )


def _check_models(
    removal_model: Any, model: Any, vae: Any, clip: Any, upscale_model: Any, face_model: Any
) -> None:
    """Refuse what no repair could use, before the first one."""
    diffusion = {"model": model, "vae": vae, "clip": clip}
    missing = [name for name, value in diffusion.items() if value is None]
    if 0 < len(missing) < len(diffusion):
        raise ValueError(
            f"{' and '.join(missing)} of the diffusion model is not connected: connect model, vae "
            "and clip, or none of them."
        )
    if removal_model is not None and not isinstance(removal_model, MaskedImageModelDescriptor):
        raise ValueError(
            f"removal_model is a {type(removal_model).__name__}, which LamaRemove cannot run: "
            "connect Load Removal Model."
        )
    if upscale_model is not None:
        check_upscaler(upscale_model)
    if face_model is not None:
        face_architecture(face_model)


def _family(model: Any, is_flux: bool) -> str:
    """What UpscaleToModelRes calls a model."""
    if model is None or is_flux:
        return "Flux"
    return "SDXL" if isinstance(model.model, comfy.model_base.SDXL) else "SD 1.5"


NODES: list[type[io.ComfyNode]] = [RefineDefects, *ROUND_NODES, RefineJoin]
