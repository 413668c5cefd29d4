"""Fixtures for all tests. Nothing here imports ComfyUI; the unit tests run without it."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

# Before torch is imported: threads that spin while they wait take 4 to 9 times as long on cores
# that something else uses too, such as the server under test.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import pytest
from standins import write_models
from support.locate import PACK, find_comfyui
from support.server import PACKS, ComfyServer

_TIERS = ("unit", "comfy", "e2e", "browser")


def _load_library() -> None:
    """Make `import cleanplate` work without the repository on sys.path.

    There, our `nodes` folder would hide ComfyUI's module of that name.
    """
    folder = PACK / "cleanplate"
    if "cleanplate" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        "cleanplate", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cleanplate"] = module
    spec.loader.exec_module(module)


_load_library()


@pytest.fixture(scope="session")
def comfyui_path() -> Path:
    """The ComfyUI folder; skips the test if there is none."""
    path, reason = find_comfyui()
    if path is None:
        if os.environ.get("CLEANPLATE_REQUIRE_COMFYUI") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ComfyUI models folder full of stand-ins, see `standins.library`."""
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def main_server(
    comfyui_path: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A running ComfyUI with this pack and the stand-ins, shared by all tests."""
    base = tmp_path_factory.mktemp("server")
    with ComfyServer(comfyui_path, base, models_dir, PACKS) as running:
        yield running


@pytest.fixture(scope="session")
def server(main_server: ComfyServer) -> ComfyServer:
    """The server to talk to; the browser tests have it with several frontends."""
    return main_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the folder it lies in, and run the quick folders first."""
    here = Path(__file__).parent

    def tier(item: pytest.Item) -> str:
        return item.path.relative_to(here).parts[0]

    for item in items:
        item.add_marker(tier(item))
    items.sort(key=lambda item: _TIERS.index(tier(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach what the server has logged to the report of a failing test."""
    report = yield
    fixtures = getattr(item, "funcargs", {})
    servers = [value for value in fixtures.values() if isinstance(value, ComfyServer)]
    if report.failed:
        for running in servers:
            report.sections.append((f"ComfyUI log ({running.log_path})", running.log_tail()))
    return report
