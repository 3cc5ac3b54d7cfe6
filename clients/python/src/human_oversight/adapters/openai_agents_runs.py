"""Runs an approved tool of the OpenAI Agents SDK."""

import copy
import inspect
from typing import Any

from agents import FunctionTool
from agents.agent_tool_state import get_agent_tool_state_scope, peek_agent_tool_run_result
from agents.tool import default_tool_timeout_error_message as say_timeout
from agents.tool import invoke_function_tool
from agents.tool import maybe_invoke_function_tool_failure_error_function as explain
from agents.tool import set_function_tool_failure_error_function as explain_by
from agents.tool_context import ToolContext

from .openai_agents_arguments import Got
from .openai_agents_binding import bind
from .oversight import Failed


async def run(tool: FunctionTool, context: ToolContext[Any], arguments: str, got: Got | None) -> Any:
    """The tool's result, or a `Failed` with what the SDK makes of its failure."""
    failures: list[Exception] = []

    async def note(_: Any, error: Exception) -> Any:
        failures.append(error)
        return await explain(function_tool=tool, context=context, error=error)

    async def note_timeout(_: Any, error: Any) -> Any:
        failures.append(error)
        if tool.timeout_error_function is None:
            return say_timeout(tool_name=error.tool_name, timeout_seconds=error.timeout_seconds)
        text = tool.timeout_error_function(context, error)
        return await text if inspect.isawaitable(text) else text

    noting = explain_by(copy.copy(tool), note)
    bind(noting, got)
    if tool.timeout_seconds is None:
        result = await noting.on_invoke_tool(context, arguments)
    else:
        noting.timeout_error_function = note_timeout
        result = await invoke_function_tool(function_tool=noting, context=context, arguments=arguments)
    if _is_interrupted(context):  # a resume would find the approval used up
        raise RuntimeError("a gated agent cannot wait for an approval of the SDK: gate its tools instead")
    if failures:
        raise Failed(str(failures[0]), result)
    return result


def _is_interrupted(context: ToolContext[Any]) -> bool:
    """Whether the tool is an agent that waits for an approval."""
    if context.tool_call is None:
        return False
    inner = peek_agent_tool_run_result(context.tool_call, scope_id=get_agent_tool_state_scope(context))
    return inner is not None and bool(inner.interruptions)
