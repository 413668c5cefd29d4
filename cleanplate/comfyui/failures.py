"""What the server says of nodes at fault, in words."""

from __future__ import annotations

from typing import Any

from .wording import cut, one_line
from .workflow import Workflow, label


def node_failure(workflow: Workflow, data: dict[str, Any]) -> str:
    """One sentence for the data of an ``execution_error`` message."""
    message = one_line(data.get("exception_message")) or "no message"
    kind = str(data.get("exception_type", "")).rpartition(".")[2]
    shown = message if kind in ("", "ValueError") else f"{kind}: {message}"
    node = label(workflow, str(data.get("node_id")), data.get("node_type"))
    return f"{node} failed on the server: {shown.rstrip('.')}."


def node_errors(workflow: Workflow, errors: Any) -> list[str]:
    """The server's reasons, one for each node that it found at fault."""
    if not isinstance(errors, dict):
        return []
    reasons = []
    for node, found in errors.items():
        told = "; ".join(_with_details(error) for error in found.get("errors", ()))
        reasons.append(f"{label(workflow, node, found.get('class_type'))}: {told}")
    return reasons


def refusal(workflow: Workflow, answer: Any) -> str | None:
    """Why the server did not take a workflow, without a full stop; None where it does not say."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not error:
        return None
    reasons = node_errors(workflow, answer.get("node_errors"))
    told = _with_details(error) if isinstance(error, dict) else str(error)
    return "; ".join(reasons) or told


def _with_details(error: dict[str, Any]) -> str:
    message, details = one_line(error.get("message")), one_line(error.get("details"))
    if details and details != message:
        return cut(f"{message} ({details})".rstrip("."))
    return cut(message.rstrip("."))
