"""OpenAI Agents SDK: tools whose functions are not yours, such as those of another package.

    Agent("UserManager", tools=gate_tools([delete_user], oversight))

The function of your own needs none of this: put `@function_tool` above `@approval_gate`.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from agents import FunctionTool, Tool
from agents.tool_context import ToolContext

from human_oversight.strict_json import StrictJsonError, loads

from .oversight import Oversight

__all__ = ["Oversight", "gate_tools"]


def gate_tools(tools: Iterable[Tool], oversight: Oversight) -> list[Tool]:
    """The tools, of which the named ones run after a person approved exactly their arguments.

    A tool that returns its failure as text, as this SDK's tools do by default, counts as executed.

    Raises:
        TypeError: if a named tool is not among them, or has no function to gate, as a shell or a hosted tool.
    """
    tools = list(tools)
    others = {tool.name for tool in tools if not isinstance(tool, FunctionTool)}
    oversight.require({tool.name for tool in tools} - others)
    return [
        _gate(tool, oversight) if isinstance(tool, FunctionTool) and tool.name in oversight else tool for tool in tools
    ]


def _gate(tool: FunctionTool, oversight: Oversight) -> FunctionTool:
    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        try:
            parameters = loads(arguments or "{}")
        except StrictJsonError as error:
            return f"Not run: the arguments are invalid. Correct them before you try again. {error}"

        async def execute() -> Any:
            return await tool.on_invoke_tool(context, arguments)

        return await oversight.run_async(tool.name, parameters, (context.tool_call_id,), execute)

    return dataclasses.replace(tool, on_invoke_tool=invoke)
