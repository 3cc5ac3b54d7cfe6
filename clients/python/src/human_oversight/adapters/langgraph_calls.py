"""How the adapter of LangGraph names a call of a `ToolNode`, what its graph gets for it, and which it refuses."""

from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.errors import ParentCommand
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .oversight import Failed, Oversight, named


def describe(request: Request, arguments: dict[str, Any]) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    thread = request.runtime.config.get("configurable", {}).get("thread_id")
    return request.tool_call["name"], arguments, named(thread, request.tool_call["id"])


def succeeded(result: Any) -> Any:
    """The tool's result, unless the node made it of an error: of invalid arguments, or of what the tool raised."""
    for it in result if isinstance(result, list) else [result]:
        if isinstance(it, ToolMessage) and it.status == "error":
            raise Failed(str(it.content), result)
    return result


def message(request: Request, result: Any) -> Any:
    """The result, or a message that has the words of a refusal. Raises what the tool ended with instead of a result."""
    if isinstance(result, ParentCommand):
        raise result
    name, id_ = request.tool_call["name"], request.tool_call["id"]
    return ToolMessage(result, name=name, tool_call_id=id_, status="error") if isinstance(result, str) else result


def refuse(request: Request, execute: Any, oversight: Oversight, messages_key: str) -> Any:
    """A refusal of a call that cannot be gated, if it is one.

    Raises:
        TypeError: if another wrapper gets the call before the node.
    """
    if getattr(execute, "__module__", None) != ToolNode.__module__:
        raise TypeError("another wrapper stands between the gate and the ToolNode: the gate must be the innermost")
    if request.tool is None:
        return message(request, "Not run: there is no such tool. No one was asked.")
    if oversight.may_end_undecided and not _is_alone(request, messages_key):
        return message(request, "Not run: call this tool alone. No one was asked.")
    return None


def _is_alone(request: Request, messages_key: str) -> bool:
    """Whether the task has no other calls, whose results an interrupt would throw away."""
    if request.runtime.config["metadata"]["langgraph_path"][0] == "__pregel_push":
        return True
    state = request.state
    members = state if isinstance(state, dict) else {messages_key: state} if isinstance(state, list) else vars(state)
    calls = (it.tool_calls for it in reversed(members.get(messages_key) or ()) if isinstance(it, AIMessage))
    return len(next(calls, ())) == 1
