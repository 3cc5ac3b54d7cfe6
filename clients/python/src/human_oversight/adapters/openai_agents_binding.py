"""The values with which the function of a tool of the OpenAI Agents SDK runs."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from agents import FunctionTool
from agents.tool_context import ToolContext

from human_oversight.permit import NOT_RUN

from .openai_agents_arguments import Got


def require_binding(tool: FunctionTool) -> None:
    """Raises:
    TypeError: if the tool of a function would make the values of its arguments again when it runs.
    """
    if getattr(tool, "__wrapped__", None) is not None and not hasattr(tool.on_invoke_tool, "prepare_arguments"):
        raise TypeError(f"{tool.name} cannot be gated with this version of openai-agents: it needs 0.24")


def bind(tool: FunctionTool, got: Got | None) -> None:
    """Lets a tool of a function take the values that were approved. The SDK would make others of the same arguments
    when the time, a file or a database has changed."""
    if got is not None:
        tool.on_invoke_tool = _bound(tool.name, tool.on_invoke_tool, *got)


def _bound(name: str, invoke: Any, args: list[Any], kwargs: dict[str, Any]) -> Callable[..., Awaitable[Any]]:
    async def call(context: ToolContext[Any], arguments: str) -> Any:
        if not hasattr(context, "_function_tool_arguments"):
            raise TypeError(f"{NOT_RUN}: this version of openai-agents would make the values of the arguments again")
        prepared = invoke.prepare_arguments(arguments, name)
        context._function_tool_arguments = dataclasses.replace(prepared, args=args, kwargs=kwargs)
        return await invoke(context, arguments)

    return call
