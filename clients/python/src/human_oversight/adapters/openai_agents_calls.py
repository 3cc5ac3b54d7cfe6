"""How the adapter of the OpenAI Agents SDK names a call of a tool, and runs it once it is approved."""

import copy
from typing import Any

from agents import FunctionTool
from agents.agent_tool_state import get_agent_tool_state_scope, peek_agent_tool_run_result
from agents.tool import maybe_invoke_function_tool_failure_error_function as explain
from agents.tool import set_function_tool_failure_error_function as explain_by
from agents.tool_context import ToolContext

from .oversight import Failed


def names(context: ToolContext[Any]) -> tuple[str | None, ...]:
    """The conversation, if the run names it, and the call."""
    conversation = context.run_config.group_id if context.run_config else None
    return conversation, context.tool_call_id


async def run(tool: FunctionTool, context: ToolContext[Any], arguments: str) -> Any:
    """The tool's result, or a `Failed` with what the SDK makes of its failure."""
    failures: list[Exception] = []

    async def note(_: Any, error: Exception) -> Any:
        failures.append(error)
        return await explain(function_tool=tool, context=context, error=error)

    result = await explain_by(copy.copy(tool), note).on_invoke_tool(context, arguments)
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
