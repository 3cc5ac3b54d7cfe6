"""Which requests the calls of this process wait for. One that no call waits for any more needs no decision.

All of it runs on the loop of `loop` alone.
"""

import logging
import os
from dataclasses import dataclass

from . import loop
from .connection import Connection
from .errors import GateError, ProblemError
from .proof import Run

_log = logging.getLogger("human_oversight")


@dataclass
class _Waiting:
    calls: int = 0
    may_be_open: bool = False
    """Whether the gate may have the request, without a decision."""


_waited_for: dict[tuple[str, str, int], _Waiting] = {}
"""By the gate's address, the request's id and the process: those of a process are not its fork's."""


class Interest:
    """The interest of one call in a request. When the last one ends, the request is withdrawn, if it may be open."""

    def __init__(self, connection: Connection, run: Run, *, stays_open: bool) -> None:
        self._connection = connection
        self._run = run
        self._key = (str(connection.client.base), run.handle.id, run.process)
        self._waiting = _waited_for.setdefault(self._key, _Waiting())
        self._waiting.calls += 1
        self.stays_open = stays_open
        """Whether the request is not withdrawn after this call."""

    def share(self) -> "Interest":
        return Interest(self._connection, self._run, stays_open=self.stays_open)

    def mark_open(self) -> None:
        """The gate has the request, or may have it."""
        self._waiting.may_be_open = True

    def settle(self) -> None:
        """There is a decision, so that no call need withdraw the request."""
        self._waiting.may_be_open = False

    def end(self) -> None:
        self._waiting.calls -= 1
        if self._waiting.calls > 0:
            return
        del _waited_for[self._key]
        # A forked process leaves its parent's request.
        if self._waiting.may_be_open and not self.stays_open and self._run.process == os.getpid():
            loop.spawn(_withdraw(self._connection, self._run))


async def _withdraw(connection: Connection, run: Run) -> None:
    """Withdraws a request, if there is one, or logs that it could not be withdrawn."""
    try:
        await connection.post("withdraw", run.handle)
    except GateError as error:
        if isinstance(error, ProblemError) and error.status == 404:
            return
        _log.warning("the request %s could not be withdrawn: %s", run.handle.id, error)
