"""Drives a running ComfyUI through its HTTP and websocket API; needs nothing of ComfyUI here.

client = Client("http://127.0.0.1:8188")
workflow = client.prepare(load_workflow("removal.json"), [parse_setting("1.image=me.jpg")])
client.download(client.run(workflow).files, Path("results"))
"""

from __future__ import annotations

import copy
import mimetypes
import urllib.parse
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..files import make_folder, write_bytes
from .connection import BRIEF_SECONDS, DEFAULT_SERVER, Connection
from .errors import Refused, ServerError
from .outcome import Outcome, OutputFile
from .run import Run
from .settings import Setting, choices, local_file, parse_value, takes_uploads
from .watch import Progress
from .wording import cut
from .workflow import Workflow, find_input, label


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
        self._connection = Connection(self.server)
        self.server = self._connection.server

    def object_info(self) -> dict[str, Any]:
        """What ``/object_info`` says of each node class; asked for once.

        Raises:
            ServerError: no ComfyUI answers.
        """
        if self._known is None:
            known = self._connection.ask("/object_info")
            if not isinstance(known, dict):
                raise self._connection.stranger()
            self._known = known
        return self._known

    def arguments(self) -> list[str]:
        """The server's command line.

        Raises:
            ServerError: no ComfyUI answers.
        """
        found = self._connection.ask("/system_stats", timeout=BRIEF_SECONDS)
        return [str(word) for word in found.get("system", {}).get("argv", ())]

    def choices(self, class_type: str, name: str) -> list[str]:
        """What an input of a node class offers to choose from, model files for instance.

        Empty for a node class or an input that the server does not have.

        Raises:
            ServerError: no ComfyUI answers.
        """
        spec = self._inputs(class_type).get(name, ())
        return [str(choice) for choice in choices(list(spec))] if spec else []

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
            if takes_uploads(spec):
                local = local_file(setting, spec)
                if local is not None:
                    uploads.append((node, name, local))
                    continue
            result[node]["inputs"][name] = parse_value(setting.value, spec)
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
            answer = self._connection.ask(
                "/upload/image", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
            )
        except Refused as error:
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
        return Run(self._connection, workflow, progress or (lambda *_: None)).wait(timeout)

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
                content = self._connection.fetch(f"/view?{query}")
            except Refused as error:
                raise ServerError(
                    f"the ComfyUI at {self.server} did not give the result {file.name} "
                    f"(HTTP {error.status})."
                ) from error
            paths.append(write_bytes(_free_name(folder, file.name), content))
        return paths

    def _replacements(self) -> dict[str, Any]:
        """Old class types that the server renames by itself; empty before ComfyUI had that."""
        try:
            found = self._connection.ask("/node_replacements")
        except Refused:
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
        raise ValueError(f"{label(workflow, node)} has no input {name!r}: it has {cut(known)}.")

    def _inputs(self, class_type: str) -> dict[str, Any]:
        sections = self.object_info().get(class_type, {}).get("input", {})
        return {
            key: spec
            for section in ("required", "optional")
            for key, spec in (sections.get(section) or {}).items()
        }


def _free_name(folder: Path, name: str) -> Path:
    """A path in the folder that is not taken; the server's name cannot lead out of it."""
    plain = Path(PurePosixPath(name.replace("\\", "/")).name)
    path, number = folder / plain, 2
    while path.exists():
        path = folder / f"{plain.stem}_{number}{plain.suffix}"
        number += 1
    return path
