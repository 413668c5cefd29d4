"""The command line without ComfyUI: results, exit codes, and one sentence for each bad input."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.locate import PACK

from cleanplate import cli, demo
from cleanplate.fill.methods import METHODS

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A grey slope with a red square; `mask.png` beside it marks the square."""
    slope = np.linspace(60, 180, WIDTH).astype(np.uint8)
    pixels = np.repeat(np.tile(slope, (HEIGHT, 1))[..., None], 3, axis=2)
    pixels[16:30, 20:34] = (255, 0, 0)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[15:31, 19:35] = 255
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path / "photo.png"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    code = cli.main([str(word) for word in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("fill", METHODS)
def test_the_object_goes_and_nothing_else_changes(photo, tmp_path, capsys, fill):
    out, both, used = (tmp_path / name for name in ("out.png", "both.png", "used.png"))
    code, stdout, stderr = run(
        capsys, "remove", photo, tmp_path / "mask.png", "-o", out, "--fill", fill,
        "--before-after", both, "--save-mask", used, "--grow", 2,
    )  # fmt: skip
    assert code == 0
    assert stdout.split() == [str(out), str(used), str(both)]
    assert "fill 1/1" in stderr and "Removing 8.3 %" in stderr
    before, after, mask = pixels(photo), pixels(out), pixels(used)
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert (mask[15:31, 19:35] == 255).all() and mask[0, 0] == 0
    assert (after[16:30, 20:34, 0] - after[16:30, 20:34, 1] < 10).all()  # the red is gone
    assert np.array_equal(pixels(both)[:, :WIDTH], before)
    assert np.array_equal(pixels(both)[:, -WIDTH:], after)


def test_an_empty_mask_is_said_and_changes_nothing(photo, tmp_path, capsys):
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "empty.png")
    code, _, stderr = run(
        capsys, "remove", photo, tmp_path / "empty.png", "-o", tmp_path / "o.png",
        "--save-mask", tmp_path / "used.png",
    )  # fmt: skip
    assert code == 0 and "is empty: nothing to remove" in stderr
    assert np.array_equal(pixels(tmp_path / "o.png"), pixels(photo))
    assert not pixels(tmp_path / "used.png").any()


def test_transparency_and_sixteen_bits_are_kept(photo, tmp_path, capsys):
    import cv2

    deep = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 4), np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    code, *_ = run(
        capsys, "remove", tmp_path / "deep.png", tmp_path / "mask.png", "-o", tmp_path / "o.png",
        "--save-mask", tmp_path / "used.png",
    )  # fmt: skip
    assert code == 0
    after = cv2.imread(str(tmp_path / "o.png"), cv2.IMREAD_UNCHANGED)
    kept = pixels(tmp_path / "used.png") == 0
    assert after.dtype == np.uint16 and np.array_equal(after[kept], deep[kept])
    assert np.array_equal(after[..., 3], deep[..., 3]) and not np.array_equal(after, deep)


def test_a_picture_can_be_its_own_mask(photo, tmp_path, capsys):
    # What ComfyUI's mask editor saves: the photo with a hole where the object is.
    holed = Image.open(photo).convert("RGBA")
    holed.putalpha(Image.fromarray(255 - pixels(tmp_path / "mask.png").astype(np.uint8)))
    holed.save(tmp_path / "holed.png")
    code, *_ = run(
        capsys, "remove", tmp_path / "holed.png", tmp_path / "holed.png", "-o", tmp_path / "o.jpg"
    )
    assert code == 0
    assert (np.ptp(pixels(tmp_path / "o.jpg"), axis=2) < 25).all()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# What is asked for, and the sentence it gets. {t} is a folder with photo.png and mask.png (64x48),
# small.png (10x8), white.png (64x48), alpha.png (64x48, half transparent), text.png, canvas.json.
REMOVE = "remove {t}/photo.png {t}/mask.png"
BAD = {
    "missing image": ("remove {t}/no.png {t}/mask.png -o {t}/o.png", "is no file {t}/no.png."),
    "missing mask": ("remove {t}/photo.png {t}/no.png -o {t}/o.png", "is no file {t}/no.png."),
    "image is a folder": ("remove {t} {t}/mask.png -o {t}/o.png", "{t} is a folder, give"),
    "image is a text": ("remove {t}/text.png {t}/mask.png -o {t}/o.png", "is not a picture that"),
    "mask is a text": ("remove {t}/photo.png {t}/text.png -o {t}/o.png", "is not a picture that"),
    "mask of another size": (
        "remove {t}/photo.png {t}/small.png -o {t}/o.png",
        "the mask {t}/small.png is 10x8 but the image {t}/photo.png is 64x48: make both",
    ),
    "mask everywhere": (
        "remove {t}/photo.png {t}/white.png -o {t}/o.png",
        "the mask {t}/white.png covers the whole picture",
    ),
    "unknown suffix": (f"{REMOVE} -o {{t}}/o.gif", "cannot write {t}/o.gif: .gif is no known"),
    "no suffix": (f"{REMOVE} -o {{t}}/o", "a name without a suffix is no known"),
    "missing folder": (f"{REMOVE} -o {{t}}/no/o.png", "into the folder {t}/no: it does not exist."),
    "folder is a file": (f"{REMOVE} -o {{t}}/text.png/o.png", "folder {t}/text.png: it is a file."),
    "output is a folder": (f"{REMOVE} -o {{t}}/folder.png", "it is a folder, give the name"),
    "output is the image": (f"{REMOVE} -o {{t}}/photo.png", "{t}/photo.png is what is read: give"),
    "two outputs of one name": (
        f"{REMOVE} -o {{t}}/o.png --save-mask {{t}}/o.png", "two results have one name",
    ),
    "bad second output": (
        f"{REMOVE} -o {{t}}/o.png --before-after {{t}}/no/b.png", "folder {t}/no: it does not"
    ),
    "transparency into a JPEG": (
        "remove {t}/alpha.png {t}/mask.png -o {t}/o.jpg", "a JPEG cannot keep the picture's",
    ),
    "missing LaMa": (f"{REMOVE} -o {{t}}/o.png --fill {{t}}/l.pt", "there is no file {t}/l.pt."),
    "LaMa is a text": (f"{REMOVE} -o {{t}}/o.png --fill {{t}}/text.png", "text.png is a text file"),
    "missing upscaler": (
        f"{REMOVE} -o {{t}}/o.png --flux-fill a/b --upscaler {{t}}/u.pth", "no file {t}/u.pth."
    ),
    "Flux Fill is not there": (
        f"{REMOVE} -o {{t}}/o.png --flux-fill {{t}}/no", "there is no folder {t}/no"
    ),
    "Flux Fill is one file": (
        f"{REMOVE} -o {{t}}/o.png --flux-fill {{t}}/text.png", "text.png is a single file"
    ),
    "no such device": (f"{REMOVE} -o {{t}}/o.png --device gpu9", "the device 'gpu9' is not usable"),
    "server down": (
        "run {t}/api.json --server {down}", "no ComfyUI answers at {down}: start it or"
    ),
    "no address": ("run {t}/api.json --server ftp://x", "'ftp://x' is no server address"),
    "missing workflow": ("run {t}/no.json", "there is no workflow file {t}/no.json."),
    "workflow of the canvas": ("run {t}/canvas.json", "is a workflow for the canvas: use its twin"),
    "workflow is a text": ("run {t}/text.png", "{t}/text.png is not JSON"),
    "results into a file": ("run {t}/api.json -o {t}/text.png/d", "{t}/text.png: it is a file."),
    "demo without ComfyUI there": ("demo --comfyui {t} -o {t}/d", "{t} is no ComfyUI"),
    "demo without models there": ("demo --models {t}/no -o {t}/d", "there is no folder of models"),
    "demo into a file": ("demo -o {t}/text.png", "{t}/text.png: it is a file."),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_and_leaves_nothing(case, photo, tmp_path, capsys):
    Image.new("L", (10, 8)).save(tmp_path / "small.png")
    Image.new("L", (WIDTH, HEIGHT), 255).save(tmp_path / "white.png")
    Image.new("RGBA", (WIDTH, HEIGHT), (9, 9, 9, 128)).save(tmp_path / "alpha.png")
    (tmp_path / "text.png").write_text("this is text, nothing else")
    (tmp_path / "canvas.json").write_text('{"nodes": [], "links": []}')
    (tmp_path / "api.json").write_text('{"1": {"class_type": "A", "inputs": {}}}')
    (tmp_path / "folder.png").mkdir()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    given, words = BAD[case]
    places = {"t": tmp_path, "down": f"http://127.0.0.1:{closed_port()}"}
    code, stdout, stderr = run(capsys, *given.format(**places).split())
    last = stderr.splitlines()[-1]
    assert code == 1 and stdout == ""
    assert last.startswith("cleanplate: ") and words.format(**places) in last
    assert last.endswith(".") and "Traceback" not in stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    "given",
    [
        "", "paint", "remove", "remove a.png", "remove a.png b.png", "run",
        "remove a b -o c --grow -1", "remove a b -o c --steps 0", "remove a b -o c --denoise 0",
        "remove a b -o c --denoise 1.5", "remove a b -o c --seed x", "run w.json --set x",
        "run w.json --timeout 0", "run w.json --timeout nan",
    ],
)  # fmt: skip
def test_wrong_usage_exits_with_two(given, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(given.split())
    assert caught.value.code == 2
    assert "usage: cleanplate" in capsys.readouterr().err


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("remove", "run", "demo"))


def test_help_names_every_method_that_fills(capsys):
    with pytest.raises(SystemExit):
        cli.main(["remove", "--help"])
    assert "|".join((*METHODS, "FILE")) in capsys.readouterr().out


def test_help_and_wrong_usage_do_not_wait_for_torch():
    code = "import sys, cleanplate.cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PACK, check=True)


def test_control_c_exits_with_130_and_writes_nothing(photo, tmp_path, capsys, monkeypatch):
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Console, "progress", press)
    code, _, stderr = run(capsys, "remove", photo, tmp_path / "mask.png", "-o", tmp_path / "o.png")
    assert code == 130 and stderr.endswith("cleanplate: stopped.\n")
    assert not (tmp_path / "o.png").exists()


def test_flux_options_without_flux_are_pointed_out(photo, tmp_path, capsys):
    code, _, stderr = run(
        capsys, "remove", photo, tmp_path / "mask.png", "-o", tmp_path / "o.png", "--prompt", "sky"
    )
    assert code == 0 and "--prompt ignored: only used with --flux-fill." in stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_line_for_each_tenth_or_a_bar_in_a_terminal():
    pytest.importorskip("tqdm")
    lines, terminal = io.StringIO(), Terminal()
    for err in (lines, terminal):
        console = cli.Console(io.StringIO(), err)
        for done in range(41):
            console.progress("steps", done, 40)
        console.progress("saving", 0, 0)
        console.note("done")
        console.close()
    shown = lines.getvalue().splitlines()
    assert shown[0] == "steps 0/40" and shown[-3:] == ["steps 40/40", "saving", "done"]
    assert 10 <= len(shown) <= 14
    assert "steps" in terminal.getvalue() and "40/40" in terminal.getvalue()


def test_the_demo_without_comfyui(photo, tmp_path, capsys, monkeypatch):
    scene = tmp_path / "pack" / "workflows" / "demo"
    scene.mkdir(parents=True)
    Image.open(photo).save(scene / "photo.jpg", quality=95)
    (tmp_path / "mask.png").rename(scene / "mask.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    said: list[str] = []
    made = demo.run_demo(
        tmp_path / "results",
        say=said.append,
        progress=lambda *_: None,
        pack=tmp_path / "pack",
    )
    assert [path.name for path in made] == ["removed.png", "before_after.png"]
    assert sorted((tmp_path / "results").iterdir()) == sorted(made)
    before, after = pixels(scene / "photo.jpg"), pixels(made[0])
    assert np.array_equal(before[:3], after[:3])
    assert np.ptp(after[16:30, 20:34], axis=2).max() < 25
    assert pixels(made[1]).shape == (HEIGHT, 2 * WIDTH + 8, 3)
    told = "\n".join(said)
    for words in (
        "No ComfyUI found",
        "refining are skipped",
        "patchmatch",
        str(tmp_path / "results"),
    ):
        assert words in told


def test_where_comfyui_is_looked_for(tmp_path, monkeypatch):
    def comfyui(*parts: str) -> Path:
        folder = tmp_path.joinpath(*parts)
        (folder / "custom_nodes" / "pack").mkdir(parents=True)
        (folder / "main.py").touch()
        return folder

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    loose = tmp_path / "pack"
    assert demo.find_comfyui(pack=loose) is None
    own = comfyui("home", "comfy", "ComfyUI")
    assert demo.find_comfyui(pack=loose) == own
    around = comfyui("around")
    assert demo.find_comfyui(pack=around / "custom_nodes" / "pack") == around
    named, variable = comfyui("named"), comfyui("variable")
    monkeypatch.setenv("COMFYUI_PATH", str(variable))
    assert demo.find_comfyui(pack=around / "custom_nodes" / "pack") == variable
    assert demo.find_comfyui(named) == named
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(ValueError, match="is no ComfyUI"):
        demo.find_comfyui()
