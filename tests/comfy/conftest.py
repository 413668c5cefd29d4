"""Fixtures for tests with ComfyUI inside this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.inprocess import ComfyProcess
from support.locate import PACK, TINY_WIDTHS


@pytest.fixture(scope="session")
def comfy(
    comfyui_path: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyProcess]:
    """ComfyUI imported here, with this pack and the stand-ins."""
    base = tmp_path_factory.mktemp("comfy")
    process = ComfyProcess.start(comfyui_path, base, models_dir, [TINY_WIDTHS, PACK])
    yield process
    process.close()
