"""Starts a private ComfyUI on this computer for the length of a ``with`` block."""

from __future__ import annotations

import contextlib
import ctypes
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from .client import Client
from .errors import ServerError

_START_SECONDS = 180.0
_STOP_SECONDS = 10.0
_TRIES = 3
_LOG_LINES = 15
_PR_SET_PDEATHSIG = 1
_OPTIONAL = "#non essential dependencies"
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class LocalServer:
    """A running ComfyUI.

    Attributes:
        url: its address.
        base: the temporary folder that holds its input, output, models and custom_nodes.
        log: the file that it writes its log to.
    """

    url: str
    base: Path
    log: Path

    def log_tail(self, lines: int = _LOG_LINES) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


class StartError(Exception):
    """ComfyUI did not start; the end of its log is in the message."""


def missing_requirements(comfyui: Path, pack: Path) -> list[str]:
    """Names of the packages that ComfyUI and the pack need and this Python does not have.

    ComfyUI's "non essential" ones are passed over. Nothing is imported.
    """
    missing = []
    for file in (comfyui / "requirements.txt", pack / "requirements.txt"):
        needed = file.read_text("utf-8").partition(_OPTIONAL)[0] if file.is_file() else ""
        for line in needed.splitlines():
            name = _REQUIREMENT.match(line.strip())
            if name is None:
                continue
            try:
                distribution(name.group())
            except PackageNotFoundError:
                missing.append(name.group())
    return missing


@contextlib.contextmanager
def local_server(
    comfyui: Path,
    *,
    pack: Path | None = None,
    name: str = "cleanplate",
    models: Sequence[Path] = (),
    cpu: bool = True,
    start_seconds: float = _START_SECONDS,
    waiting: Callable[[int, int], None] | None = None,
) -> Iterator[LocalServer]:
    """Run ComfyUI on a free port of the loopback interface, in a temporary base folder.

    Neither its own custom_nodes nor its user folder, input and output are touched. It ends with
    the block, and on Linux also when this process is killed.

    Args:
        comfyui: the folder with its main.py; run by this Python.
        pack: a node pack to mount.
        name: the folder name of the pack there.
        models: folders laid out like ComfyUI's models/, searched besides an empty one.
        cpu: pass ``--cpu``.
        start_seconds: how long it may take to answer.
        waiting: called with (seconds waited, seconds allowed) about once a second.

    Raises:
        StartError: it died or did not answer in time, or the pack cannot be linked.
    """
    with tempfile.TemporaryDirectory(
        prefix="cleanplate-comfyui-", ignore_cleanup_errors=True
    ) as folder:
        base = Path(folder).resolve()
        for part in ("custom_nodes", "models", "input", "output", "user"):
            (base / part).mkdir()
        if pack is not None:
            try:
                (base / "custom_nodes" / name).symlink_to(pack, target_is_directory=True)
            except OSError as error:
                raise StartError(f"no symbolic link to {pack} can be made ({error}).") from error
        arguments = ["--cpu"] if cpu else []
        if models:
            config = base / "models.yaml"
            config.write_text(json.dumps(_model_paths(models)), "utf-8")  # JSON is YAML, too.
            arguments += ["--extra-model-paths-config", str(config)]
        log = base / "comfyui.log"
        for attempt in range(1, _TRIES + 1):
            port = _free_port()
            process = _start(comfyui, base, port, arguments, log)
            try:
                server = LocalServer(f"http://127.0.0.1:{port}", base, log)
                if _ready(process, server, start_seconds, waiting):
                    yield server
                    return
                if attempt == _TRIES or "Errno 98" not in server.log_tail(100):
                    raise StartError(f"it ended while it started:\n{server.log_tail()}")
            finally:
                _stop(process)


def _start(
    comfyui: Path, base: Path, port: int, arguments: list[str], log: Path
) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-u", "main.py", *arguments,
        "--listen", "127.0.0.1", "--port", str(port),
        "--base-directory", str(base), "--temp-directory", str(base),
        "--database-url", f"sqlite:///{(base / 'user' / 'comfyui.db').as_posix()}",
        "--disable-auto-launch", "--disable-api-nodes",
    ]  # fmt: skip
    linux = sys.platform == "linux"
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            cwd=comfyui,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(ctypes.CDLL(None)) if linux else None,
        )


def _die_with_parent(library: ctypes.CDLL) -> Callable[[], None]:
    def ask() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask


def _ready(
    process: subprocess.Popen[bytes],
    server: LocalServer,
    seconds: float,
    waiting: Callable[[int, int], None] | None,
) -> bool:
    """Wait for the first answer; False when the process ended.

    Between the choice of the port and its use seconds pass, and another ComfyUI may have taken it:
    only an answer that knows our folder counts.
    """
    client, begin, told = Client(server.url), time.monotonic(), -1
    while (waited := time.monotonic() - begin) < seconds:
        if process.poll() is not None:
            return False
        if waiting is not None and int(waited) > told:
            told = int(waited)
            waiting(told, int(seconds))
        with contextlib.suppress(ServerError):
            if str(server.base) in client.arguments():
                return True
        time.sleep(0.25)
    raise StartError(f"it did not answer within {seconds:g} seconds:\n{server.log_tail()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # SIGTERM ends it at once; the temporary folder it leaves is ours to delete.
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _model_paths(folders: Sequence[Path]) -> dict[str, dict[str, str]]:
    return {
        f"models_{number}": {
            "base_path": str(folder.resolve()),
            **{part.name: part.name for part in sorted(folder.iterdir()) if part.is_dir()},
        }
        for number, folder in enumerate(folders)
    }
