"""Repeating calls that fail for a while. All routes of the gate are idempotent."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .errors import GateError, InvalidResponseError, NoTokenError, TlsError, UnreachableError

T = TypeVar("T")

OUTAGE_SECONDS = 60.0
"""How long a call is retried while the gate is unavailable, where the call has no deadline of its own."""

_FIRST_CONTACT_SECONDS = 30.0
"""How long a gate is called that has never responded."""

_LOG_SECONDS = 30.0
_FIRST_PAUSE = 0.25
_MAX_PAUSE = 10.0

_log = logging.getLogger("human_oversight")


async def retry_transient(call: Callable[[], Awaitable[T]]) -> T:
    return await _retry(call, lambda _: OUTAGE_SECONDS)


async def retry_first_contact(call: Callable[[], Awaitable[T]]) -> T:
    """Like `retry_transient`, before anything was submitted: gives up sooner on a gate that does not respond, and at
    once on an address that is no gate or whose certificate is not accepted."""
    return await _retry(call, _first_contact_window)


def _first_contact_window(error: GateError) -> float:
    if isinstance(error, TlsError | NoTokenError | InvalidResponseError):
        return 0
    return _FIRST_CONTACT_SECONDS if isinstance(error, UnreachableError) else OUTAGE_SECONDS


async def _retry(call: Callable[[], Awaitable[T]], window: Callable[[GateError], float]) -> T:
    started = time.monotonic()
    pause = _FIRST_PAUSE
    outage = OutageLog()
    while True:
        try:
            return await call()
        except GateError as error:
            left = window(error) - (time.monotonic() - started)
            if not error.is_transient or left <= 0:
                raise
            # Whatever the gate asks for, it is called once more at the end.
            wait = min(pause if error.retry_after is None else error.retry_after, left)
            outage.warn(error)
        await asyncio.sleep(wait)
        pause = min(pause * 2, _MAX_PAUSE)


class OutageLog:
    """Logs that the gate does not answer: at the first call that fails, and later once in an interval."""

    def __init__(self) -> None:
        self._warned: float | None = None

    def warn(self, error: GateError) -> None:
        now = time.monotonic()
        if self._warned is None or now - self._warned >= _LOG_SECONDS:
            self._warned = now
            _log.warning("the gate does not answer: %s; trying again", error)
