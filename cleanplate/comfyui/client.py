"""Drives a running ComfyUI through its HTTP and websocket API; needs nothing of ComfyUI here.

client = Client("http://127.0.0.1:8188")
workflow = client.prepare(load_workflow("removal.json"), [parse_setting("1.image=me.jpg")])
client.download(client.run(workflow).files, Path("results"))
"""

from __future__ import annotations

import contextlib
import copy
import http.client
import importlib
import ipaddress
import json
import mimetypes
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from ..files import make_folder, write_bytes

Workflow = dict[str, dict[str, Any]]
"""The API format: node id -> ``{"class_type", "inputs", "_meta"}``."""

Progress = Callable[[str, int, int], None]
"""Called with what runs, how much of it is done, and how much there is (0: not known)."""

DEFAULT_SERVER = "http://127.0.0.1:8188"

_HTTP_SECONDS = 60.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.5
_QUIET_SECONDS = 10.0
_HISTORY_SECONDS = 20.0
_LONGEST = 400


class ServerError(Exception):
    """The server refused or failed, or could not be reached: one sentence, often its own."""


class _Unreachable(ServerError):
    """Nobody answers."""


class _Busy(ServerError):
    """It took the connection and did not answer in time."""


class _Refused(ServerError):
    """An HTTP status that says no, with its body."""

    def __init__(self, message: str, status: int, body: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Setting:
    """One ``NODE.INPUT=VALUE`` as given by the user; `left` is what stands before the ``=``."""

    left: str
    value: str

    def __str__(self) -> str:
        return f"{self.left}={self.value}"


@dataclass(frozen=True)
class OutputFile:
    """A file that a run left on the server; `kind` is its folder there: output or temp."""

    name: str
    subfolder: str
    kind: str


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        prompt_id: the server's name of the run.
        files: saved files in the order of the nodes; previews only where nothing was saved.
        warnings: sentences about parts of the workflow that the server left out.
    """

    prompt_id: str
    files: tuple[OutputFile, ...]
    warnings: tuple[str, ...] = ()


def load_workflow(path: str | Path) -> Workflow:
    """Read a workflow in API format.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no JSON, no workflow, or a workflow in the format of the canvas.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no workflow file {path}.")
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    if isinstance(found, dict) and "nodes" in found and "links" in found:
        raise ValueError(
            f"{path} is a workflow for the canvas: use its twin in workflows/api/, or save it with "
            "Export (API) in ComfyUI's menu."
        )
    if isinstance(found, dict) and isinstance(found.get("prompt"), dict):
        found = found["prompt"]
    if (
        not isinstance(found, dict)
        or not found
        or not all(isinstance(n, dict) and "class_type" in n for n in found.values())
    ):
        raise ValueError(f"{path} is no ComfyUI workflow in API format.")
    for node in found.values():
        node.setdefault("inputs", {})
    return found


def parse_setting(text: str) -> Setting:
    """Take ``NODE.INPUT=VALUE`` apart at its first ``=``.

    Raises:
        ValueError: there is no ``=``, or no ``.`` before it.
    """
    left, equals, value = text.partition("=")
    if not equals or not all(left.partition(".")):
        raise ValueError(f"{text!r} is not of the form NODE.INPUT=VALUE.")
    return Setting(left, value)


def find_input(workflow: Workflow, left: str) -> tuple[str, str]:
    """Find what ``NODE.INPUT`` means: (node id, input name).

    NODE is an id, else a title, else a class type; a title or class type must occur once. Both
    sides may hold dots.

    Raises:
        ValueError: no such node, or several.
    """
    places = [i for i, letter in enumerate(left) if letter == "."]
    for at in places:
        name = left[:at]
        nodes = _named(workflow, name)
        if len(nodes) > 1:
            raise ValueError(
                f"the workflow has {len(nodes)} nodes {name!r}: use the id of one of them, "
                f"{', '.join(nodes)}."
            )
        if nodes:
            return nodes[0], left[at + 1 :]
    known = ", ".join(f"{key} ({_title(workflow, key)})" for key in workflow)
    raise ValueError(f"the workflow has no node {left[: places[0]]!r}: it has {_cut(known)}.")


@dataclass
class Client:
    """One ComfyUI server.

    Attributes:
        server: its address; ``http://`` is assumed.

    Raises:
        ValueError: the address is no http or https URL.
    """

    server: str = DEFAULT_SERVER
    _known: dict[str, Any] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        address = self.server if "://" in self.server else f"http://{self.server}"
        try:
            parts = urllib.parse.urlsplit(address)
            sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError(
                f"{self.server!r} is no server address: give one like {DEFAULT_SERVER}."
            )
        self.server = address.rstrip("/")
        local = _is_loopback(str(parts.hostname))
        handlers = [urllib.request.ProxyHandler({})] if local else []
        self._opener = urllib.request.build_opener(*handlers)

    def object_info(self) -> dict[str, Any]:
        """What ``/object_info`` says of each node class; asked for once.

        Raises:
            ServerError: no ComfyUI answers.
        """
        if self._known is None:
            known = self._json("/object_info")
            if not isinstance(known, dict):
                raise ServerError(f"{self.server} answers, but it is no ComfyUI.")
            self._known = known
        return self._known

    def arguments(self) -> list[str]:
        """The server's command line.

        Raises:
            ServerError: no ComfyUI answers.
        """
        found = self._json("/system_stats", timeout=_STOP_SECONDS)
        return [str(word) for word in found.get("system", {}).get("argv", ())]

    def choices(self, class_type: str, name: str) -> list[str]:
        """What an input of a node class offers to choose from, model files for instance.

        Empty for a node class or an input that the server does not have.

        Raises:
            ServerError: no ComfyUI answers.
        """
        spec = self._inputs(class_type).get(name, ())
        return [str(choice) for choice in _choices(list(spec))] if spec else []

    def prepare(self, workflow: Workflow, settings: Iterable[Setting] = ()) -> Workflow:
        """Put the user's values into a copy of a workflow and check its nodes; uploads pictures.

        A value is JSON where it reads as JSON, else text; a text input or a choice takes it as it
        stands. For an input that offers an upload button (LoadImage and its like) a file on this
        computer is sent to the server and its name there used. Everything is checked before the
        first upload.

        Raises:
            ValueError: a setting names no node or input, or a picture that is nowhere.
            ServerError: no ComfyUI answers, or it lacks a node class.
        """
        result = copy.deepcopy(workflow)
        self.check_nodes(result)
        uploads: list[tuple[str, str, Path]] = []
        for setting in settings:
            node, name = find_input(result, setting.left)
            spec = self._spec(result, node, name)
            if _takes_uploads(spec):
                local = _local_file(setting, spec)
                if local is not None:
                    uploads.append((node, name, local))
                    continue
            result[node]["inputs"][name] = _parse_value(setting.value, spec)
        for node, name, local in uploads:
            result[node]["inputs"][name] = self.upload(local)
        return result

    def check_nodes(self, workflow: Workflow) -> None:
        """Refuse a workflow with a node that the server does not have.

        Raises:
            ServerError: naming the nodes; or no ComfyUI answers.
        """
        known = self.object_info().keys()
        missing = [key for key, node in workflow.items() if node["class_type"] not in known]
        if missing:
            replaced = self._replacements()
            missing = [key for key in missing if workflow[key]["class_type"] not in replaced]
        if missing:
            names = ", ".join(f"{workflow[key]['class_type']} (node {key})" for key in missing)
            raise ServerError(
                f"the ComfyUI at {self.server} has no node {names}: the pack that brings it is not "
                "installed there, install it and restart ComfyUI."
            )

    def upload(self, path: Path) -> str:
        """Send a picture into the server's input folder.

        A picture of that name with other content is not overwritten there: the server renames ours.

        Returns:
            the name that LoadImage knows it by.

        Raises:
            OSError: the file cannot be read.
            ServerError: the server did not take it.
        """
        boundary = uuid.uuid4().hex
        name = path.name.replace('"', "'").replace("\r", " ").replace("\n", " ")
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="type"\r\n\r\ninput\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        )
        body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        try:
            answer = self._json(
                "/upload/image", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
            )
        except _Refused as error:
            raise ServerError(
                f"the ComfyUI at {self.server} did not take {path} (HTTP {error.status})."
            ) from error
        subfolder = answer.get("subfolder")
        return f"{subfolder}/{answer['name']}" if subfolder else str(answer["name"])

    def run(
        self,
        workflow: Workflow,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> Outcome:
        """Queue a workflow and wait for its end.

        Whatever ends the wait before the workflow does (Ctrl-C, the time limit) also stops it on
        the server.

        Args:
            workflow: in API format, see `prepare`.
            progress: called for each node and step, with the node's title.
            timeout: seconds for the whole run, waiting in the queue included; None: no limit.

        Raises:
            ServerError: the server refused it, a node failed, it was interrupted, the server died,
                or the time was up.
            ValueError: the websocket client is not installed.
        """
        websocket = _websocket()
        watch = _Watch(workflow, progress or (lambda *_: None))
        client_id, prompt_id = uuid.uuid4().hex, str(uuid.uuid4())
        deadline = None if timeout is None else time.monotonic() + timeout
        socket = self._connect(websocket, client_id)
        finished = False
        try:
            prompt_id, warnings = self._queue(workflow, client_id, prompt_id)
            quiet_since = time.monotonic()
            while not watch.done:
                if deadline is not None and time.monotonic() > deadline:
                    raise ServerError(
                        f"the workflow was not done after {timeout:g} seconds "
                        f"({watch.where()}) and was stopped."
                    )
                try:
                    frame = socket.recv()
                    quiet_since = time.monotonic()
                    if isinstance(frame, str) and frame:  # Previews are bytes; a farewell is empty.
                        watch.take(json.loads(frame), prompt_id)
                    continue
                except websocket.WebSocketTimeoutException:
                    if time.monotonic() - quiet_since < _QUIET_SECONDS:
                        continue
                    quiet_since = time.monotonic()
                except (websocket.WebSocketException, OSError):
                    with contextlib.suppress(websocket.WebSocketException, OSError):
                        socket.close()
                    socket = self._reconnect(websocket, client_id, watch)
                watch.done = watch.done or self._ended(prompt_id, watch)
            outputs = self._history(prompt_id, watch)
            finished = True
        finally:
            with contextlib.suppress(websocket.WebSocketException, OSError):
                socket.close()
            if not finished:
                self.stop(prompt_id)
        return Outcome(prompt_id, _choose(outputs), tuple(warnings))

    def stop(self, prompt_id: str) -> None:
        """Take a run out of the queue, or interrupt it where it runs; never fails."""
        for path, message in (
            ("/queue", {"delete": [prompt_id]}),
            ("/interrupt", {"prompt_id": prompt_id}),
        ):
            with contextlib.suppress(ServerError):
                self._post(path, message, timeout=_STOP_SECONDS)

    def download(self, files: Sequence[OutputFile], folder: str | Path) -> list[Path]:
        """Save files of a run in a folder, which is made where it is missing.

        A file that is already there is kept; the new one gets a number.

        Raises:
            OSError: the folder takes no files.
            ServerError: the server does not give a file.
        """
        folder = make_folder(folder)
        paths = []
        for file in files:
            query = urllib.parse.urlencode(
                {"filename": file.name, "subfolder": file.subfolder, "type": file.kind}
            )
            try:
                content = self._request(f"/view?{query}")
            except _Refused as error:
                raise ServerError(
                    f"the ComfyUI at {self.server} did not give the result {file.name} "
                    f"(HTTP {error.status})."
                ) from error
            paths.append(write_bytes(_free_name(folder, file.name), content))
        return paths

    def _queue(self, workflow: Workflow, client_id: str, prompt_id: str) -> tuple[str, list[str]]:
        message = {"prompt": workflow, "client_id": client_id, "prompt_id": prompt_id}
        try:
            answer = self._post("/prompt", message)
        except _Refused as error:
            self._refused(workflow, error)
        if not isinstance(answer, dict) or "prompt_id" not in answer:
            raise ServerError(f"{self.server} answers, but it is no ComfyUI.")
        return str(answer["prompt_id"]), _node_errors(workflow, answer.get("node_errors"))

    def _refused(self, workflow: Workflow, refusal: _Refused) -> NoReturn:
        try:
            answer = json.loads(refusal.body)
        except ValueError:
            answer = {}
        error = answer.get("error") if isinstance(answer, dict) else None
        if not error:
            raise refusal
        if isinstance(error, dict):
            error = _with_details(error)
        reasons = _node_errors(workflow, answer.get("node_errors"))
        raise ServerError(f"the server refused the workflow: {'; '.join(reasons) or error}.")

    def _connect(self, websocket: Any, client_id: str) -> Any:
        address = "ws" + self.server.removeprefix("http") + f"/ws?clientId={client_id}"
        try:
            socket = websocket.create_connection(address, timeout=_HTTP_SECONDS)
        except (websocket.WebSocketException, OSError) as error:
            raise _Unreachable(self._absent()) from error
        socket.settimeout(_POLL_SECONDS)
        return socket

    def _reconnect(self, websocket: Any, client_id: str, watch: _Watch) -> Any:
        time.sleep(_POLL_SECONDS)
        try:
            return self._connect(websocket, client_id)
        except _Unreachable as error:
            raise ServerError(self._died(watch)) from error

    def _ended(self, prompt_id: str, watch: _Watch) -> bool:
        """Whether the run is over, asked for when the websocket is silent or broke."""
        try:
            return prompt_id in self._json(f"/history/{prompt_id}")
        except _Busy:
            return False
        except _Unreachable as error:
            raise ServerError(self._died(watch)) from error

    def _history(self, prompt_id: str, watch: _Watch) -> dict[str, Any]:
        until = time.monotonic() + _HISTORY_SECONDS
        while time.monotonic() < until:
            try:
                found = self._json(f"/history/{prompt_id}").get(prompt_id)
            except _Unreachable as error:
                raise ServerError(self._died(watch)) from error
            if found:
                for kind, data in found.get("status", {}).get("messages", ()):
                    watch.take({"type": kind, "data": {"prompt_id": prompt_id, **data}}, prompt_id)
                return dict(found.get("outputs", {}))
            time.sleep(0.05)
        raise ServerError(
            f"the ComfyUI at {self.server} ended the run and keeps no record of it: was its "
            "history cleared?"
        )

    def _replacements(self) -> dict[str, Any]:
        """Old class types that the server renames by itself; empty before ComfyUI had that."""
        try:
            found = self._json("/node_replacements")
        except _Refused:
            return {}
        return found if isinstance(found, dict) else {}

    def _spec(self, workflow: Workflow, node: str, name: str) -> list[Any]:
        """The type and options of an input, as `/object_info` has them."""
        inputs = self._inputs(workflow[node]["class_type"])
        if name in inputs:
            return list(inputs[name])
        present = workflow[node]["inputs"]
        if name in present or name.partition(".")[0] in inputs:
            return ["*"]
        known = ", ".join(dict.fromkeys([*inputs, *present]))
        raise ValueError(f"{_label(workflow, node)} has no input {name!r}: it has {_cut(known)}.")

    def _inputs(self, class_type: str) -> dict[str, Any]:
        sections = self.object_info().get(class_type, {}).get("input", {})
        return {
            key: spec
            for section in ("required", "optional")
            for key, spec in (sections.get(section) or {}).items()
        }

    def _post(self, path: str, message: Any, timeout: float = _HTTP_SECONDS) -> Any:
        headers = {"Content-Type": "application/json"}
        return self._json(path, json.dumps(message).encode(), headers, timeout)

    def _json(
        self,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = _HTTP_SECONDS,
    ) -> Any:
        content = self._request(path, body, headers, timeout)
        if not content:
            return {}
        try:
            return json.loads(content)
        except ValueError as error:
            raise ServerError(f"{self.server} answers, but it is no ComfyUI.") from error

    def _request(
        self,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = _HTTP_SECONDS,
    ) -> bytes:
        request = urllib.request.Request(self.server + path, data=body, headers=headers or {})
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with contextlib.closing(error):
                raise _Refused(
                    f"{self.server}{path.partition('?')[0]} answers HTTP {error.code} "
                    f"{error.reason}: is it a ComfyUI?",
                    error.code,
                    error.read(),
                ) from error
        except TimeoutError as error:
            raise _Busy(f"{self.server} did not answer within {timeout:g} seconds.") from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise _Busy(f"{self.server} did not answer within {timeout:g} seconds.") from error
            raise _Unreachable(self._absent()) from error

    def _absent(self) -> str:
        return f"no ComfyUI answers at {self.server}: start it or pass --server."

    def _died(self, watch: _Watch) -> str:
        return f"the ComfyUI at {self.server} stopped answering ({watch.where()}): see its log."


class _Watch:
    """What the messages of the websocket say of one run."""

    def __init__(self, workflow: Workflow, progress: Progress) -> None:
        self.done = False
        self._workflow = workflow
        self._progress = progress
        self._node: str | None = None

    def where(self) -> str:
        """What runs, for the end of a sentence."""
        if self._node is None:
            return "nothing of it had run"
        return f"at {_label(self._workflow, self._node)}"

    def take(self, message: dict[str, Any], prompt_id: str) -> None:
        """Take one message; those of other runs are passed over.

        Raises:
            ServerError: a node failed, or the run was interrupted.
        """
        data = message.get("data")
        if not isinstance(data, dict) or data.get("prompt_id") != prompt_id:
            return
        kind = message.get("type")
        if kind == "executing":
            if data.get("node") is None:
                self.done = True
            else:
                self._enter(data)
                self._progress(_title(self._workflow, str(self._node)), 0, 0)
        elif kind == "progress":
            self._enter(data)
            title = _title(self._workflow, str(self._node))
            self._progress(title, int(data["value"]), int(data["max"]))
        elif kind == "execution_success":
            self.done = True
        elif kind == "execution_error":
            raise ServerError(_failure(self._workflow, data))
        elif kind == "execution_interrupted":
            node = str(data.get("node_id"))
            raise ServerError(
                f"the run was interrupted on the server at {_label(self._workflow, node)}."
            )

    def _enter(self, data: dict[str, Any]) -> None:
        self._node = str(data.get("display_node") or data["node"])


def _failure(workflow: Workflow, data: dict[str, Any]) -> str:
    message = _one_line(data.get("exception_message")) or "no message"
    kind = str(data.get("exception_type", "")).rpartition(".")[2]
    shown = message if kind in ("", "ValueError") else f"{kind}: {message}"
    node = _label(workflow, str(data.get("node_id")), data.get("node_type"))
    return f"{node} failed on the server: {shown.rstrip('.')}."


def _node_errors(workflow: Workflow, errors: Any) -> list[str]:
    """The server's reasons, one for each node that it found at fault."""
    if not isinstance(errors, dict):
        return []
    reasons = []
    for node, found in errors.items():
        told = "; ".join(_with_details(error) for error in found.get("errors", ()))
        reasons.append(f"{_label(workflow, node, found.get('class_type'))}: {told}")
    return reasons


def _with_details(error: dict[str, Any]) -> str:
    message, details = _one_line(error.get("message")), _one_line(error.get("details"))
    if details and details != message:
        return _cut(f"{message} ({details})".rstrip("."))
    return _cut(message.rstrip("."))


def _named(workflow: Workflow, name: str) -> list[str]:
    if name in workflow:
        return [name]
    titled = [k for k, n in workflow.items() if n.get("_meta", {}).get("title") == name]
    return titled or [k for k, n in workflow.items() if n["class_type"] == name]


def _known_node(workflow: Workflow, node: str) -> str:
    """The node of the workflow that a node made while it ran stems from."""
    return node if node in workflow else node.partition(".")[0]


def _title(workflow: Workflow, node: str) -> str:
    found = workflow.get(_known_node(workflow, node))
    if found is None:
        return f"node {node}"
    return str(found.get("_meta", {}).get("title") or found["class_type"])


def _label(workflow: Workflow, node: str, class_type: str | None = None) -> str:
    """A node for a sentence: the class that the user knows, and its id."""
    known = _known_node(workflow, node)
    own = workflow[known]["class_type"] if known in workflow else class_type or "a node"
    inner = f", in its {class_type}" if class_type and class_type != own else ""
    return f"{own} (node {known}{inner})"


def _choose(outputs: dict[str, Any]) -> tuple[OutputFile, ...]:
    files = [
        OutputFile(str(item["filename"]), str(item.get("subfolder") or ""), str(item["type"]))
        for node in outputs.values()
        for items in node.values()
        if isinstance(items, list)
        for item in items
        if isinstance(item, dict) and item.get("filename") and item.get("type")
    ]
    files = list(dict.fromkeys(files))
    return tuple([file for file in files if file.kind == "output"] or files)


def _takes_uploads(spec: list[Any]) -> bool:
    options = _options(spec)
    return any(key.endswith("_upload") and value for key, value in options.items())


def _options(spec: list[Any]) -> dict[str, Any]:
    return spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}


def _choices(spec: list[Any]) -> list[Any]:
    found = spec[0] if isinstance(spec[0], list) else _options(spec).get("options")
    return found if isinstance(found, list) else []


def _local_file(setting: Setting, spec: list[Any]) -> Path | None:
    """The file here that a setting means; None for the name of a file on the server.

    Raises:
        ValueError: it is neither.
    """
    path = Path(setting.value).expanduser()
    if path.is_file():
        return path
    if setting.value in _choices(spec) or setting.value.endswith("]"):
        return None
    if path.is_dir():
        raise ValueError(f"{setting}: {path} is a folder, give the name of a picture in it.")
    if len(PurePosixPath(setting.value).parts) == 1 or path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{setting}: there is no file {path} here, and none of that name in the server's input "
            "folder."
        )
    return None  # In a subfolder there, which the list of choices does not show.


def _parse_value(text: str, spec: list[Any]) -> Any:
    if text in _choices(spec):
        return text
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text
    if spec[0] == "STRING" and not isinstance(value, str | list):
        return text
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _free_name(folder: Path, name: str) -> Path:
    """A path in the folder that is not taken; the server's name cannot lead out of it."""
    plain = Path(PurePosixPath(name.replace("\\", "/")).name)
    path, number = folder / plain, 2
    while path.exists():
        path = folder / f"{plain.stem}_{number}{plain.suffix}"
        number += 1
    return path


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _one_line(text: Any) -> str:
    return " ".join(str(text or "").split())


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _websocket() -> Any:
    try:
        return importlib.import_module("websocket")
    except ImportError as error:
        raise ValueError(
            "driving a ComfyUI server needs its client: pip install websocket-client."
        ) from error
