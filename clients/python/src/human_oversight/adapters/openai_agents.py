"""OpenAI Agents SDK: tools whose functions are not yours, such as those of another package.

    Agent("UserManager", tools=gate_tools([delete_user], oversight))

The function of your own needs none of this: put `@function_tool` above `@approval_gate`.
"""

import copy
import dataclasses
from collections.abc import Iterable
from typing import Any

from agents import FunctionTool, Tool
from agents.tool import maybe_invoke_function_tool_failure_error_function as explain
from agents.tool import set_function_tool_failure_error_function as explain_by
from agents.tool_context import ToolContext

from human_oversight.strict_json import StrictJsonError, loads

from .oversight import Failed, Oversight

__all__ = ["Oversight", "gate_tools"]


def gate_tools(tools: Iterable[Tool], oversight: Oversight) -> list[Tool]:
    """The tools, of which the named ones run after a person approved exactly their arguments.

    Raises:
        TypeError: if a named tool is not among them, or has no function to gate, as a shell or a hosted tool.
    """
    tools = list(tools)
    others = {it.name for it in tools if not isinstance(it, FunctionTool)}
    oversight.require({it.name for it in tools} - others)
    return [_gate(it, oversight) if isinstance(it, FunctionTool) and it.name in oversight else it for it in tools]


def _gate(tool: FunctionTool, oversight: Oversight) -> FunctionTool:
    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        try:
            parameters = loads(arguments or "{}")
        except StrictJsonError as error:
            return f"Not run: the arguments are invalid. Correct them before you try again. {error}"

        async def execute() -> Any:
            failures: list[Exception] = []

            async def note(_: Any, error: Exception) -> Any:
                failures.append(error)
                return await explain(function_tool=tool, context=context, error=error)

            result = await explain_by(copy.copy(tool), note).on_invoke_tool(context, arguments)
            if failures:
                raise Failed(str(failures[0]), result)
            return result

        return await oversight.run_async(tool.name, parameters, (context.tool_call_id,), execute)

    return dataclasses.replace(tool, on_invoke_tool=invoke)
