"""A request that waits for its decision."""

import asyncio
import inspect
import logging
import math
import os
import secrets
import time
import weakref
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from . import loop
from .approval import Approval
from .connection import Connection, OnPending
from .deferred import refuse_deferred
from .errors import GateError, ProblemError
from .interest import Interest
from .options import check_seconds
from .permit import Permit, report_not_run
from .proof import CLOCK_LEEWAY_SECONDS, Run
from .refusal import Refused, after_conflict, after_submit, from_status, unverified
from .retry import OUTAGE_SECONDS, OutageLog, retry_transient
from .trust import Known

T = TypeVar("T")

_LONG_POLL = 25
"""How many seconds one status call waits for a decision, where the gate lets calls wait."""

_MIN_PAUSE = 1.0
"""The pause between calls that wait. Where the host bills waiting calls, the gate sends a longer `Retry-After`,
and the calls do not wait; the first call finds that out."""

_AGAIN = "Call again later with exactly the same arguments."
_NOT_AGAIN = (
    "Do not call again: a call without a name asks people again. The program must go on with the pending request."
)

_log = logging.getLogger("human_oversight")


class Undecided(Exception):  # noqa: N818 (waiting is an outcome, not an error)
    """There is no decision yet. `pending` waits again; its handle can be stored. The same call again does so only under
    a name: a `correlation_id`, a `tool_call` or a stored handle."""

    def __init__(self, pending: "Pending") -> None:
        self.pending = pending
        self._dropped: weakref.finalize[..., Undecided] | None = None
        super().__init__(f"PENDING: a person must approve first. {_AGAIN if pending.is_named else _NOT_AGAIN}")

    @classmethod
    def to_hand_out(cls, pending: "Pending", when_dropped: Callable[[], None]) -> "Undecided":
        """One that calls back if it is dropped before it is handed out: its caller was cancelled meanwhile."""
        undecided = cls(pending)
        undecided._dropped = weakref.finalize(undecided, when_dropped)
        return undecided

    def hand_out(self) -> None:
        """Marks the point from which the caller has `pending`."""
        if self._dropped:
            self._dropped.detach()


class Pending:
    """A submitted request.

    A caller that is cancelled while it waits withdraws the request, since a decision would have no effect; except
    if it is detached, as it is under a handle that was stored, or that the claim key gives to every process.
    """

    def __init__(
        self,
        connection: Connection,
        run: Run,
        *,
        approval: Approval | None = None,
        on_pending: OnPending | None = None,
        detached: bool = True,
        is_named: bool = True,
    ) -> None:
        self._connection = connection
        self._run = run
        self._on_pending = on_pending
        self.handle = run.handle
        """What to store for `Action.resume`."""
        self.approval = approval
        """The request in the gate's last response."""
        self.detached = detached
        """Whether the request stays open when its caller stops waiting."""
        self.is_named = is_named
        """Whether the same call again finds it."""

    def claim(self, wait: float | None = None) -> Permit:
        """Waits for the decision, at most `wait` seconds, verifies it, claims the approval, and verifies the permit.

        Raises:
            Refused: if it is anything but a verified approval of exactly these parameters.
            Undecided: if there is no decision after `wait` seconds.
        """
        return hand_out(loop.wait(self.claim_on_loop(wait)))

    async def claim_async(self, wait: float | None = None) -> Permit:
        """Like `claim`."""
        return hand_out(await loop.join(self.claim_on_loop(wait)))

    def run(self, function: Callable[[], T], wait: float | None = None) -> T:
        """Waits for the decision, runs the function if it is an approval, and reports the outcome."""
        return execute(self.claim(wait), function)

    async def run_async(self, function: Callable[[], Awaitable[T]], wait: float | None = None) -> T:
        """Like `run`."""
        return await execute_async(await self.claim_async(wait), function)

    def withdraw(self) -> Approval:
        """Withdraws the request, so that it needs no decision any more.

        Raises:
            GateError: if it is too late, or the gate cannot be reached.
        """
        return loop.wait(self._connection.post("withdraw", self.handle))

    async def withdraw_async(self) -> Approval:
        """Like `withdraw`."""
        return await loop.join(self._connection.post("withdraw", self.handle))

    async def claim_on_loop(self, wait: float | None) -> Permit | Undecided:
        """Like `claim`, on the client's own loop, for `hand_out`."""
        check_seconds("wait", wait)
        decided = await self._wait_for_decision(wait)
        if decided is None:
            return Undecided.to_hand_out(self, self._abandon)
        if decided.status == "Approved" and decided.execution is not None:
            raise from_status(decided)  # claimed before, lapsed or revoked: no claim would be granted
        # A `Timeout` may be provisional, and a `Pending` past its deadline not stored yet: the claim settles both.
        if decided.status not in ("Approved", "Timeout", "Pending"):
            raise from_status(decided)
        # Before the claim, so that a mistake of this process does not use up the approval.
        known = await self._keys(decided)
        if decided.status == "Approved":
            self._run.verify_receipt(decided, known)
        # In a task of its own: if the wait is cancelled now, the permit is still made, and reports itself.
        return await loop.finish(self._claim_verified())

    async def _keys(self, approval: Approval) -> Known:
        try:
            return await self._connection.keys(approval)
        except GateError as error:
            raise after_submit(error) from None

    async def _claim_verified(self) -> Permit:
        # In memory alone, and for this claim alone: an answer that was recorded from another is none to it.
        nonce = secrets.token_hex(16)
        approval = await self._call_claim(nonce)
        try:
            proof = self._run.verify_claim(approval, nonce, await self._keys(approval))
        except Refused:
            await report_not_run(self._connection, self.handle, nonce, "the approval could not be verified")
            raise
        return Permit(self._connection, self.handle, proof)

    async def _call_claim(self, nonce: str) -> Approval:
        may_be_granted = False

        async def claim() -> Approval:
            nonlocal may_be_granted
            body = {"nonce": nonce, "secret": self.handle.secret}
            try:
                return await self._connection.client.post("claim", self.handle.id, body)
            except GateError as error:
                may_be_granted |= error.may_be_accepted
                raise

        for is_last in (False, True):
            try:
                return await retry_transient(claim)
            except GateError as error:
                refused = error if isinstance(error, ProblemError) and error.status < 500 else None
                if refused is None or refused.status != 409:
                    if may_be_granted or refused is None:
                        # Without a report a claim that was granted would end as unknown.
                        why = "the answer to the claim was lost"
                        await report_not_run(self._connection, self.handle, nonce, why)
                    raise after_submit(error) from None
            approval = await self._settled()
            # The clocks of two instances of the gate may differ slightly: the first claim made the gate store the
            # state that the second one finds.
            if is_last or approval.status != "Timeout":
                if approval.status == "Pending":
                    await self._stop_waiting()
                raise after_conflict(refused, approval)
            await asyncio.sleep(1)
        raise AssertionError("the loop returns or raises")

    async def _settled(self) -> Approval:
        try:
            return await self._connection.status(self.handle)
        except GateError as error:
            raise after_submit(error) from None

    async def _wait_for_decision(self, wait: float | None) -> Approval | None:
        """Waits until the gate says that the request is no longer pending, or its deadline has passed."""
        interest = self._interest()
        interest.mark_open()
        try:
            decided = await self._poll(wait)
            if decided is None:
                interest.stays_open = True
            else:
                interest.settle()
            return decided
        finally:
            # Also after an error: without a waiting agent the request needs no decision.
            interest.end()

    def _abandon(self) -> None:
        """Withdraws the request, as after a cancelled wait."""
        if self._run.process == os.getpid():  # and not a fork, which leaves its parent's request
            loop.spawn(self._stop_waiting())

    async def _stop_waiting(self) -> None:
        interest = self._interest()
        interest.mark_open()
        interest.end()

    def _interest(self) -> Interest:
        return Interest(self._connection, self._run, stays_open=self.detached)

    async def _poll(self, wait: float | None) -> Approval | None:
        started = time.monotonic()
        pause, may_hold = _MIN_PAUSE, False
        outage = OutageLog()
        while True:
            left = math.inf if wait is None else wait - (time.monotonic() - started)
            try:
                hold = int(max(0, min(_LONG_POLL, left))) if may_hold else 0
                approval, retry_after = await self._connection.client.status(self.handle.id, hold)
                self.approval = approval
                if approval.parameters_digest != self._run.parameters.digest:
                    # Before people decide what could not run.
                    raise unverified("the request is for other parameters")
                if approval.status != "Pending" or _is_over(approval):
                    return approval
                notify(self._on_pending, approval)
                pause = _MIN_PAUSE if retry_after is None else max(retry_after, _MIN_PAUSE)
                was_held, may_hold = may_hold, pause <= _MIN_PAUSE
                if may_hold and not was_held:
                    continue
            except GateError as error:
                # The deadline of the last response holds during an outage too.
                is_over = self.approval is None or _is_over(self.approval)
                is_given_up = is_over and time.monotonic() - started > OUTAGE_SECONDS
                if not error.is_transient or is_given_up:
                    raise after_submit(error) from None
                outage.warn(error)
                pause = min(pause * 2 if error.retry_after is None else error.retry_after, OUTAGE_SECONDS)
                may_hold = False
            left = math.inf if wait is None else wait - (time.monotonic() - started)
            if left <= 0:
                return None
            await asyncio.sleep(min(pause, left))


def hand_out(claimed: Permit | Undecided) -> Permit:
    """Passes the result of `claim_on_loop` to its caller."""
    claimed.hand_out()
    if isinstance(claimed, Undecided):
        raise claimed
    return claimed


def execute(permit: Permit, function: Callable[[], T]) -> T:
    """Runs a function under a permit, and reports the outcome."""
    try:
        result = function()
        refuse_deferred(result)
    except Exception as error:
        permit.failed(error)
        raise
    except BaseException:
        permit.give_up()
        raise
    permit.executed()
    return result


async def execute_async(permit: Permit, function: Callable[[], Awaitable[T]]) -> T:
    """Like `execute`."""
    try:
        result = await function()
        refuse_deferred(result)
    except Exception as error:
        await permit.failed_async(error)
        raise
    except BaseException:
        permit.give_up()
        raise
    await permit.executed_async()
    return result


def notify(callback: OnPending | None, approval: Approval) -> None:
    """Calls back; a callback that fails must not end the wait."""
    try:
        result: object = callback(approval) if callback else None
        if inspect.iscoroutine(result):
            result.close()
            _log.warning("on_pending must not be asynchronous")
    except Exception:
        _log.warning("on_pending failed", exc_info=True)


def _is_over(approval: Approval) -> bool:
    """Whether the deadline has passed by any clock within the leeway of this one."""
    return datetime.now(timezone.utc) - approval.expires_at > timedelta(seconds=CLOCK_LEEWAY_SECONDS)
