"""Runs an approved tool of a `ToolNode`."""

from collections.abc import Awaitable, Callable
from typing import Any

from langgraph.errors import ParentCommand
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .langgraph_calls import succeeded
from .langgraph_interrupts import running
from .oversight import Oversight


def run(request: Request, execute: Callable[[Request], Any], oversight: Oversight) -> Any:
    """The result, or the exception by which a tool that has run goes to another node, for `message` to raise."""
    with running(request, is_resumed=oversight.may_end_undecided):
        try:
            return succeeded(execute(request))
        except ParentCommand as command:
            return command


async def arun(request: Request, execute: Callable[[Request], Awaitable[Any]], oversight: Oversight) -> Any:
    """The same of an asynchronous call."""
    with running(request, is_resumed=oversight.may_end_undecided):
        try:
            return succeeded(await execute(request))
        except ParentCommand as command:
            return command
