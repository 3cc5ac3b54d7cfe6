"""`approval_gate`: a function that runs only after a person approved exactly its arguments."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, ParamSpec, TypeVar, cast

from .arguments import Signature
from .call import Call
from .connection import OnPending
from .context import current_correlation_id, proof_scope
from .errors import SettingsError
from .gate import Gate
from .logs import log_refusal
from .options import check_callback, check_on_pending, check_seconds, check_texts, to_list
from .parameters import ParametersError
from .pending import execute, execute_async
from .refusal import Reason, RefusalText, Refused, from_error

P = ParamSpec("P")
T = TypeVar("T")

_WORDS: Any = object()
"""The default of `refusal_return_value`."""


def approval_gate(
    agent_name: str,
    action_description: str | Callable[..., str],
    approver_emails: Iterable[str] | None = None,
    refusal_return_value: Any = _WORDS,
    *,
    timeout: int | None = None,
    reason: str | Callable[..., str] | None = None,
    skip: Collection[str] = (),
    gate: Gate | None = None,
    on_refusal: Literal["return", "raise"] = "return",
    wait: bool | float = True,
    correlation_id: str | Callable[..., str] | None = None,
    on_behalf_of: str | Callable[..., str] | None = None,
    on_pending: OnPending | None = None,
    supersedes: str | Callable[..., str | None] | None = None,
    callback: str | Mapping[str, str] | Callable[..., str | Mapping[str, str]] | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Gates a function, a method or a coroutine function. Put it innermost, below a framework's own decorator.

    A call waits until a person has decided. With a verified approval of exactly these arguments the function runs,
    once, and the outcome is reported to the gate. Everything else is a refusal.

    Args:
        agent_name: the agent's name.
        action_description: one line that tells people what the action is.
        approver_emails: the approvers; the default is the gate's (`APPROVER_EMAILS`).
        refusal_return_value: what a refused call returns: a value, or a function of the `Refused`. The default is the
            refusal in words for a model, a `RefusalText`.
        timeout: the time for a decision in seconds; the default is the gate's.
        reason: why the agent wants this, shown as not verified.
        skip: arguments that are not part of the decision, such as a connection. `self`, and what the annotations or the
            values show to be a framework's context, are left out anyway.
        gate: the gate; the default is that of `Gate.scope`, or of the environment (`HO_URL`, `HO_KEY`).
        on_refusal: `raise` raises the `Refused` instead. Most frameworks hide an exception's text from the model, and
            ask it to try again.
        wait: `False`, or seconds: without a decision by then, the call raises `Undecided`. The same call again, under
            the same `correlation_id` or `tool_call`, goes on waiting. Without either it asks people again, and only
            `Undecided.pending` goes on.
        correlation_id: a name of your own for each call; the default is that of `tool_call`, or a fresh one.
        on_behalf_of: the address of the person the agent acts for, who cannot be an approver.
        on_pending: called when the request was submitted, and while it is pending. It must not block.
        supersedes: the id of the earlier request whose place the call takes, such as `Refused.id`: the approvers see
            what changed.
        callback: where the gate calls when there is news of the request, as in `Gate.action`. With `wait=False`, the
            same call again then goes on.

    `action_description`, `reason`, `correlation_id`, `on_behalf_of`, `supersedes` and `callback` may be functions of
    the call's arguments.
    """
    if on_refusal not in ("return", "raise"):
        raise ValueError('on_refusal must be "return" or "raise"')
    _check_types(agent_name, skip, gate, wait)
    approvers = None if approver_emails is None else to_list("approver_emails", approver_emails)
    texts = {"action_description": action_description, "reason": reason, "correlation_id": correlation_id}
    given = texts | {"on_behalf_of": on_behalf_of, "supersedes": supersedes}
    check_texts(**{name: text for name, text in given.items() if not callable(text)})
    check_seconds("timeout", timeout)
    check_callback(None if callable(callback) else callback)
    check_on_pending(on_pending)

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        _check_function(function)
        signature = Signature(function, skip)

        def prepare(args: Any, kwargs: Any) -> Call:
            def value(setting: Any) -> Any:
                return setting(*args, **kwargs) if callable(setting) else setting

            parameters = signature.parameters(args, kwargs)
            action = (gate or Gate.current()).action(
                agent_name,
                value(action_description),
                approvers,
                timeout=timeout,
                reason=value(reason),
                on_behalf_of=value(on_behalf_of),
                correlation_id=current_correlation_id() if (named := value(correlation_id)) is None else named,
                on_pending=on_pending,
                supersedes=value(supersedes),
                callback=value(callback),
            )
            if not parameters.are_unchanged(signature.parameters(args, kwargs)):
                raise SettingsError("a function of the settings has changed the arguments of the call")
            return Call(action, parameters, lambda: signature.parameters(args, kwargs), _seconds(wait))

        def refuse(refused: Refused) -> Any:
            log_refusal(refused)
            if on_refusal == "raise":
                raise refused
            if refusal_return_value is _WORDS:
                return RefusalText(refused)
            return refusal_return_value(refused) if callable(refusal_return_value) else refusal_return_value

        @functools.wraps(function)
        def gated(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                permit = _prepared(prepare, args, kwargs).claim()
            except Refused as refused:
                return cast(T, refuse(refused))
            with proof_scope(permit.proof):
                return execute(permit, lambda: function(*args, **kwargs))

        @functools.wraps(function)
        async def gated_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                permit = await _prepared(prepare, args, kwargs).claim_async()
            except Refused as refused:
                return refuse(refused)
            with proof_scope(permit.proof):
                return await execute_async(permit, lambda: cast(Any, function(*args, **kwargs)))

        return cast(Callable[P, T], gated_async) if _is_async(function) else gated

    return decorate


def _prepared(prepare: Callable[[Any, Any], Call], args: Any, kwargs: Any) -> Call:
    try:
        return prepare(args, kwargs)
    except ParametersError as error:
        raise Refused(Reason.INVALID, str(error)) from None
    except SettingsError as error:
        raise from_error(error) from None


def _seconds(wait: bool | float) -> float | None:
    if wait is True:
        return None
    return 0.0 if wait is False else wait


def _check_types(agent_name: Any, skip: Any, gate: Any, wait: Any) -> None:
    if not isinstance(agent_name, str):
        raise TypeError("agent_name must be a text")
    if isinstance(skip, str):
        raise TypeError("skip must be a list of names, not one text")
    if gate is not None and not isinstance(gate, Gate):
        raise TypeError("gate must be a Gate")
    if not isinstance(wait, int | float) or not wait >= 0:  # as NaN is not
        raise TypeError("wait must be True, False or seconds, and not negative")


def _check_function(function: Any) -> None:
    if isinstance(function, (staticmethod, classmethod)):
        raise TypeError(f"put @approval_gate below @{type(function).__name__}")
    if not callable(function) or inspect.isclass(function):
        raise TypeError("approval_gate gates functions: put it innermost, below a framework's decorator")
    called = (inspect.unwrap(function), inspect.unwrap(type(function).__call__))
    if any(inspect.isgeneratorfunction(it) or inspect.isasyncgenfunction(it) for it in called):
        raise TypeError(
            "approval_gate cannot gate a generator: it runs when no one can know any more what was approved"
        )


def _is_async(function: Any) -> bool:
    candidates = (function, inspect.unwrap(function), getattr(function, "__call__", None))  # noqa: B004
    return any(inspect.iscoroutinefunction(it) for it in candidates)
