"""Which requests the calls of this process wait for. One that no call waits for any more needs no decision.

All of it runs on the loop of `loop` alone.
"""

import logging
import os
from dataclasses import dataclass

from . import loop
from .connection import Connection
from .errors import GateError, ProblemError
from .logs import loggable
from .proof import Run
from .retry import retry_transient

_log = logging.getLogger("human_oversight")


@dataclass
class _Waiting:
    calls: int = 0
    may_be_open: bool = False
    """Whether the gate may have the request, without a decision."""
    stays_open: bool = False
    """Whether a call has left it open, for another process or a later call."""


_waited_for: dict[tuple[str, str, str, int], _Waiting] = {}
"""By the gate's address, the request's id, the digest of its secret and the process: those of a process are not its
fork's."""


class Interest:
    """The interest of one call in a request. When the last one ends, the request is withdrawn, if it may be open."""

    def __init__(self, connection: Connection, run: Run, *, stays_open: bool) -> None:
        self._connection = connection
        self._run = run
        self._key = (str(connection.client.base), run.handle.id, run.handle.claimant, run.process)
        self._waiting = _waited_for.setdefault(self._key, _Waiting())
        self._waiting.calls += 1
        self.stays_open = stays_open
        """Whether the request stays open after this call, and so after the others."""
        self._is_released = False

    def share(self) -> "Interest":
        return Interest(self._connection, self._run, stays_open=self.stays_open)

    def mark_open(self) -> None:
        """The gate has the request, or may have it."""
        self._waiting.may_be_open = True

    def release(self) -> None:
        """Leaves it to others to withdraw the request: to the wait that follows, or because it is that of another
        call."""
        self._is_released = True

    def settle(self) -> None:
        """There is a decision, so that no call need withdraw the request."""
        self._waiting.may_be_open = False

    def end(self) -> None:
        waiting = self._waiting
        waiting.stays_open |= self.stays_open
        waiting.calls -= 1
        if waiting.calls > 0:
            return
        del _waited_for[self._key]
        is_needless = waiting.may_be_open and not waiting.stays_open and not self._is_released
        # A forked process leaves its parent's request.
        if is_needless and self._run.process == os.getpid():
            loop.spawn(self._withdraw())

    async def _withdraw(self) -> None:
        """Withdraws the request, if there is one and no call waits for it meanwhile, or logs that it could not."""
        handle = self._run.handle

        async def attempt() -> None:
            if self._key not in _waited_for:
                await self._connection.client.post("withdraw", handle.id, {"secret": handle.secret})

        try:
            await retry_transient(attempt)
        except GateError as error:
            if isinstance(error, ProblemError) and error.status == 404:
                return
            _log.warning("the request %s could not be withdrawn: %s", handle.id, loggable(str(error)))
