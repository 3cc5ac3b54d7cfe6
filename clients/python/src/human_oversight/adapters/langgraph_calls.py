"""How the adapter of LangGraph names a call of a `ToolNode`, and what its graph gets for it."""

from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.errors import ParentCommand
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .oversight import Failed


def describe(request: Request) -> tuple[str, dict[str, Any], tuple[str | None, ...]]:
    thread = request.runtime.config.get("configurable", {}).get("thread_id")
    return request.tool_call["name"], request.tool_call["args"], (thread, request.tool_call["id"])


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
