"""The limits of a request, as the gate's OpenAPI document has them: those that need no setting of an operator's."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import rfc8785

from .address import is_same_address, to_person

_LOCAL = r"(?=[^@]{1,64}@)[\w#$&'*+?^~-]+(?:\.[\w#$&'*+?^~-]+)*"
_LABEL = r"[a-zA-Z0-9\x80-\U0010ffff](?:[a-zA-Z0-9\x80-\U0010ffff-]*[a-zA-Z0-9\x80-\U0010ffff])?"
_ADDRESS = re.compile(rf"{_LOCAL}@{_LABEL}(?:\.{_LABEL})+", re.ASCII)
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*")
_LINES = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*")
_TIMEOUT = range(10, 2_592_001)
_ID = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9._-]{1,64}")
_FILLERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
"""Fillers and variation selectors, which Python counts as printable."""


def faults(request: dict[str, Any]) -> Iterator[str]:
    """What the gate refuses of a request."""
    agent, action = request["agentName"], request["actionDescription"]
    if not 1 <= len(agent) <= 128 or len(agent.encode()) > 170 or not _is_name(agent):
        yield "/agentName must be 1 to 128 characters that show, without spaces around them, and no address"
    if not 1 <= len(action) <= 256 or not action.strip() or not _LINE.fullmatch(action):
        yield "/actionDescription must be one line of 1 to 256 characters"
    if len(rfc8785.dumps(request["parameters"])) > 30 * 1024:
        yield "/parameters must be at most 30 KiB as canonical JSON"
    yield from _of_people(request.get("approverEmails", []), request.get("onBehalfOf"))
    if request.get("timeoutSeconds", _TIMEOUT[0]) not in _TIMEOUT:
        yield f"/timeoutSeconds must be a whole number of {_TIMEOUT[0]} to {_TIMEOUT[-1]}"
    if not _ID.fullmatch(request.get("supersedes", "A.a")):
        yield "/supersedes must be the id of a request"
    reason, callback = request.get("reason", ""), request.get("callback", {"channel": "any"})
    if len(reason) > 2000 or not _LINES.fullmatch(reason):
        yield "/reason must be at most 2000 characters, without control characters"
    if not 1 <= len(callback.get("channel", "")) <= 64:
        yield "/callback/channel must be 1 to 64 characters"
    if len(callback.get("state", "")) > 256:
        yield "/callback/state must be at most 256 characters"
    if unknown := callback.keys() - {"channel", "state"}:
        yield f"/callback has no member {', '.join(sorted(unknown))}"


def _is_name(agent: str) -> bool:
    is_plain = agent.isprintable() and not _FILLERS.search(agent) and unicodedata.is_normalized("NFC", agent)
    return is_plain and agent == agent.strip() and "://" not in agent


def _of_people(approvers: list[str], on_behalf_of: str | None) -> Iterator[str]:
    if not 1 <= len(approvers) <= 20:
        yield "/approverEmails must name 1 to 20 approvers"
    for at, address in enumerate(approvers):
        if not _is_address(address):
            yield f"/approverEmails/{at} must be a plain email address"
        if any(is_same_address(to_person(address), to_person(other)) for other in approvers[:at]):
            yield f"/approverEmails/{at} is named twice"
        if on_behalf_of is not None and is_same_address(to_person(on_behalf_of), to_person(address)):
            yield f"/approverEmails/{at} is the person the agent acts for, who cannot approve"
    if on_behalf_of is not None and not _is_address(on_behalf_of):
        yield "/onBehalfOf must be a plain email address"


def _is_address(text: str) -> bool:
    return len(text) <= 254 and _ADDRESS.fullmatch(text.strip()) is not None
