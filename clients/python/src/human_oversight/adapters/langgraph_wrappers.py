"""The wrappers of the calls of a `ToolNode`, which gate those of the named tools."""

from collections.abc import Awaitable, Callable
from typing import Any

from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .langgraph_arguments import Arguments
from .langgraph_calls import describe, message, refuse
from .langgraph_interrupts import interrupting
from .langgraph_runs import arun, run
from .oversight import Oversight


def wrap(oversight: Oversight, messages_key: str = "messages") -> Callable[[Request, Callable[[Request], Any]], Any]:
    """For a `ToolNode` made otherwise, which must get `awrap` too: past one alone, LangGraph may run a call. No other
    wrapper may stand between this one and the node, or a call ends the run: it could run before the approval."""

    def call(request: Request, execute: Callable[[Request], Any]) -> Any:
        if request.tool_call["name"] not in oversight:
            return execute(request)
        if refusal := refuse(request, execute, oversight, messages_key):
            return refusal
        arguments = Arguments(request)
        answer = execute(arguments.reading)
        # `interrupt` returns on a resume: then the call is made again.
        while arguments.shown is not None:
            with interrupting(request):
                described = describe(request, arguments.shown)
                result = oversight.run(*described, lambda: run(arguments, execute, oversight))
                return message(request, result)
        return answer

    return call


def awrap(oversight: Oversight, messages_key: str = "messages") -> Callable[[Request, Callable[[Request], Any]], Any]:
    """The same of asynchronous calls."""

    async def call(request: Request, execute: Callable[[Request], Awaitable[Any]]) -> Any:
        if request.tool_call["name"] not in oversight:
            return await execute(request)
        if refusal := refuse(request, execute, oversight, messages_key):
            return refusal
        arguments = Arguments(request)
        answer = await execute(arguments.reading)
        # `interrupt` returns on a resume: then the call is made again.
        while arguments.shown is not None:
            with interrupting(request):
                described = describe(request, arguments.shown)
                result = await oversight.run_async(*described, lambda: arun(arguments, execute, oversight))
                return message(request, result)
        return answer

    return call
