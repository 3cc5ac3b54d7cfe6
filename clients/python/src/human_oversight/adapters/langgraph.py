"""LangGraph: wrappers of the calls of a `ToolNode`.

    ToolNode(tools, wrap_tool_call=wrap(oversight), awrap_tool_call=awrap(oversight))

With `Oversight(…, wait=0)` a call without a decision interrupts the graph, and a resume collects the decision. That
needs a checkpointer, `HO_CLAIM_KEY`, and one tool call in each task of the node (as `Send` makes them): an interrupt
throws away the results of the other calls of its task.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest as Request
from langgraph.types import interrupt

from human_oversight.pending import Undecided

from .oversight import Oversight

__all__ = ["Oversight", "awrap", "wrap"]


def wrap(oversight: Oversight) -> Callable[[Request, Callable[[Request], Any]], Any]:
    def call(request: Request, execute: Callable[[Request], Any]) -> Any:
        while request.tool_call["name"] in oversight:
            try:
                return _message(request, oversight.run(*_describe(request), lambda: execute(request)))
            except Undecided as undecided:
                interrupt({"tool": request.tool_call["name"], "request": undecided.pending.handle.id})
        return execute(request)

    return call


def awrap(oversight: Oversight) -> Callable[[Request, Callable[[Request], Awaitable[Any]]], Any]:
    async def call(request: Request, execute: Callable[[Request], Awaitable[Any]]) -> Any:
        while request.tool_call["name"] in oversight:
            try:
                return _message(request, await oversight.run_async(*_describe(request), lambda: execute(request)))
            except Undecided as undecided:
                interrupt({"tool": request.tool_call["name"], "request": undecided.pending.handle.id})
        return await execute(request)

    return call


def _describe(request: Request) -> tuple[str, dict[str, Any], tuple[str | None, ...]]:
    thread = request.runtime.config.get("configurable", {}).get("thread_id")
    return request.tool_call["name"], request.tool_call["args"], (thread, request.tool_call["id"])


def _message(request: Request, result: Any) -> Any:
    call = request.tool_call
    is_refusal = isinstance(result, str)
    return ToolMessage(result, name=call["name"], tool_call_id=call["id"], status="error") if is_refusal else result
