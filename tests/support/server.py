"""Starts a real ComfyUI server for tests and talks to it over HTTP and websocket."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import requests
import websocket
from PIL import Image

from .locate import PACK, TINY_WIDTHS
from .results import Prompt, PromptRejected, RunResult, outcome

PACK_NAME = "cleanplate"
"""The pack's folder below custom_nodes, as the registry names it."""
PACKS = {"tiny_widths": TINY_WIDTHS, PACK_NAME: PACK}
"""What the tests install: this pack, and what lets older versions read the stand-ins."""
_START_TIMEOUT = 180
_TEXT_EVENT = 3
_PR_SET_PDEATHSIG = 1


class ServerError(Exception):
    """The server did not start, or loaded a pack only in part."""


class ComfyServer:
    """A ComfyUI process with folders of its own, used as a context manager.

    `packs` maps names below custom_nodes to folders; they are linked, not copied. `models` is
    linked as the models folder. Nothing is written to the ComfyUI tree.
    """

    def __init__(
        self,
        comfyui: Path,
        base: Path,
        models: Path | None = None,
        packs: Mapping[str, Path] | None = None,
        arguments: Iterable[str] = (),
    ) -> None:
        self.comfyui = comfyui
        self.base = base.resolve()
        self.models = models
        self.packs = dict(packs or {})
        self.arguments = tuple(arguments)
        self.log_path = self.base / "server.log"
        self.client_id = uuid.uuid4().hex
        self._http = requests.Session()
        self._process: subprocess.Popen[bytes] | None = None
        self._cleanup = contextlib.ExitStack()
        self._port = 0

    @property
    def url(self) -> str:
        """Where the server listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServerError("the server is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        for folder in ("custom_nodes", "input", "output", "user"):
            (self.base / folder).mkdir(parents=True, exist_ok=True)
        if self.models is not None:
            (self.base / "models").symlink_to(self.models, target_is_directory=True)
        for name, pack in self.packs.items():
            link = self.base / "custom_nodes" / name
            link.symlink_to(pack.resolve(), target_is_directory=True)
        temp = Path(tempfile.mkdtemp(prefix="temp-", dir=self.base))
        self._cleanup.callback(shutil.rmtree, temp, ignore_errors=True)
        self._port = self._cleanup.enter_context(_reserved_port())
        log: IO[bytes] = self._cleanup.enter_context(self.log_path.open("wb"))
        command = [sys.executable, "-u", "main.py", "--cpu"]
        command += ["--listen", "127.0.0.1", "--port", str(self._port)]
        command += ["--base-directory", str(self.base), "--temp-directory", str(temp)]
        command += ["--database-url", "sqlite:///:memory:"]
        command += ["--disable-auto-launch", "--disable-api-nodes", *self.arguments]
        self._process = subprocess.Popen(
            command,
            cwd=self.comfyui,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "NO_COLOR": "1"},
            start_new_session=True,
            preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
        )
        self._wait_until_ready(str(temp))
        self._check_packs()

    def _wait_until_ready(self, token: str) -> None:
        # Another server may have been quicker to take the port: ours knows our folder.
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise ServerError(f"ComfyUI stopped while starting:\n{self.log_tail()}")
            with contextlib.suppress(requests.RequestException):
                if token in self.get("system_stats")["system"]["argv"]:
                    return
            time.sleep(0.2)
        raise ServerError(f"ComfyUI did not answer in {_START_TIMEOUT} s:\n{self.log_tail()}")

    def _check_packs(self) -> None:
        folder = str(self.base / "custom_nodes")
        for line in self.log().splitlines():
            if "IMPORT FAILED" in line and folder in line:
                raise ServerError(f"a custom node failed to import:\n{self.log()}")

    def stop(self) -> None:
        """End the process and remove its temporary files; the log and the outputs stay."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._http.close()
        self._cleanup.close()

    def log(self) -> str:
        """Everything that the server has written so far."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, lines: int = 60) -> str:
        """The last lines that the server has written."""
        return "\n".join(self.log().splitlines()[-lines:])

    def get(self, path: str, **query: str) -> Any:
        """GET a JSON document."""
        response = self._http.get(f"{self.url}/{path}", params=query, timeout=60)
        response.raise_for_status()
        return response.json()

    def get_bytes(self, path: str) -> bytes:
        """GET a file."""
        response = self._http.get(f"{self.url}/{path}", timeout=60)
        response.raise_for_status()
        return response.content

    def post(self, path: str, body: Any = None) -> requests.Response:
        """POST a JSON document; the caller looks at the response."""
        return self._http.post(f"{self.url}/{path}", json=body, timeout=60)

    def object_info(self, node: str | None = None) -> dict[str, Any]:
        """The definitions of all nodes, or of one, as the frontend gets them."""
        return self.get(f"object_info/{node}" if node else "object_info")

    def set_setting(self, name: str, value: Any) -> None:
        """Change a setting of the user interface, for example Comfy.VueNodes.Enabled."""
        self.post(f"settings/{name}", value).raise_for_status()

    def upload(self, image: Path | Image.Image, name: str | None = None) -> str:
        """Put an image into the input folder; return the name for LoadImage."""
        if isinstance(image, Path):
            data, name = image.read_bytes(), name or image.name
        else:
            buffer = BytesIO()
            image.save(buffer, "PNG")
            data, name = buffer.getvalue(), name or f"{uuid.uuid4().hex}.png"
        response = self._http.post(
            f"{self.url}/upload/image",
            files={"image": (name, data, "application/octet-stream")},
            data={"overwrite": "true"},
            timeout=60,
        )
        response.raise_for_status()
        return response.json()["name"]

    def queue(self, prompt: Prompt) -> str:
        """Queue a prompt and return its id; raise PromptRejected if it is not valid."""
        response = self.post("prompt", {"prompt": prompt, "client_id": self.client_id})
        answer = response.json()
        if response.status_code != 200:
            raise PromptRejected(answer["error"], answer["node_errors"])
        return answer["prompt_id"]

    def run(
        self,
        prompt: Prompt,
        timeout: float = 120,
        on_event: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> RunResult:
        """Queue a prompt and wait for its end.

        `on_event(type, data)` is called for every message, for example to interrupt at the first
        "progress". TimeoutError interrupts the prompt first.
        """
        messages: list[tuple[str, Mapping[str, Any]]] = []
        texts: list[tuple[str, str]] = []
        deadline = time.monotonic() + timeout
        address = f"ws://127.0.0.1:{self._port}/ws?clientId={self.client_id}"
        with contextlib.closing(websocket.create_connection(address, timeout=timeout)) as events:
            events.recv()  # the status; from now on the server knows this client
            prompt_id = self.queue(prompt)
            while True:
                events.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    message = events.recv()
                except websocket.WebSocketTimeoutException:
                    self.interrupt()
                    raise TimeoutError(f"no result in {timeout} s, got {messages[-3:]}") from None
                if isinstance(message, bytes):
                    if text := _progress_text(message):
                        texts.append(text)
                    continue
                event = json.loads(message)
                kind, data = event["type"], event["data"]
                if data.get("prompt_id") != prompt_id:
                    continue
                messages.append((kind, data))
                if on_event:
                    on_event(kind, data)
                if kind == "executing" and data["node"] is None:
                    break
        outputs = self.get(f"history/{prompt_id}")[prompt_id]["outputs"]
        return outcome(prompt_id, messages, outputs, texts=tuple(texts))

    def interrupt(self) -> None:
        """Stop the running prompt, as the cancel button does."""
        self.post("interrupt", {}).raise_for_status()

    def free(self) -> None:
        """Unload all models and empty the cache (when the server is idle, within a moment)."""
        self.post("free", {"unload_models": True, "free_memory": True}).raise_for_status()

    def view_bytes(self, reference: Mapping[str, str]) -> bytes:
        """The file behind an output reference: {"filename", "subfolder", "type"}."""
        response = self._http.get(f"{self.url}/view", params=dict(reference), timeout=60)
        response.raise_for_status()
        return response.content

    def image(self, reference: Mapping[str, str]) -> Image.Image:
        """The image behind an output reference."""
        image = Image.open(BytesIO(self.view_bytes(reference)))
        image.load()
        return image


def _progress_text(message: bytes) -> tuple[str, str] | None:
    kind, length = struct.unpack(">II", message[:8])
    if kind != _TEXT_EVENT:
        return None
    return message[8 : 8 + length].decode(), message[8 + length :].decode()


@contextlib.contextmanager
def _reserved_port() -> Iterator[int]:
    """A free port that no other test run takes while ComfyUI is still starting.

    The UDP port of the same number, which nobody needs, is the lock.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            lock = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                lock.bind(("127.0.0.1", port))
                yield port
                return
    raise ServerError("no free port")


def _die_with_parent() -> Callable[[], None]:
    # Looked up here: between fork and exec as little as possible may happen.
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask
