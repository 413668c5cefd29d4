"""``cleanplate run`` and the demo against a real ComfyUI."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.locate import PACK

from cleanplate import cli, demo
from cleanplate.comfyui.client import Client
from cleanplate.comfyui.errors import ServerError
from cleanplate.comfyui.local_server import StartError, local_server
from cleanplate.comfyui.settings import Setting

INVERT = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}, "_meta": {"title": "Turn"}},
    "3": {
        "class_type": "SaveImage",
        "inputs": {"images": ["2", 0], "filename_prefix": "cli_run"},
    },
}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a picture, é.png"
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write(path: Path, workflow: object) -> Path:
    path.write_text(json.dumps(workflow))
    return path


def run(capsys, *argv: object) -> tuple[int, list[str], str]:
    code = cli.main(["run", *map(str, argv)])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_a_workflow_runs_with_a_picture_from_here(server, picture, tmp_path, capsys):
    code, paths, stderr = run(
        capsys, write(tmp_path / "w.json", INVERT), "--server", server.url,
        "--set", f"LoadImage.image={picture}", "3.filename_prefix=sub/cli_run",
        "-o", tmp_path / "results",
    )  # fmt: skip
    assert code == 0 and len(paths) == 1
    assert stderr.splitlines() == ["LoadImage", "Turn", "SaveImage"]
    assert Path(paths[0]).parent == tmp_path / "results"
    given, made = (np.asarray(Image.open(path)).astype(int) for path in (picture, paths[0]))
    assert abs(made - (255 - given)).max() <= 1  # SaveImage cuts fractions off.


def test_a_run_that_is_all_cached_still_gives_its_files(server, picture, tmp_path, capsys):
    arguments = (
        write(tmp_path / "w.json", INVERT), "--server", server.url,
        "--set", f"1.image={picture}", "-o", tmp_path,
    )  # fmt: skip
    for _ in range(2):
        code, paths, _ = run(capsys, *arguments)
        assert code == 0 and len(paths) == 1


UNKNOWN = INVERT | {"9": {"class_type": "NoSuchNode", "inputs": {}}}
SCALED = INVERT | {
    "2": {
        "class_type": "ImageScale",
        "inputs": {
            "image": ["1", 0], "upscale_method": "by hand", "width": 8, "height": 8,
            "crop": "disabled",
        },
    }
}  # fmt: skip

BAD = {
    "unknown node": (UNKNOWN, "1.image={picture}", "has no node NoSuchNode (node 9): the pack"),
    "picture that is nowhere": (INVERT, "1.image=none.png", "there is no file none.png here"),
    "picture outside": (INVERT, "1.image=/etc/none.png", "there is no file /etc/none.png here"),
    "path out of the input folder": (INVERT, "1.image=../../x.png", "no file ../../x.png here"),
    "its own picture is not on the server": (
        INVERT, "3.filename_prefix=x", "LoadImage (node 1): Custom validation failed for node "
        "(image - Invalid image file: example.png)",
    ),
    "value that is not offered": (
        SCALED, "1.image={picture}", "the server refused the workflow: ImageScale (node 2): Value "
        "not in list (upscale_method: 'by hand' not in",
    ),
    "no output": ({"1": INVERT["1"]}, "1.image={picture}", "Prompt has no outputs"),
    "picture that is none": (INVERT, "1.image={text}", "LoadImage (node 1) failed on the server: "),
    "saving outside": (
        INVERT, "1.image={picture} 3.filename_prefix=../../out", "SaveImage (node 3) failed on the "
        "server: Exception: **** ERROR: Saving image outside the output folder is not allowed.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_the_servers_own_words(case, server, picture, tmp_path, capsys):
    workflow, settings, words = BAD[case]
    text = tmp_path / "text.png"
    text.write_text("no picture")
    places = [part.format(picture=picture, text=text) for part in settings.split(" ")]
    code, paths, stderr = run(
        capsys, write(tmp_path / "w.json", workflow), "--server", server.url,
        "--set", *places, "-o", tmp_path / "results",
    )  # fmt: skip
    last = stderr.splitlines()[-1]
    assert code == 1 and paths == []
    assert last.startswith("cleanplate: ") and words in last
    assert "Traceback" not in stderr and not (tmp_path / "results").exists()


def test_control_c_interrupts_the_run_on_the_server(server, picture, tmp_path):
    client = Client(server.url)
    size = {"upscale_method": "lanczos", "width": 3000, "height": 3000, "crop": "disabled"}
    slow = {
        "class_type": "ImageScale",
        "inputs": {"image": ["1", 0], **size},
        "_meta": {"title": "Slow"},
    }
    workflow = INVERT | {
        "5": slow,
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["5", 0]}},
    }
    workflow = client.prepare(workflow, [Setting("1.image", str(picture))])

    def press(title: str, *_: int) -> None:
        if title == "Slow":
            raise KeyboardInterrupt

    earlier = set(server.get("history"))
    with pytest.raises(KeyboardInterrupt):
        client.run(workflow, progress=press)
    for _ in range(200):
        if found := [v for k, v in server.get("history").items() if k not in earlier]:
            break
        time.sleep(0.1)
    assert [kind for kind, _ in found[0]["status"]["messages"]][-1] == "execution_interrupted"
    # And the server goes on: the next run is served.
    workflow["5"]["inputs"]["width"] = 16
    assert len(client.run(workflow, timeout=60).files) == 1


def test_a_private_server_ends_with_its_block(comfyui_path):
    with local_server(comfyui_path) as running:
        base = running.base
        assert str(base) in Client(running.url).arguments()
        assert (base / "output").is_dir()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(running.url, timeout=5)
    assert not base.exists()
    with pytest.raises(ServerError, match="no ComfyUI answers"):
        Client(running.url).object_info()


def test_a_server_that_cannot_start_shows_its_log(tmp_path):
    (tmp_path / "main.py").write_text("raise SystemExit('no such thing')")
    with pytest.raises(StartError, match="no such thing"), local_server(tmp_path):
        pass


@pytest.mark.parametrize(
    ("given", "workflow", "skipped"),
    [
        (None, "object_removal_no_weights", "LaMa is skipped"),
        ("inpaint", "object_removal_no_diffusion", "no flux1-fill-dev in models/diffusion_models"),
    ],
)
def test_the_demo_through_comfyui(comfyui_path, models_dir, tmp_path, given, workflow, skipped):
    models = tmp_path / "models"
    models.mkdir()
    if given:
        (models / given).symlink_to(models_dir / given)
    said: list[str] = []
    made = demo.run_demo(
        tmp_path / "results", comfyui=comfyui_path, models=models, say=said.append,
        progress=lambda *_: None,
    )  # fmt: skip
    told = "\n".join(said)
    assert f"Running workflows/api/{workflow}.json" in told and skipped in told
    scene = PACK / "workflows" / "demo"
    before, after, mask = (
        np.asarray(Image.open(path)) for path in (scene / "photo.jpg", made[0], scene / "mask.png")
    )
    rows, columns = np.nonzero(mask)
    away = np.ones(mask.shape, bool)
    away[
        max(rows.min() - 40, 0) : rows.max() + 40, max(columns.min() - 40, 0) : columns.max() + 40
    ] = 0
    assert np.array_equal(before[away], after[away]) and away.any()
    assert abs(before[mask == 255].astype(int) - after[mask == 255]).mean() > 3
    height, width = mask.shape
    assert Image.open(made[1]).size == (2 * width + 8, height)
