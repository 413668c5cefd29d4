"""Requests to one server over HTTP, and what it means when they fail."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from .errors import Busy, Refused, ServerError, Unreachable

DEFAULT_SERVER = "http://127.0.0.1:8188"

PATIENT_SECONDS = 60.0
"""How long an answer is waited for."""

BRIEF_SECONDS = 5.0
"""The same where nothing is lost without the answer."""


class Connection:
    """The way to one server; nothing is sent before the first request.

    Every method raises a `ServerError`: `Unreachable` where nobody answers, `Busy` where the answer
    takes longer than `timeout` seconds, `Refused` for an HTTP status that says no.

    Args:
        server: its address; ``http://`` is assumed.

    Attributes:
        server: the whole address, without a slash at its end.

    Raises:
        ValueError: the address is no http or https URL.
    """

    def __init__(self, server: str) -> None:
        address = server if "://" in server else f"http://{server}"
        try:
            parts = urllib.parse.urlsplit(address)
            sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError(f"{server!r} is no server address: give one like {DEFAULT_SERVER}.")
        self.server = address.rstrip("/")
        local = _is_loopback(str(parts.hostname))
        handlers = [urllib.request.ProxyHandler({})] if local else []
        self._opener = urllib.request.build_opener(*handlers)

    def post(self, path: str, message: Any, timeout: float = PATIENT_SECONDS) -> Any:
        """Send JSON and read JSON."""
        headers = {"Content-Type": "application/json"}
        return self.ask(path, json.dumps(message).encode(), headers, timeout)

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = PATIENT_SECONDS,
    ) -> Any:
        """Read JSON; an empty dict for an empty answer."""
        content = self.fetch(path, body, headers, timeout)
        if not content:
            return {}
        try:
            return json.loads(content)
        except ValueError as error:
            raise self.stranger() from error

    def fetch(
        self,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = PATIENT_SECONDS,
    ) -> bytes:
        """Read what a path answers: to a GET, or to a POST where there is a body."""
        request = urllib.request.Request(self.server + path, data=body, headers=headers or {})
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with contextlib.closing(error):
                raise Refused(
                    f"{self.server}{path.partition('?')[0]} answers HTTP {error.code} "
                    f"{error.reason}: is it a ComfyUI?",
                    error.code,
                    error.read(),
                ) from error
        except TimeoutError as error:
            raise Busy(f"{self.server} did not answer within {timeout:g} seconds.") from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise Busy(f"{self.server} did not answer within {timeout:g} seconds.") from error
            raise self.nobody() from error

    def nobody(self) -> Unreachable:
        """The error for a server that does not answer."""
        return Unreachable(f"no ComfyUI answers at {self.server}: start it or pass --server.")

    def stranger(self) -> ServerError:
        """The error for a server whose answer is not ComfyUI's."""
        return ServerError(f"{self.server} answers, but it is no ComfyUI.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
