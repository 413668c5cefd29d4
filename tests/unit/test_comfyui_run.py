"""A run on a server that behaves, and on servers that fail in each way."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from support.peer import SAVED, SHOWN, WORKFLOW, Peer

from cleanplate.comfyui.client import Client
from cleanplate.comfyui.errors import ServerError
from cleanplate.comfyui.outcome import OutputFile

pytest.importorskip("websocket", reason="websocket-client is not installed")


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
