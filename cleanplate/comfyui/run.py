"""One run of a workflow on a server: queue it, follow it to its end, stop it when the wait ends."""

from __future__ import annotations

import contextlib
import importlib
import json
import time
import uuid
from typing import Any

from .connection import BRIEF_SECONDS, PATIENT_SECONDS, Connection
from .errors import Busy, Refused, ServerError, Unreachable
from .failures import node_errors, refusal
from .outcome import Outcome, chosen_files
from .watch import Progress, Watch
from .workflow import Workflow

_POLL_SECONDS = 0.5
_QUIET_SECONDS = 10.0
_HISTORY_SECONDS = 20.0


class Run:
    """A workflow that is to run once.

    Args:
        connection: to the server.
        workflow: in API format.
        progress: called for each node and step, with the node's title.

    Raises:
        ValueError: the websocket client is not installed.
    """

    def __init__(self, connection: Connection, workflow: Workflow, progress: Progress) -> None:
        self._websocket = _websocket()
        self._connection = connection
        self._workflow = workflow
        self._watch = Watch(workflow, progress)
        self._client_id = uuid.uuid4().hex
        self._prompt_id = str(uuid.uuid4())
        self._socket: Any = None

    def wait(self, timeout: float | None) -> Outcome:
        """Queue the workflow and wait for its end; whatever ends the wait before also stops it.

        Args:
            timeout: seconds for the whole run, waiting in the queue included; None: no limit.

        Raises:
            ServerError: the server refused it, a node failed, it was interrupted, the server died,
                or the time was up.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._connect()
        finished = False
        try:
            warnings = self._queue()
            self._follow(deadline, timeout)
            outputs = self._outputs()
            finished = True
        finally:
            self._disconnect()
            if not finished:
                stop_run(self._connection, self._prompt_id)
        return Outcome(self._prompt_id, chosen_files(outputs), tuple(warnings))

    def _follow(self, deadline: float | None, timeout: float | None) -> None:
        quiet_since = time.monotonic()
        while not self._watch.done:
            if deadline is not None and time.monotonic() > deadline:
                raise ServerError(
                    f"the workflow was not done after {timeout:g} seconds "
                    f"({self._watch.where()}) and was stopped."
                )
            try:
                frame = self._socket.recv()
                quiet_since = time.monotonic()
                if isinstance(frame, str) and frame:  # Previews are bytes; a farewell is empty.
                    self._watch.take(json.loads(frame), self._prompt_id)
                continue
            except self._websocket.WebSocketTimeoutException:
                if time.monotonic() - quiet_since < _QUIET_SECONDS:
                    continue
                quiet_since = time.monotonic()
            except (self._websocket.WebSocketException, OSError):
                self._disconnect()
                self._reconnect()
            self._watch.done = self._watch.done or self._ended()

    def _connect(self) -> None:
        server = self._connection.server
        address = "ws" + server.removeprefix("http") + f"/ws?clientId={self._client_id}"
        try:
            socket = self._websocket.create_connection(address, timeout=PATIENT_SECONDS)
        except (self._websocket.WebSocketException, OSError) as error:
            raise self._connection.nobody() from error
        socket.settimeout(_POLL_SECONDS)
        self._socket = socket

    def _reconnect(self) -> None:
        time.sleep(_POLL_SECONDS)
        try:
            self._connect()
        except Unreachable as error:
            raise self._died() from error

    def _disconnect(self) -> None:
        with contextlib.suppress(self._websocket.WebSocketException, OSError):
            self._socket.close()

    def _queue(self) -> list[str]:
        """Hand the workflow in; sentences about the parts that the server leaves out."""
        message = {
            "prompt": self._workflow,
            "client_id": self._client_id,
            "prompt_id": self._prompt_id,
        }
        try:
            answer = self._connection.post("/prompt", message)
        except Refused as error:
            reasons = refusal(self._workflow, _json(error.body))
            if reasons is None:
                raise
            raise ServerError(f"the server refused the workflow: {reasons}.") from error
        if not isinstance(answer, dict) or "prompt_id" not in answer:
            raise self._connection.stranger()
        self._prompt_id = str(answer["prompt_id"])
        return node_errors(self._workflow, answer.get("node_errors"))

    def _ended(self) -> bool:
        """Whether the run is over, asked for when the websocket is silent or broke."""
        try:
            return self._prompt_id in self._connection.ask(f"/history/{self._prompt_id}")
        except Busy:
            return False
        except Unreachable as error:
            raise self._died() from error

    def _outputs(self) -> dict[str, Any]:
        """What the nodes gave, from the server's record, where a failure may be told first."""
        until = time.monotonic() + _HISTORY_SECONDS
        while time.monotonic() < until:
            try:
                history = self._connection.ask(f"/history/{self._prompt_id}")
            except Unreachable as error:
                raise self._died() from error
            if found := history.get(self._prompt_id):
                for kind, data in found.get("status", {}).get("messages", ()):
                    told = {"type": kind, "data": {"prompt_id": self._prompt_id, **data}}
                    self._watch.take(told, self._prompt_id)
                return dict(found.get("outputs", {}))
            time.sleep(0.05)
        raise ServerError(
            f"the ComfyUI at {self._connection.server} ended the run and keeps no record of it: "
            "was its history cleared?"
        )

    def _died(self) -> ServerError:
        return ServerError(
            f"the ComfyUI at {self._connection.server} stopped answering "
            f"({self._watch.where()}): see its log."
        )


def stop_run(connection: Connection, prompt_id: str) -> None:
    """Take a run out of the queue, or interrupt it where it runs; never fails."""
    for path, message in (
        ("/queue", {"delete": [prompt_id]}),
        ("/interrupt", {"prompt_id": prompt_id}),
    ):
        with contextlib.suppress(ServerError):
            connection.post(path, message, timeout=BRIEF_SECONDS)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _websocket() -> Any:
    try:
        return importlib.import_module("websocket")
    except ImportError as error:
        raise ValueError(
            "driving a ComfyUI server needs its client: pip install websocket-client."
        ) from error
