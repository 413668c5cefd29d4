"""What can go wrong between here and a server."""

from __future__ import annotations


class ServerError(Exception):
    """The server refused or failed, or could not be reached: one sentence, often its own."""


class Unreachable(ServerError):
    """Nobody answers."""


class Busy(ServerError):
    """It took the connection and did not answer in time."""


class Refused(ServerError):
    """An HTTP status that says no, with its body."""

    def __init__(self, message: str, status: int, body: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
