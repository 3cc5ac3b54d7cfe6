"""The right to run an action once, now."""

import asyncio
import concurrent.futures
import logging
import os
import unicodedata
import weakref

from . import loop
from .connection import Connection
from .errors import GateError
from .handle import Handle
from .logs import loggable
from .proof import Proof

_log = logging.getLogger("human_oversight")

_MAX_ERROR = 2_000

NOT_RUN, GIVEN_UP = "not run", "given up while it ran"
"""How the error of a report begins: nothing ran, or the action may have run."""

_GIVEN_UP = f"{GIVEN_UP}: it may have run, or a part of it"
_NOT_WAITED_FOR = f"{NOT_RUN}: nothing waited for the approval any more"


class Permit:
    """A verified and claimed approval. The gate expects a report of the outcome.

    A permit that is dropped without one is reported as an action that was given up. In a process that was forked
    meanwhile it reports nothing: what that one does is not the action's outcome.
    """

    def __init__(self, connection: Connection, handle: Handle, proof: Proof) -> None:
        self.proof = proof
        self._report_to = (connection, handle)
        self._process = os.getpid()
        self._dropped = self._when_dropped(_NOT_WAITED_FOR)

    def hand_out(self) -> None:
        """Marks the point from which the action may have started."""
        self._dropped.detach()
        self._dropped = self._when_dropped(_GIVEN_UP)

    def executed(self) -> None:
        """Reports that the action ran. An interrupt does not stop the report."""
        if self._is_due():
            loop.spawn(report(*self._report_to)).result()

    def failed(self, error: object) -> None:
        """Reports that the action failed, with the first 2,000 characters of the error."""
        text = _text(error)
        if self._is_due():
            loop.spawn(report(*self._report_to, text)).result()

    async def executed_async(self) -> None:
        """Like `executed`. The report is made also if the caller is cancelled."""
        if self._is_due():
            await _finish(loop.spawn(report(*self._report_to)))

    async def failed_async(self, error: object) -> None:
        """Like `failed`. The report is made also if the caller is cancelled."""
        text = _text(error)
        if self._is_due():
            await _finish(loop.spawn(report(*self._report_to, text)))

    def give_up(self) -> None:
        """Reports in the background that the action was given up while it ran."""
        if self._is_due():
            loop.spawn(report(*self._report_to, _GIVEN_UP))

    def _when_dropped(self, why: str) -> "weakref.finalize[..., Permit]":
        return weakref.finalize(self, _spawn_failure, self._process, *self._report_to, why)

    def _is_due(self) -> bool:
        """Whether there was no report yet, and this is the process that claimed."""
        return self._dropped.detach() is not None and self._process == os.getpid()


async def report(connection: Connection, handle: Handle, error: str | None = None) -> None:
    """Reports an outcome, or logs that it could not be reported."""
    body = {"status": "Executed"} if error is None else {"status": "ExecutionFailed", "error": _sanitize(error)}
    await _report(connection, handle, body)


async def report_not_run(connection: Connection, handle: Handle, nonce: str, why: str) -> None:
    """Reports that nothing ran under the claim of this nonce. It is not verified that the gate granted this claim and
    no other. Reports of a permit go without the nonce, so that gates of earlier versions take them."""
    body = {"status": "ExecutionFailed", "error": f"{NOT_RUN}: {why}", "nonce": nonce}
    await _report(connection, handle, body)


async def _report(connection: Connection, handle: Handle, body: dict[str, str]) -> None:
    try:
        await connection.post("outcome", handle, **body)
    except GateError as unreported:
        _log.warning("the outcome of %s could not be reported: %s", handle.id, loggable(str(unreported)))


def _spawn_failure(process: int, connection: Connection, handle: Handle, why: str) -> None:
    if process == os.getpid():
        loop.spawn(report(connection, handle, why))


async def _finish(work: "concurrent.futures.Future[None]") -> None:
    await asyncio.shield(asyncio.wrap_future(work))


def _text(error: object) -> str:
    """The error's text, or the name of its type if it has none."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return name
    return text if text.strip() else name


def _sanitize(text: str) -> str:
    """Cuts the text to the gate's limit and replaces what a program's output often has and the gate refuses."""

    def visible(character: str) -> str:
        is_refused = unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"
        return "\ufffd" if is_refused else character

    return "".join(map(visible, text[:_MAX_ERROR]))
