"""Load the library and measure, for the benchmarks."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load_library() -> None:
    """Import `cleanplate` without putting the pack's root, and its `nodes`, on the path."""
    spec = importlib.util.spec_from_file_location(
        "cleanplate",
        ROOT / "cleanplate" / "__init__.py",
        submodule_search_locations=[str(ROOT / "cleanplate")],
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cleanplate"] = module
    spec.loader.exec_module(module)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu
