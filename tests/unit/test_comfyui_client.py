"""The API client's single requests, and what it makes of settings, files and addresses."""

from __future__ import annotations

import json
import socket

import pytest
from support.peer import WORKFLOW

from cleanplate.comfyui.client import Client
from cleanplate.comfyui.connection import Connection
from cleanplate.comfyui.errors import ServerError
from cleanplate.comfyui.outcome import OutputFile
from cleanplate.comfyui.run import stop_run
from cleanplate.comfyui.settings import Setting, parse_setting

pytest.importorskip("websocket", reason="websocket-client is not installed")


def test_a_name_from_the_server_cannot_lead_out_of_the_folder(peer, tmp_path):
    for name in ("../../evil.png", "..\\..\\evil.png", "/evil.png"):
        paths = Client(peer.url).download([OutputFile(name, "", "output")], tmp_path / "d")
        assert paths[0].parent == tmp_path / "d" and paths[0].name.startswith("evil")
    with pytest.raises(ServerError, match=r"did not give the result gone\.png \(HTTP 404\)"):
        Client(peer.url).download([OutputFile("gone.png", "", "output")], tmp_path)


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
    stop_run(Connection(url), "never fails")


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


@pytest.mark.parametrize(
    "url", ["", "ftp://host", "http://", "http://host:port", "http://[", "a b:x"]
)
def test_what_is_no_address(url):
    with pytest.raises(ValueError, match="is no server address"):
        Client(url)


def test_addresses_are_completed():
    assert Client("host:1").server == "http://host:1"
    assert Client("https://host/path/").server == "https://host/path"
