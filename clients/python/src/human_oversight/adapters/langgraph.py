"""LangGraph: a `ToolNode` whose calls are gated.

    StateGraph(MessagesState).add_node("tools", tool_node([delete_user], oversight))

With `Oversight(…, wait=0)` a call without a decision interrupts the graph, and a resume collects the decision. That
needs a checkpointer, `HO_CLAIM_KEY`, and one tool call in each task of the node (as `Send` makes them): an interrupt
throws away the results of the other calls of its task. So a call that has others beside it is refused.

A gated tool cannot interrupt the graph itself, since a resume could not run it again. Ask in a node before it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .langgraph_calls import describe, message
from .langgraph_interrupts import interrupting, refuse_among_others
from .langgraph_runs import arun, run
from .oversight import Oversight

__all__ = ["Oversight", "awrap", "tool_node", "wrap"]


def tool_node(tools: Sequence[Any], oversight: Oversight, **settings: Any) -> ToolNode:
    """A `ToolNode`, of whose tools the named ones run after approval; a `TypeError` if one is not among them."""
    node = ToolNode(tools, wrap_tool_call=wrap(oversight), awrap_tool_call=awrap(oversight), **settings)
    oversight.require(node.tools_by_name)
    return node


def wrap(oversight: Oversight) -> Callable[[Request, Callable[[Request], Any]], Any]:
    """For a `ToolNode` made otherwise, which must get `awrap` too: past one alone, LangGraph may run a call."""

    def call(request: Request, execute: Callable[[Request], Any]) -> Any:
        while request.tool_call["name"] in oversight:
            if oversight.may_end_undecided and (refusal := refuse_among_others(request)):
                return refusal
            with interrupting(request):
                return message(request, oversight.run(*describe(request), lambda: run(request, execute, oversight)))
        return execute(request)

    return call


def awrap(oversight: Oversight) -> Callable[[Request, Callable[[Request], Awaitable[Any]]], Any]:
    """The same of asynchronous calls."""

    async def call(request: Request, execute: Callable[[Request], Awaitable[Any]]) -> Any:
        while request.tool_call["name"] in oversight:
            if oversight.may_end_undecided and (refusal := refuse_among_others(request)):
                return refusal
            with interrupting(request):
                result = await oversight.run_async(*describe(request), lambda: arun(request, execute, oversight))
                return message(request, result)
        return await execute(request)

    return call
