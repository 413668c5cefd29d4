"""The logic of the pack's JavaScript, tested by Node.js itself."""

import shutil
import subprocess

import pytest
from support.locate import PACK

FILES = sorted((PACK / "tests" / "js").glob("*.test.js"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".test.js"))
def test_javascript(path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on PATH: the JavaScript is not tested")
    done = subprocess.run(
        [node, "--test", str(path)], cwd=PACK, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
