"""ComfyUI inside the test process: nodes as classes, graphs through its real executor.

Starting takes as long as starting a server (imports). What it saves is HTTP, and what it adds is
the values themselves: tensors, conditionings, models. One process can hold one ComfyUI.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from .results import Prompt, PromptRejected, RunResult, outcome

_SOURCE = "CleanPlateTestSource"
_COLLECTOR = "CleanPlateTestCollector"
_MOST_OUTPUTS = 16


class ComfyProcess:
    """The ComfyUI of this process; make it with `start`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, base: Path) -> None:
        self.base = base
        self._loop = loop
        self._nodes = importlib.import_module("nodes")
        self._execution = importlib.import_module("execution")
        self._server = self._make_server()
        self._messages: list[tuple[str, Mapping[str, Any]]] = []
        self._texts: list[tuple[str, str]] = []
        self._executor: Any = None

    @classmethod
    def start(
        cls, comfyui: Path, base: Path, models: Path | None = None, packs: Iterable[Path] = ()
    ) -> ComfyProcess:
        """Import ComfyUI with folders of its own below `base`, then load `packs`."""
        if "folder_paths" in sys.modules:
            raise RuntimeError("this process already holds a ComfyUI")
        base = base.resolve()
        for folder in ("custom_nodes", "input", "output", "temp", "user"):
            (base / folder).mkdir(parents=True, exist_ok=True)
        if models is not None:
            (base / "models").symlink_to(models, target_is_directory=True)
        # pytest names the folder tests/comfy `comfy`, and ComfyUI's, having no __init__.py, does
        # not replace it.
        sys.modules.pop("comfy", None)
        arguments = sys.argv
        sys.path.insert(0, str(comfyui))
        try:
            sys.argv = ["main.py", "--cpu", "--base-directory", str(base)]
            sys.argv += ["--temp-directory", str(base), "--database-url", "sqlite:///:memory:"]
            sys.argv += ["--disable-api-nodes"]
            importlib.import_module("comfy.options").enable_args_parsing()
            importlib.import_module("comfy.cli_args")
        finally:
            sys.argv = arguments
        # Before `nodes`, which puts comfy/ first on sys.path, where another `utils` lies.
        for name in ("utils.install_util", "utils.extra_config", "execution", "server"):
            importlib.import_module(name)
        loop = asyncio.new_event_loop()
        process = cls(loop, base)
        loop.run_until_complete(process._load(packs))
        return process

    async def _load(self, packs: Iterable[Path]) -> None:
        await self._nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)
        for pack in packs:
            if not await self._nodes.load_custom_node(str(pack)):
                raise RuntimeError(f"ComfyUI could not import {pack}, see its log above")
        self._nodes.NODE_CLASS_MAPPINGS[_SOURCE] = _Source
        self._nodes.NODE_CLASS_MAPPINGS[_COLLECTOR] = _Collector

    def _make_server(self) -> Any:
        # The real server object, never listening: nodes find it as PromptServer.instance.
        server = importlib.import_module("server").PromptServer(self._loop)
        server.send_sync = self._receive
        server.client_id = "test"
        return server

    def _receive(self, event: str | int, data: Any, sid: str | None = None) -> None:
        if isinstance(event, str):
            self._messages.append((event, data))
        elif event == 3:  # progress text: length of the node id, node id, text
            length = int.from_bytes(data[:4], "big")
            text = bytes(data[4 + length :]).decode()
            self._texts.append((bytes(data[4 : 4 + length]).decode(), text))

    def close(self) -> None:
        """Drop cached results and close the event loop; the imported modules stay."""
        self._executor = None
        importlib.import_module("comfy.model_management").unload_all_models()
        self._loop.close()

    def node(self, node_id: str) -> Any:
        """The class behind a node id."""
        return self._nodes.NODE_CLASS_MAPPINGS[node_id]

    def reset(self) -> None:
        """Forget all cached results."""
        self._executor = None

    def source(self, value: Any) -> dict[str, Any]:
        """A node for a graph whose first output is `value`: a tensor, a model, anything."""
        key = uuid.uuid4().hex
        _Source.values[key] = value
        return {"class_type": _SOURCE, "inputs": {"key": key}}

    def execute_graph(self, prompt: Prompt, want: Iterable[str] = ()) -> RunResult:
        """Validate and run a graph in API format; raise PromptRejected if it is not valid.

        `results` of the outcome holds the values of every node named in `want` (it need not be an
        output node). Results are cached from call to call, as on a server.
        """
        prompt = {node_id: dict(node) for node_id, node in prompt.items()}
        collected = {node_id: self._collect(prompt, node_id) for node_id in want}
        prompt_id = str(uuid.uuid4())
        valid, error, good_outputs, node_errors = self._loop.run_until_complete(
            self._execution.validate_prompt(prompt_id, prompt, None)
        )
        if not valid:
            raise PromptRejected(error, node_errors)
        if self._executor is None:
            self._executor = self._execution.PromptExecutor(
                self._server,
                cache_type=self._execution.CacheType.CLASSIC,
                cache_args={"lru": 0, "ram": 0.0, "ram_inactive": 0.0},
            )
        self._messages, self._texts = [], []
        self._install_progress(prompt_id)
        self._loop.run_until_complete(
            self._executor.execute_async(prompt, prompt_id, {"client_id": "test"}, good_outputs)
        )
        outputs = self._executor.history_result["outputs"]
        results = {
            node_id: _Collector.found[key]
            for node_id, key in collected.items()
            if key in _Collector.found
        }
        ours = frozenset(collected.values())
        outputs = {k: v for k, v in outputs.items() if k not in ours}
        run = outcome(prompt_id, self._messages, outputs, texts=tuple(self._texts), results=results)
        return replace(run, executed=run.executed - ours, cached=run.cached - ours)

    def _collect(self, prompt: dict[str, Any], node_id: str) -> str:
        node = self.node(prompt[node_id]["class_type"])
        count = len(node.RETURN_TYPES)
        key = f"collect {node_id}"
        prompt[key] = {
            "class_type": _COLLECTOR,
            "inputs": {"key": key, **{f"value{i}": [node_id, i] for i in range(count)}},
        }
        return key

    def _install_progress(self, prompt_id: str) -> None:
        utils = importlib.import_module("comfy.utils")
        management = importlib.import_module("comfy.model_management")
        get_context = importlib.import_module("comfy_execution.utils").get_executing_context

        def report(value: float, total: float, preview: Any, **_: Any) -> None:
            management.throw_exception_if_processing_interrupted()
            node = context.node_id if (context := get_context()) else None
            data = {"value": value, "max": total, "prompt_id": prompt_id, "node": node}
            self._receive("progress", data)

        utils.set_progress_bar_global_hook(report)


class _AnyType(str):
    """A wire type that matches every other."""

    def __ne__(self, other: object) -> bool:
        return False

    __eq__ = str.__eq__
    __hash__ = str.__hash__


_ANY = _AnyType("*")


class _Source:
    """A test node at the start of a graph: returns a value that the test has given."""

    RETURN_TYPES = (_ANY,)
    FUNCTION = "give"
    CATEGORY = "testing"
    values: ClassVar[dict[str, Any]] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"key": ("STRING", {})}}

    def give(self, key: str) -> tuple[Any]:
        return (self.values[key],)


class _Collector:
    """A test node at the end of a graph: keeps what another node returned."""

    RETURN_TYPES = ()
    FUNCTION = "collect"
    INPUT_IS_LIST = True
    OUTPUT_NODE = True
    CATEGORY = "testing"
    found: ClassVar[dict[str, tuple[Any, ...]]] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        values = {f"value{i}": (_ANY, {"forceInput": True}) for i in range(_MOST_OUTPUTS)}
        return {"required": {"key": ("STRING", {})}, "optional": values}

    def collect(self, key: list[str], **values: list[Any]) -> dict[str, Any]:
        # A list of several comes from an output that is a list; one value stands for itself.
        ordered = (values[f"value{i}"] for i in range(len(values)))
        self.found[key[0]] = tuple(v[0] if len(v) == 1 else v for v in ordered)
        return {"ui": {}}
