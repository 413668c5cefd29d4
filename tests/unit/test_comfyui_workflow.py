"""Workflow files and what names an input in them; needs no server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleanplate.comfyui.settings import parse_setting
from cleanplate.comfyui.workflow import find_input, load_workflow

WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "there.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Copy"}},
}


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
