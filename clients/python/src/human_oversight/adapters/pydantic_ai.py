"""Pydantic AI: a wrapper of toolsets.

Agent(model, toolsets=[HumanOversight(FunctionToolset([delete_user]), oversight)])
"""

from dataclasses import dataclass
from typing import Any

from pydantic_ai import ApprovalRequired, CallDeferred, RunContext
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset

from .oversight import Oversight, named

__all__ = ["HumanOversight", "Oversight"]


@dataclass
class HumanOversight(WrapperToolset[Any]):
    """Runs the named tools after a person approved exactly their arguments; the model reads why one did not run.

    Each named tool must be among those of the toolset in every step, with the name it has there, and not be external,
    or the run ends with a `TypeError`. What renames or leaves out tools belongs around this wrapper.

    The same tool call in the same conversation is the same request, also in a later run with the stored messages, which
    hold the conversation's name. If they do not, give it to `agent.run(…, conversation_id=…)`.

    A gated tool cannot raise `ApprovalRequired`, or the run ends with an error: put `approval_required()` around this
    wrapper. One that raises `CallDeferred` has started its job, and so has run.
    """

    oversight: Oversight

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        tools: dict[str, ToolsetTool[Any]] = await self.wrapped.get_tools(ctx)
        self.oversight.require(name for name, tool in tools.items() if tool.tool_def.kind != "external")
        return tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        async def execute() -> Any:
            try:
                return await self.wrapped.call_tool(name, tool_args, ctx, tool)
            except CallDeferred as deferred:
                return deferred
            except ApprovalRequired:  # whose resume would find this approval used up
                raise RuntimeError("a gated tool cannot ask for approval: ask around this wrapper") from None

        if name not in self.oversight:
            return await self.wrapped.call_tool(name, tool_args, ctx, tool)
        names = named(ctx.conversation_id or ctx.run_id, ctx.tool_call_id)
        result = await self.oversight.run_async(name, tool_args, names, execute)
        if isinstance(result, CallDeferred):
            raise result
        return result
