"""Callbacks: by these the gate wakes an agent, so that it looks at a request again.

They are webhooks of Standard Webhooks 1.0, signed with a secret that the gate's operator shares with the agent. A
callback proves no decision: it may come twice, late, or after a newer one.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import SettingsError
from .handle import approval_id
from .strict_json import StrictJsonError, loads

_NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")

_PREFIX = "whsec_"

_LEEWAY_SECONDS = 300
"""By how much the time of a callback may differ from this clock."""


class CallbackError(Exception):
    """What came is no callback of the gate's, or was not sent now. Answer it with `401`."""


@dataclass(frozen=True)
class Callback:
    """A verified callback: there is news of a request. It says nothing of the decision, which `Action.resume` finds."""

    id: str
    """The id of the request, which is that of the stored handle."""
    agent_name: str
    correlation_id: str
    """The agent's own name for the request."""
    state: str | None
    """The agent's own text, as the request had it."""


class _Headers(Protocol):
    """Headers as frameworks have them: a mapping, or `email.message.Message`, as `http.server` has."""

    def items(self) -> Iterable[tuple[Any, Any]]: ...


def verify_callback(
    headers: _Headers | Iterable[tuple[str | bytes, str | bytes]], body: bytes, secret: str | None = None
) -> Callback:
    """Verifies a callback as the agent's web server got it.

    Then resume what is stored for its id: `action.resume(handle, parameters).run(function, wait=0)`.

    Args:
        headers: all headers of the call, by name or in pairs, as texts or bytes. Their names may be in any case.
        body: the bytes of its body, as they came.
        secret: the secret of the channel, `whsec_` and 24 to 64 bytes in base64; the default is `HO_CALLBACK_SECRET`.

    Raises:
        CallbackError: if it is anything but a callback of the gate's, signed with this secret and sent within five
            minutes of now.
        SettingsError: if there is no secret, or it is none.
    """
    key = _read_secret(os.environ.get("HO_CALLBACK_SECRET", "").strip() if secret is None else secret)
    id_, sent, signatures = _pick(headers)
    if not re.fullmatch("[0-9]{1,15}", sent):
        raise CallbackError("the callback needs the header webhook-timestamp once, as the gate sends it")
    if abs(time.time() - int(sent)) > _LEEWAY_SECONDS:
        raise CallbackError("the callback was sent at another time than now, by more than five minutes")
    expected = sign(key, id_, sent, body).encode()
    # In constant time.
    if not any(hmac.compare_digest(expected, it.encode(errors="replace")) for it in signatures.split(" ")):
        raise CallbackError("the callback has no signature of this secret")
    return _read(body)


def sign(key: bytes, id_: str, timestamp: str, body: bytes) -> str:
    signed = f"{id_}.{timestamp}.".encode(errors="replace") + body
    tag = hmac.digest(key, signed, hashlib.sha256)
    return f"v1,{base64.b64encode(tag).decode()}"


def _read_secret(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise SettingsError("HO_CALLBACK_SECRET must be `whsec_` and 24 to 64 bytes in base64")
    return key


def _pick(headers: Any) -> list[str]:
    """The values of the three headers, each of which must be there once."""
    items = headers.items() if hasattr(headers, "items") else headers
    pairs = [(_text(name).lower(), _text(value)) for name, value in items]
    found = {name: [value for other, value in pairs if other == name] for name in _NAMES}
    for name, values in found.items():
        if len(values) != 1:
            raise CallbackError(f"the callback needs the header {name} once, as the gate sends it")
    return [value for (value,) in found.values()]


def _text(header: Any) -> str:
    return header.decode("latin-1") if isinstance(header, bytes) else str(header)


def _read(body: bytes) -> Callback:
    try:
        message: Any = loads(body)
        data = message["data"]
        agent, correlation_id, state = data["agentName"], data["correlationId"], data.get("state")
    except (StrictJsonError, AttributeError, KeyError, TypeError):
        raise CallbackError("the callback has another form than the gate's") from None
    if not (isinstance(agent, str) and isinstance(correlation_id, str) and isinstance(state, (str, type(None)))):
        raise CallbackError("the callback has another form than the gate's")
    return Callback(approval_id(agent, correlation_id), agent, correlation_id, state)
