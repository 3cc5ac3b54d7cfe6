"""One kind of action behind the gate."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import rfc8785

from . import loop
from .approval import Approval
from .connection import Connection, OnPending
from .errors import GateError, ProblemError
from .handle import CORRELATION_ID, Handle, approval_id
from .interest import Interest
from .options import check_seconds
from .parameters import Parameters, ParametersError
from .pending import Pending, Undecided, execute, execute_async, hand_out, notify
from .permit import Permit
from .proof import Run
from .refusal import Reason, Refused, after_submit, before_submit, unverified
from .retry import retry_first_contact

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Action:
    """An action of an agent that needs approval, made by `Gate.action`."""

    connection: Connection = dataclasses.field(repr=False)
    agent: str
    description: str
    approvers: Sequence[str]
    claim_key: str = dataclasses.field(repr=False)
    is_claim_key_shared: bool = dataclasses.field(repr=False)
    timeout: int | None = None
    reason: str | None = None
    on_behalf_of: str | None = None
    correlation_id: str | None = None
    on_pending: OnPending | None = dataclasses.field(default=None, repr=False)
    supersedes: str | None = None
    callback: str | Mapping[str, str] | None = None

    def prepare(self) -> Handle:
        """A name and a secret for one request, to be stored before it is submitted: `submit` under it and `resume`
        find the same request after a restart.

        Raises:
            Refused: if the correlation id is none.
        """
        if self.correlation_id is not None and not CORRELATION_ID.fullmatch(self.correlation_id):
            raise Refused(
                Reason.INVALID, "the correlation id must be 1 to 64 letters, digits, dots, dashes or underscores"
            )
        return Handle.create(self.agent, self.correlation_id, self.claim_key)

    def submit(self, parameters: Any, handle: Handle | None = None) -> Pending:
        """Submits a request without waiting for the decision. Under the same handle with the same parameters, it is
        the same request.

        Raises:
            Refused: if the gate does not accept it.
        """
        return loop.wait(self._submit(parameters, handle))

    async def submit_async(self, parameters: Any, handle: Handle | None = None) -> Pending:
        """Like `submit`."""
        return await loop.join(self._submit(parameters, handle))

    def resume(self, handle: Handle, parameters: Any) -> Pending:
        """A request that this or another process submitted.

        If that process had claimed the approval when it died, the action may have run: then it is refused, and not
        run again.

        Raises:
            Refused: if the parameters cannot be those of a request, or the handle is that of another agent.
        """
        return Pending(self.connection, self._run(handle, parameters), on_pending=self.on_pending)

    def run(self, parameters: Any, function: Callable[[], T], handle: Handle | None = None) -> T:
        """Requests approval of exactly these parameters, waits, and runs `function` only after a person approved:
        once, and before the approval lapses. Then reports to the gate whether it failed.

        Under a stored handle, it submits the request or resumes it, wherever the program was interrupted.

        Raises:
            Refused: if it is anything but a verified approval.
        """
        return execute(self.claim(parameters, handle), function)

    async def run_async(self, parameters: Any, function: Callable[[], Awaitable[T]], handle: Handle | None = None) -> T:
        """Like `run`. Cancelling it withdraws the request, except under a stored handle, or a correlation id with
        the agent's claim key: another process may wait for it."""
        return await execute_async(await self.claim_async(parameters, handle), function)

    def claim(self, parameters: Any, handle: Handle | None = None, wait: float | None = None) -> Permit:
        """Requests approval, waits, at most `wait` seconds, and claims the approval: see `Pending.claim`. With `wait`
        and a correlation id, the request stays open when the caller stops waiting."""
        return hand_out(loop.wait(self._claim(parameters, handle, wait)))

    async def claim_async(self, parameters: Any, handle: Handle | None = None, wait: float | None = None) -> Permit:
        """Like `claim`."""
        return hand_out(await loop.join(self._claim(parameters, handle, wait)))

    async def _claim(self, parameters: Any, stored: Handle | None, wait: float | None) -> Permit | Undecided:
        check_seconds("wait", wait)  # before anyone is asked
        # One task: an interrupt cannot come between submit and wait, and leave a request that nothing withdraws.
        pending = await self._submit(parameters, stored, may_come_back=wait is not None)
        pending.detached |= wait is not None and pending.is_named
        return await pending.claim_on_loop(wait)

    def _run(self, handle: Handle, parameters: Any) -> Run:
        if handle.id != approval_id(self.agent, handle.correlation_id):  # the gate would make another request of it
            raise Refused(Reason.INVALID, "the handle is that of another agent: use it with an action of that agent")
        try:
            exact = parameters if isinstance(parameters, Parameters) else Parameters(parameters)
        except ParametersError as error:
            raise Refused(Reason.INVALID, str(error)) from None
        return Run(self.agent, self.description, self.approvers, handle, exact)

    async def _submit(self, parameters: Any, stored: Handle | None, *, may_come_back: bool = False) -> Pending:
        run = self._run(stored or self.prepare(), parameters)
        is_named = stored is not None or self.correlation_id is not None
        # Another process can have the handle, and wait for the same request.
        is_shared = stored is not None or (self.is_claim_key_shared and is_named)
        interest = Interest(self.connection, run, stays_open=is_shared or (may_come_back and is_named))
        try:
            approval = await self._submit_run(run, interest)
            interest.release()
        finally:
            interest.end()
        return Pending(
            self.connection,
            run,
            approval=approval,
            on_pending=self.on_pending,
            detached=is_shared,
            is_named=is_named,
        )

    async def _submit_run(self, run: Run, interest: Interest) -> Approval:
        try:
            # First, so that no person decides what could not run.
            await self.connection.keys()
        except GateError as error:
            raise before_submit(error) from None
        approval = await self._call_submit(self._request(run), interest)
        if (approval.id, approval.parameters_digest) != (run.handle.id, run.parameters.digest):
            raise unverified("the gate accepted another request than was submitted")
        if approval.status == "Pending":
            notify(self.on_pending, approval)
        return approval

    async def _call_submit(self, request: dict[str, Any], interest: Interest) -> Approval:
        may_be_accepted = False

        async def call(shared: Interest) -> Approval:
            nonlocal may_be_accepted
            is_refused = False
            try:
                return await self.connection.client.submit(request)
            except GateError as error:
                is_refused = not error.may_be_accepted
                may_be_accepted |= error.may_be_accepted
                raise
            finally:
                if not is_refused:
                    shared.mark_open()
                shared.end()

        try:
            # In a task of its own: if the caller is cancelled now, the withdrawal must not overtake the request.
            return await retry_first_contact(lambda: loop.finish(call(interest.share())))
        except GateError as error:
            if isinstance(error, ProblemError) and error.status == 409:
                interest.release()  # the name is that of another request
            raise (after_submit(error) if may_be_accepted else before_submit(error)) from None

    def _callback(self) -> dict[str, str] | None:
        if isinstance(self.callback, str):
            return {"channel": self.callback}
        return None if self.callback is None else dict(self.callback)

    def _request(self, run: Run) -> dict[str, Any]:
        request = {
            "agentName": self.agent,
            "actionDescription": self.description,
            "parameters": run.parameters.object,
            "approverEmails": list(self.approvers) or None,  # the operator's policy may name them
            # Chosen here, so that a retry after a lost response finds the same request.
            "correlationId": run.handle.correlation_id,
            "claimant": run.handle.claimant,
            "timeoutSeconds": self.timeout,
            "reason": self.reason,
            "onBehalfOf": self.on_behalf_of,
            "supersedes": self.supersedes,
            "callback": self._callback(),
        }
        request = {name: value for name, value in request.items() if value is not None}
        try:
            rfc8785.dumps(request)
        except rfc8785.CanonicalizationError as error:  # half of a surrogate pair, or NaN, in a setting
            raise Refused(Reason.INVALID, f"a setting cannot be written as JSON: {error}") from None
        return request
