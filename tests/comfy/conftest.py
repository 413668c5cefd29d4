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
    packs = [TINY_WIDTHS]
    if (PACK / "__init__.py").is_file():
        packs.append(PACK)
    base = tmp_path_factory.mktemp("comfy")
    process = ComfyProcess.start(comfyui_path, base, models_dir, packs)
    yield process
    process.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.comfy)
