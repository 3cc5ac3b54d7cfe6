"""Microsoft Agent Framework: an approved call of a function, whatever a middleware behind the gate makes of it."""

from collections.abc import Awaitable, Callable
from typing import Any

from agent_framework import FunctionInvocationContext, FunctionTool, MiddlewareFailure, UserInputRequiredException

from human_oversight.parameters import Parameters
from human_oversight.permit import NOT_RUN
from human_oversight.refusal import Reason, Refused, unverified

from .oversight import Failed, words

_APPROVED = "human_oversight"  # in the metadata of a call


async def run(context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
    """Calls the function, whose arguments are now those that were approved."""
    context.metadata.setdefault(_APPROVED, []).append(approved := _Approved(context.arguments))
    if not isinstance(context.function.invoke, _Invoke):
        context.function.invoke = _Invoke(context.function)
    try:
        await call_next()
    except UserInputRequiredException:  # whose resume would find the approval used up
        raise MiddlewareFailure("a gated function cannot ask the user: ask before it, or in another one") from None
    finally:
        context.metadata[_APPROVED].remove(approved)
    if not approved.has_run:
        raise Failed(f"{NOT_RUN}: a later middleware kept the function from running", context.result)


class _Approved:
    """The arguments with which a function may run, once."""

    def __init__(self, arguments: Any) -> None:
        self._parameters = Parameters(arguments)
        self.has_run = False

    def use(self, arguments: Any) -> None:
        refused = None
        if self.has_run:
            refused = Refused(Reason.USED, "a later middleware called the function again, which ran once")
        elif not self._parameters.are_unchanged(Parameters(arguments)):
            refused = unverified(f"{NOT_RUN}: a later middleware changed the arguments")
        if refused:
            raise Failed(str(refused.detail), words(refused))
        self.has_run = True


class _Invoke:
    """A function's `invoke`, which runs an approved call only as it was approved."""

    def __init__(self, tool: FunctionTool) -> None:
        self._invoke = tool.invoke

    async def __call__(self, *, arguments: Any = None, context: Any = None, **settings: Any) -> Any:
        for approved in context.metadata.get(_APPROVED, ()) if context else ():
            approved.use(context.arguments if arguments is None else arguments)
        return await self._invoke(arguments=arguments, context=context, **settings)
