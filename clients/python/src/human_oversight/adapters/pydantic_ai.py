"""Pydantic AI: a wrapper of toolsets.

Agent(model, toolsets=[HumanOversight(FunctionToolset([delete_user]), oversight)])
"""

from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset

from .oversight import Oversight

__all__ = ["HumanOversight", "Oversight"]


@dataclass
class HumanOversight(WrapperToolset[Any]):
    """Runs the named tools after a person approved exactly their arguments; the model reads why one did not run."""

    oversight: Oversight

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        async def execute() -> Any:
            return await self.wrapped.call_tool(name, tool_args, ctx, tool)

        if name not in self.oversight:
            return await execute()
        names = (ctx.run_id, ctx.tool_call_id) if ctx.tool_call_id else ()
        return await self.oversight.run_async(name, tool_args, names, execute)
