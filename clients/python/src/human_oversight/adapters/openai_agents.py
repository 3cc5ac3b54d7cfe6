"""OpenAI Agents SDK: tools whose functions are not yours, such as those of another package.

    Agent("UserManager", tools=gate_tools([delete_user], oversight))

A function of your own needs none of this: put `@function_tool` above `@approval_gate`.

Some models number the calls of each conversation alike. Name the conversation, so that its calls are no other's:
`Runner.run(…, run_config=RunConfig(group_id="thread 7"))`.

A gated tool that is an agent (`as_tool`) cannot wait for an approval of the SDK, or the run ends with an error: gate
the tools of that agent that have `needs_approval` instead.
"""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

from agents import FunctionTool, Tool
from agents.tool_context import ToolContext

from .openai_agents_arguments import reader
from .openai_agents_binding import require_binding
from .openai_agents_calls import invalid, names
from .openai_agents_runs import run
from .oversight import Oversight

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
    read = reader(tool)
    require_binding(tool)

    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        try:
            got, shown = read(arguments)
        except Exception as error:  # of a validator, too
            return await invalid(tool, context, error)
        execute = functools.partial(run, tool, context, arguments, got)
        return await oversight.run_async(tool.name, shown, names(context), execute)

    # The time of a tool is that of its function, without that of the person.
    return dataclasses.replace(tool, on_invoke_tool=invoke, timeout_seconds=None)
