"""How the adapter of the OpenAI Agents SDK names a call of a tool, and what the model reads of an invalid one."""

from typing import Any

from agents import FunctionTool, ModelBehaviorError
from agents.tool import default_tool_error_function, resolve_function_tool_failure_error_function
from agents.tool import maybe_invoke_function_tool_failure_error_function as explain
from agents.tool_context import ToolContext

from .oversight import named


def names(context: ToolContext[Any]) -> tuple[str, ...]:
    """The conversation, if the run names it, and the call."""
    return named(context.run_config.group_id if context.run_config else None, context.tool_call_id)


async def invalid(tool: FunctionTool, context: ToolContext[Any], error: Exception) -> Any:
    """What the tool makes of an invalid call; by default, the SDK keeps from the model what it is to correct."""
    is_default = resolve_function_tool_failure_error_function(tool, context) is default_tool_error_function
    if is_default and isinstance(error, ModelBehaviorError):
        return f"Not run: the arguments are invalid. Correct them before you try again. {error}"
    text = await explain(function_tool=tool, context=context, error=error)
    if text is None:
        raise error
    return text
