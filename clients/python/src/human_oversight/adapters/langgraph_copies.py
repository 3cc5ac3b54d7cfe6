"""Copies of a tool, in the place of the tool, for one call of a `ToolNode`."""

from collections.abc import Callable
from typing import Any

from langgraph.prebuilt.tool_node import ToolCallRequest as Request


def altered(request: Request, **methods: Callable[..., Any]) -> Request:
    """The request for a copy of the tool with methods of its own."""
    tool: Any = request.tool.model_copy()
    for name, method in methods.items():
        object.__setattr__(tool, name, method)
    return request.override(tool=tool)
