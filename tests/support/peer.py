"""A small server that speaks ComfyUI's protocol, faults included, for the API client to talk to.

A real ComfyUI cannot be made to fail in each of these ways; that the client agrees with a real one
is shown in e2e/test_cli_run.py.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

web = pytest.importorskip("aiohttp.web", reason="aiohttp comes with ComfyUI")

INFO = {
    "LoadImage": {
        "input": {"required": {"image": [["there.png"], {"image_upload": True}]}},
    },
    "Mix": {
        "input": {
            "required": {
                "image": ["IMAGE"],
                "amount": ["FLOAT", {"default": 1.0}],
                "text": ["STRING", {}],
                "mode": ["COMBO", {"options": ["1", "two"]}],
            },
            "optional": {"parts": ["COMFY_AUTOGROW_V3", {}]},
        }
    },
    "SaveImage": {"input": {"required": {"images": ["IMAGE"], "filename_prefix": ["STRING"]}}},
}

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "there.png"}},
    "2": {"class_type": "Mix", "inputs": {"image": ["1", 0]}, "_meta": {"title": "Blend v1.5"}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
    "4": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}, "_meta": {"title": "Copy"}},
}

SAVED = {"3": {"images": [{"filename": "a.png", "subfolder": "x", "type": "output"}]}}
SHOWN = {"2": {"images": [{"filename": "p.png", "subfolder": "", "type": "temp"}]}}


class Peer:
    """A server that does what a test tells it; `script` yields what happens after a prompt."""

    def __init__(self) -> None:
        self.script: Callable[[Peer, str], Any] = succeed
        self.refusal: dict[str, Any] | None = None
        self.warnings: dict[str, Any] = {}
        self.info: Any = INFO
        self.outputs: dict[str, Any] = SAVED
        self.history: dict[str, Any] = {}
        self.prompts: list[dict[str, Any]] = []
        self.stopped: list[tuple[str, Any]] = []
        self.uploaded: list[tuple[str, bytes]] = []
        self.sockets: list[Any] = []
        self.asked = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, kind: str, prompt_id: str, **data: Any) -> None:
        message = {"type": kind, "data": {"prompt_id": prompt_id, **data}}
        for each in self.sockets:
            await each.send_str(json.dumps(message))

    async def end(self, prompt_id: str, *messages: Any) -> None:
        self.history[prompt_id] = {"outputs": self.outputs, "status": {"messages": messages}}

    def routes(self) -> list[Any]:
        return [
            web.get("/ws", self.ws),
            web.get("/object_info", self.object_info),
            web.post("/prompt", self.prompt),
            web.post("/upload/image", self.upload),
            web.post("/interrupt", self.stop),
            web.post("/queue", self.stop),
            web.get("/history/{id}", self.get_history),
            web.get("/view", self.view),
        ]

    async def ws(self, request: Any) -> Any:
        made = web.WebSocketResponse()
        await made.prepare(request)
        self.sockets.append(made)
        await made.send_str('{"type": "status", "data": {"status": {}}}')
        await made.send_bytes(b"\0\0\0\1preview")
        async for _ in made:
            pass
        self.sockets.remove(made)
        return made

    async def object_info(self, _request: Any) -> Any:
        return web.json_response(self.info)

    async def prompt(self, request: Any) -> Any:
        body = await request.json()
        self.prompts.append(body)
        if self.refusal is not None:
            return web.json_response(self.refusal, status=400)
        task = asyncio.ensure_future(self.script(self, body["prompt_id"]))
        self._tasks.add(task)
        answer = {"prompt_id": body["prompt_id"], "number": 1, "node_errors": self.warnings}
        return web.json_response(answer)

    async def upload(self, request: Any) -> Any:
        post = await request.post()
        field = post["image"]
        self.uploaded.append((field.filename, field.file.read()))
        name = {"name": f"renamed {field.filename}", "subfolder": "sub", "type": post["type"]}
        return web.json_response(name)

    async def stop(self, request: Any) -> Any:
        self.stopped.append((request.path, await request.json()))
        return web.Response()

    async def get_history(self, request: Any) -> Any:
        self.asked += 1
        key = request.match_info["id"]
        return web.json_response({key: self.history[key]} if key in self.history else {})

    async def view(self, request: Any) -> Any:
        if request.query["filename"] == "gone.png":
            return web.Response(status=404)
        return web.Response(body=json.dumps(dict(request.query)).encode())


async def succeed(peer: Peer, prompt_id: str) -> None:
    await peer.send("execution_start", prompt_id)
    await peer.send("executing", "somebody else's", node="1")
    await peer.send("executing", prompt_id, node="1")
    await peer.send("executing", prompt_id, node="2.0.7", display_node="2")
    await peer.send("progress", prompt_id, node="2.0.7", value=1, max=2)
    await peer.send("execution_success", prompt_id)
    await peer.end(prompt_id)


@contextmanager
def serving() -> Iterator[Peer]:
    """A peer that listens on a free port until the block ends."""
    made, loop, started = Peer(), asyncio.new_event_loop(), threading.Event()

    async def start() -> Any:
        app = web.Application()
        app.add_routes(made.routes())
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        return runner

    def serve() -> None:
        asyncio.set_event_loop(loop)
        made.runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(made.runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(10)
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
