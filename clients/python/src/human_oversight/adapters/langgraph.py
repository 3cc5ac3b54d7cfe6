"""LangGraph: a `ToolNode` whose calls are gated.

    StateGraph(MessagesState).add_node("tools", tool_node([delete_user], oversight))

With `Oversight(…, wait=0)` a call without a decision interrupts the graph, and a resume collects the decision. That
needs a checkpointer, `HO_CLAIM_KEY`, and one tool call in each task of the node (as `Send` makes them): an interrupt
throws away the results of the other calls of its task. So a call that has others beside it is refused.

A gated tool cannot interrupt the graph itself: its approval is used up when it begins, so a resume could not run it
again. Let a node before it, or a tool that is not gated, ask with `interrupt`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .langgraph_calls import describe, interrupting, message, refuse_among_others, running, succeeded
from .oversight import Oversight

__all__ = ["Oversight", "tool_node"]


def tool_node(tools: Sequence[Any], oversight: Oversight, **settings: Any) -> ToolNode:
    """A `ToolNode`, of whose tools the named ones run after a person approved exactly their arguments.

    Raises:
        TypeError: if a named tool is not among them.
    """

    def call(request: Request, execute: Callable[[Request], Any]) -> Any:
        def run() -> Any:
            with running():
                return succeeded(execute(request))

        while request.tool_call["name"] in oversight:
            if oversight.may_end_undecided and (refusal := refuse_among_others(request)):
                return refusal
            with interrupting(request):
                return message(request, oversight.run(*describe(request), run))
        return execute(request)

    async def call_async(request: Request, execute: Callable[[Request], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            with running():
                return succeeded(await execute(request))

        while request.tool_call["name"] in oversight:
            if oversight.may_end_undecided and (refusal := refuse_among_others(request)):
                return refusal
            with interrupting(request):
                return message(request, await oversight.run_async(*describe(request), run))
        return await execute(request)

    # Both: with one alone, LangGraph may run a call past it.
    node = ToolNode(tools, wrap_tool_call=call, awrap_tool_call=call_async, **settings)
    oversight.require(node.tools_by_name)
    return node
