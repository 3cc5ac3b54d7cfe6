"""Which tools of an agent need approval, and how a call of one gets it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from human_oversight.call import Call
from human_oversight.context import proof_scope
from human_oversight.errors import SettingsError
from human_oversight.gate import Gate
from human_oversight.handle import to_correlation_id
from human_oversight.logs import log_refusal
from human_oversight.parameters import Parameters, ParametersError
from human_oversight.pending import execute as execute_under
from human_oversight.pending import execute_async as execute_under_async
from human_oversight.refusal import Reason, Refused, from_error

T = TypeVar("T")


def named(conversation: Any, call: Any) -> tuple[str, ...]:
    """A framework's names of a call: none if it has no id, since the conversation alone names each of its calls."""
    if call in (None, ""):
        return ()
    return tuple(str(it) for it in (conversation, call) if it not in (None, ""))


class Failed(Exception):  # noqa: N818 (what the model reads is in `result`)
    """An action failed, and its framework made a result of that. The text is reported."""

    def __init__(self, text: str, result: Any) -> None:
        super().__init__(text)
        self.result = result


class Oversight:
    """Tools that need approval, by name, each with the line that tells people what it does.

    `wait` is for LangGraph, and for Pydantic AI with stored messages, where the same call comes again and goes on
    waiting. In OpenAI Agents an `Undecided` ends the run, and in the Agent Framework the model reads that the function
    failed: its next call is another request.
    """

    def __init__(
        self,
        agent_name: str,
        actions: Mapping[str, str],
        approver_emails: Iterable[str] | None = None,
        *,
        timeout: int | None = None,
        gate: Gate | None = None,
        wait: float | None = None,
    ) -> None:
        self._agent_name = agent_name
        self._actions = dict(actions)
        self._approvers = None if approver_emails is None else list(approver_emails)
        self._timeout = timeout
        self._gate = gate
        self._wait = wait

    def __contains__(self, tool: str) -> bool:
        return tool in self._actions

    @property
    def may_end_undecided(self) -> bool:
        """Whether a call may end as `Undecided`."""
        return self._wait is not None

    def require(self, gated: Iterable[str]) -> None:
        """Checks that each named tool is one of these: the framework would run another without an approval.

        Raises:
            TypeError: if one is not.
        """
        missing = self._actions.keys() - set(gated)
        if missing:
            raise TypeError(f"there is no tool {', '.join(sorted(missing))} with a function to gate")

    def run(self, tool: str, arguments: Any, names: Sequence[str], execute: Callable[[], T]) -> T | str:
        """The result of `execute`, or the refusal in words. `execute` may raise `Failed`.

        `arguments` may be a function, which reads them again when the approval is there.
        `names` are the framework's names of this call (`named`): if there are any, the same call again is the same
        request.
        """
        try:
            permit = self._call(tool, arguments, names).claim()
        except Refused as refused:
            return words(refused)
        with proof_scope(permit.proof):
            try:
                return execute_under(permit, execute)
            except Failed as failed:
                return cast(T, failed.result)

    async def run_async(
        self, tool: str, arguments: Any, names: Sequence[str], execute: Callable[[], Awaitable[T]]
    ) -> T | str:
        """Like `run`."""
        try:
            permit = await self._call(tool, arguments, names).claim_async()
        except Refused as refused:
            return words(refused)
        with proof_scope(permit.proof):
            try:
                return await execute_under_async(permit, execute)
            except Failed as failed:
                return cast(T, failed.result)

    def _call(self, tool: str, arguments: Any, names: Sequence[str]) -> Call:
        def read() -> Parameters:
            return Parameters(arguments() if callable(arguments) else arguments)

        try:
            if self.may_end_undecided and not names:
                raise ParametersError("the call has no id, by which it could go on waiting")
            action = (self._gate or Gate.current()).action(
                self._agent_name,
                self._actions[tool],
                self._approvers,
                timeout=self._timeout,
                correlation_id=to_correlation_id(*names) if names else None,
            )
            return Call(action, read(), read, self._wait)
        except ParametersError as error:
            raise Refused(Reason.INVALID, str(error)) from None
        except SettingsError as error:
            raise from_error(error) from None


def words(refused: Refused) -> str:
    """What a model reads of a refusal, which is logged."""
    log_refusal(refused)
    return str(refused)
