"""The API client against a small server that speaks ComfyUI's protocol, faults included.

That it agrees with a real ComfyUI is shown in e2e/test_cli_run.py; a real one cannot be made to
fail in each of these ways.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cleanplate.comfyui.client import (
    Client,
    OutputFile,
    ServerError,
    Setting,
    find_input,
    load_workflow,
    parse_setting,
)

web = pytest.importorskip("aiohttp.web", reason="aiohttp comes with ComfyUI")
pytest.importorskip("websocket", reason="websocket-client is not installed")

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


@pytest.fixture
def peer() -> Iterator[Peer]:
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


def failure(peer: Peer, timeout: float | None = 20) -> str:
    with pytest.raises(ServerError) as caught:
        Client(peer.url).run(WORKFLOW, timeout=timeout)
    message = str(caught.value)
    assert "\n" not in message and message.endswith((".", "?"))
    return message


def test_a_run_reports_its_nodes_and_gives_its_files(peer, tmp_path):
    seen = []
    outcome = Client(peer.url).run(WORKFLOW, progress=lambda *step: seen.append(step))
    assert seen == [("LoadImage", 0, 0), ("Blend v1.5", 0, 0), ("Blend v1.5", 1, 2)]
    assert outcome.files == (OutputFile("a.png", "x", "output"),)
    assert outcome.warnings == () and peer.stopped == []
    assert peer.prompts[0]["prompt"] == WORKFLOW
    first, second = (
        Client(peer.url).download(outcome.files, tmp_path / "new" / "dir")[0] for _ in range(2)
    )
    assert json.loads(first.read_text()) == {
        "filename": "a.png", "subfolder": "x", "type": "output"
    }  # fmt: skip
    assert [first.name, second.name] == ["a.png", "a_2.png"]


def test_previews_count_only_where_nothing_was_saved(peer):
    peer.outputs = SHOWN
    assert [f.name for f in Client(peer.url).run(WORKFLOW).files] == ["p.png"]
    peer.outputs = SHOWN | SAVED | {"5": {"text": ["hello"], "number": 3}}
    assert [f.name for f in Client(peer.url).run(WORKFLOW).files] == ["a.png"]


def test_a_name_from_the_server_cannot_lead_out_of_the_folder(peer, tmp_path):
    for name in ("../../evil.png", "..\\..\\evil.png", "/evil.png"):
        paths = Client(peer.url).download([OutputFile(name, "", "output")], tmp_path / "d")
        assert paths[0].parent == tmp_path / "d" and paths[0].name.startswith("evil")
    with pytest.raises(ServerError, match=r"did not give the result gone\.png \(HTTP 404\)"):
        Client(peer.url).download([OutputFile("gone.png", "", "output")], tmp_path)


async def node_fails(peer: Peer, prompt_id: str) -> None:
    await peer.send("executing", prompt_id, node="2")
    await peer.send(
        "execution_error", prompt_id, node_id="2.0.7", node_type="KSampler",
        exception_message="mat1 and mat2\nshapes do not fit\n", exception_type="RuntimeError",
    )  # fmt: skip


async def node_fails_in_words(peer: Peer, prompt_id: str) -> None:
    await peer.send(
        "execution_error", prompt_id, node_id="2", node_type="Mix",
        exception_message="mask is 3x4 but image is 5x6.", exception_type="ValueError",
    )  # fmt: skip


async def interrupted(peer: Peer, prompt_id: str) -> None:
    await peer.send("execution_interrupted", prompt_id, node_id="2", node_type="Mix")


async def fails_behind_the_websockets_back(peer: Peer, prompt_id: str) -> None:
    for each in list(peer.sockets):
        await each.close()
    error = {"prompt_id": prompt_id, "node_id": "2", "exception_message": "boom"}
    await peer.end(prompt_id, ["execution_start", {}], ["execution_error", error])


FAILURES = {
    "in an expanded node": (
        node_fails,
        "Mix (node 2, in its KSampler) failed on the server: RuntimeError: mat1 and mat2 shapes "
        "do not fit.",
    ),
    "in words": (
        node_fails_in_words,
        "Mix (node 2) failed on the server: mask is 3x4 but image is 5x6.",
    ),
    "interrupted": (interrupted, "the run was interrupted on the server at Mix (node 2)."),
    "unseen": (fails_behind_the_websockets_back, "Mix (node 2) failed on the server: boom."),
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_failed_run_gives_the_servers_own_message(peer, how):
    peer.script, sentence = FAILURES[how]
    assert failure(peer) == sentence


async def lose_the_websocket(peer: Peer, prompt_id: str) -> None:
    await peer.send("executing", prompt_id, node="1")
    lost = list(peer.sockets)
    for each in lost:
        await each.close()
    while peer.asked == 0 or peer.sockets in ([], lost):
        await asyncio.sleep(0.05)
    await peer.send("executing", prompt_id, node="3")
    await peer.end(prompt_id)
    await peer.send("executing", prompt_id, node=None)


def test_a_lost_websocket_is_opened_again(peer):
    peer.script = lose_the_websocket
    seen = []
    outcome = Client(peer.url).run(WORKFLOW, progress=lambda *step: seen.append(step[0]))
    assert seen == ["LoadImage", "SaveImage"] and len(outcome.files) == 1


async def die(peer: Peer, prompt_id: str) -> None:
    await peer.send("executing", prompt_id, node="2")
    await asyncio.sleep(0.2)
    await peer.runner.cleanup()


def test_a_server_that_dies_is_named_with_the_place(peer):
    peer.script = die
    begin = time.monotonic()
    assert failure(peer) == (
        f"the ComfyUI at {peer.url} stopped answering (at Mix (node 2)): see its log."
    )
    assert time.monotonic() - begin < 8


async def hang(peer: Peer, prompt_id: str) -> None:
    await peer.send("executing", prompt_id, node="2")
    await asyncio.sleep(60)


def test_the_time_limit_stops_the_run_on_the_server(peer):
    peer.script = hang
    assert failure(peer, timeout=0.6) == (
        "the workflow was not done after 0.6 seconds (at Mix (node 2)) and was stopped."
    )
    prompt_id = peer.prompts[0]["prompt_id"]
    assert peer.stopped == [
        ("/queue", {"delete": [prompt_id]}),
        ("/interrupt", {"prompt_id": prompt_id}),
    ]


def test_control_c_stops_the_run_on_the_server(peer):
    peer.script = hang

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Client(peer.url).run(WORKFLOW, progress=press)
    assert [path for path, _ in peer.stopped] == ["/queue", "/interrupt"]


def test_a_refused_workflow_gives_every_nodes_reason(peer):
    peer.refusal = {
        "error": {"type": "x", "message": "Prompt outputs failed validation", "details": ""},
        "node_errors": {
            "2": {"class_type": "Mix", "errors": [
                {"message": "Value not in list", "details": "mode: 'three' not in ['1', 'two']"},
                {"message": "Required input is missing", "details": "text"},
            ]},
            "1": {"class_type": "LoadImage", "errors": [{"message": "Bad", "details": ""}]},
        },
    }  # fmt: skip
    assert failure(peer) == (
        "the server refused the workflow: Mix (node 2): Value not in list (mode: 'three' not in "
        "['1', 'two']); Required input is missing (text); LoadImage (node 1): Bad."
    )
    peer.refusal = {"error": {"message": "Prompt has no outputs"}, "node_errors": {}}
    assert failure(peer) == "the server refused the workflow: Prompt has no outputs."
    peer.refusal = {"error": "plain", "node_errors": []}
    assert failure(peer) == "the server refused the workflow: plain."


def test_parts_that_the_server_leaves_out_are_warned_of(peer):
    peer.warnings = {"4": {"class_type": "SaveImage", "errors": [{"message": "Missing"}]}}
    assert Client(peer.url).run(WORKFLOW).warnings == ("SaveImage (node 4): Missing",)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_nobody_there():
    url = f"http://127.0.0.1:{closed_port()}"
    for call in (Client(url).object_info, lambda: Client(url).run(WORKFLOW)):
        with pytest.raises(ServerError) as caught:
            call()
        assert str(caught.value) == f"no ComfyUI answers at {url}: start it or pass --server."
    Client(url).stop("never fails")


def test_somebody_else_there(peer):
    peer.info = ["not", "ComfyUI"]
    with pytest.raises(ServerError, match="answers, but it is no ComfyUI"):
        Client(peer.url).object_info()
    with pytest.raises(ServerError, match="/other/object_info answers HTTP 404 Not Found"):
        Client(f"{peer.url}/other").object_info()


def test_an_unknown_node_is_named_before_anything_is_sent(peer, tmp_path):
    picture = tmp_path / "me.png"
    picture.write_bytes(b"x")
    workflow = WORKFLOW | {"9": {"class_type": "LamaRemove", "inputs": {}}}
    with pytest.raises(ServerError) as caught:
        Client(peer.url).prepare(workflow, [Setting("1.image", str(picture))])
    assert str(caught.value) == (
        f"the ComfyUI at {peer.url} has no node LamaRemove (node 9): the pack that brings it is "
        "not installed there, install it and restart ComfyUI."
    )
    assert peer.uploaded == [] and peer.prompts == []


def test_settings_reach_their_inputs(peer, tmp_path):
    picture = tmp_path / "mé \"x\".png"  # fmt: skip
    picture.write_bytes(b"picture")
    settings = [
        f"LoadImage.image={picture}", "Blend v1.5.amount=0.25", "2.text=12", "Mix.mode=1",
        "Mix.parts.a=[\"1\", 0]", "3.filename_prefix=a=b.c", "Copy.filename_prefix=\"quoted\"",
    ]  # fmt: skip
    before = json.dumps(WORKFLOW)
    made = Client(peer.url).prepare(WORKFLOW, [parse_setting(text) for text in settings])
    assert json.dumps(WORKFLOW) == before
    assert peer.uploaded == [("mé 'x'.png", b"picture")]
    assert made["1"]["inputs"] == {"image": "sub/renamed mé 'x'.png"}
    assert made["2"]["inputs"] == {
        "image": ["1", 0], "amount": 0.25, "text": "12", "mode": "1", "parts.a": ["1", 0]
    }  # fmt: skip
    assert made["3"]["inputs"]["filename_prefix"] == "a=b.c"
    assert made["4"]["inputs"]["filename_prefix"] == "quoted"


@pytest.mark.parametrize("value", ["there.png", "sub/unlisted.png", "any.png [output]"])
def test_names_of_pictures_on_the_server_are_left_alone(peer, value):
    made = Client(peer.url).prepare(WORKFLOW, [Setting("1.image", value)])
    assert made["1"]["inputs"]["image"] == value and peer.uploaded == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("5.image=x", "no node '5': it has 1 \\(LoadImage\\), 2 \\(Blend v1.5\\)"),
        ("SaveImage.images=x", "2 nodes 'SaveImage': use the id of one of them, 3, 4"),
        ("Mix.amuont=1", "Mix \\(node 2\\) has no input 'amuont': it has image, amount, text"),
        ("1.image=gone.png", "there is no file gone.png here, and none of that name in the server"),
        ("1.image=/etc/gone.png", "there is no file /etc/gone.png here"),
        ("1.image=../../secret.png", "there is no file ../../secret.png here"),
        ("1.image=/tmp", "/tmp is a folder"),
    ],
)
def test_settings_that_cannot_be(peer, setting, words):
    with pytest.raises(ValueError, match=words):
        Client(peer.url).prepare(WORKFLOW, [parse_setting(setting)])
    assert peer.uploaded == []


@pytest.mark.parametrize("text", ["x", "node=1", "node.=1", ".input=1", "=", "a=b.c"])
def test_what_is_no_setting(text):
    with pytest.raises(ValueError, match="is not of the form"):
        parse_setting(text)


def test_ids_come_before_titles_before_classes():
    workflow = {
        "Mix": {"class_type": "A", "inputs": {}},
        "2": {"class_type": "Mix", "inputs": {}, "_meta": {"title": "A"}},
    }
    assert find_input(workflow, "Mix.x") == ("Mix", "x")
    assert find_input(workflow, "A.x") == ("2", "x")


@pytest.mark.parametrize(
    "url", ["", "ftp://host", "http://", "http://host:port", "http://[", "a b:x"]
)
def test_what_is_no_address(url):
    with pytest.raises(ValueError, match="is no server address"):
        Client(url)


def test_addresses_are_completed():
    assert Client("host:1").server == "http://host:1"
    assert Client("https://host/path/").server == "https://host/path"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "is no ComfyUI workflow in API format"),
        ("{}", "is no ComfyUI workflow in API format"),
        ('{"1": {"inputs": {}}}', "is no ComfyUI workflow in API format"),
        ('{"nodes": [], "links": []}', r"use its twin in workflows/api/, or .* Export \(API\)"),
    ],
)
def test_files_that_are_no_api_workflow(tmp_path, content, words):
    path = tmp_path / "w.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=words):
        load_workflow(path)


def test_workflow_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no workflow file"):
        load_workflow(tmp_path / "none.json")
    for content in (WORKFLOW, {"prompt": WORKFLOW}):
        path = tmp_path / "w.json"
        path.write_text(json.dumps(content))
        assert load_workflow(Path(path)) == WORKFLOW
