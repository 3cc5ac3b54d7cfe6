"""What a call of a `ToolNode` says of itself, and what its graph gets of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.errors import GraphInterrupt
from langgraph.prebuilt.tool_node import ToolCallRequest as Request
from langgraph.types import interrupt

from human_oversight.pending import Undecided

from .oversight import Failed


def describe(request: Request) -> tuple[str, dict[str, Any], tuple[str | None, ...]]:
    thread = request.runtime.config.get("configurable", {}).get("thread_id")
    return request.tool_call["name"], request.tool_call["args"], (thread, request.tool_call["id"])


@contextmanager
def interrupting(request: Request) -> Iterator[None]:
    """Interrupts the graph if there is no decision yet."""
    try:
        yield
    except Undecided as undecided:
        interrupt({"tool": request.tool_call["name"], "request": undecided.pending.handle.id})


@contextmanager
def running() -> Iterator[None]:
    """Ends a tool that interrupts the graph: the resume would find its approval used up."""
    try:
        yield
    except GraphInterrupt:
        raise RuntimeError("a gated tool cannot interrupt the graph: ask before it runs, or in another tool") from None


def succeeded(result: Any) -> Any:
    """The tool's result, unless the node made it of an error: of invalid arguments, or of what the tool raised."""
    for it in result if isinstance(result, list) else [result]:
        if isinstance(it, ToolMessage) and it.status == "error":
            raise Failed(str(it.content), result)
    return result


def message(request: Request, result: Any) -> Any:
    call = request.tool_call
    is_refusal = isinstance(result, str)
    return ToolMessage(result, name=call["name"], tool_call_id=call["id"], status="error") if is_refusal else result
