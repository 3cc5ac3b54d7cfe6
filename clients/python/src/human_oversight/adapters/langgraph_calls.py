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


def refuse_among_others(request: Request) -> Any:
    """A refusal, if the task may have other calls, whose results an interrupt would throw away."""
    is_sent, state = request.runtime.config["metadata"]["langgraph_path"][0] == "__pregel_push", request.state
    members = state if isinstance(state, dict) else {"messages": state} if isinstance(state, list) else vars(state)
    messages = members.get("messages")
    is_alone = is_sent or (messages and len(messages[-1].tool_calls) == 1)
    return None if is_alone else message(request, "Not run: call this tool alone. No one was asked.")


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
    name, id_ = request.tool_call["name"], request.tool_call["id"]
    return ToolMessage(result, name=name, tool_call_id=id_, status="error") if isinstance(result, str) else result
