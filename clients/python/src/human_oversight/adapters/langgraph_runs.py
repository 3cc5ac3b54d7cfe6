"""Runs an approved tool of a `ToolNode`."""

from collections.abc import Awaitable, Callable
from typing import Any

from langgraph.errors import ParentCommand
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .langgraph_arguments import Arguments, altered
from .langgraph_calls import succeeded
from .langgraph_interrupts import running
from .oversight import Oversight


def run(read: Arguments, execute: Callable[[Request], Any], oversight: Oversight) -> Any:
    """The result, or the exception by which a tool that has run goes to another node, for `message` to raise."""
    with running(read.request, is_resumed=oversight.may_end_undecided):
        try:
            return succeeded(execute(_approved(read)))
        except ParentCommand as command:
            return command


async def arun(read: Arguments, execute: Callable[[Request], Awaitable[Any]], oversight: Oversight) -> Any:
    """The same of an asynchronous call."""
    with running(read.request, is_resumed=oversight.may_end_undecided):
        try:
            return succeeded(await execute(_approved(read)))
        except ParentCommand as command:
            return command


def _approved(read: Arguments) -> Request:
    """The request with which the tool's function gets the values that were read. The tool would make others of the same
    arguments when the time, a file or a database has changed."""
    tool: Any = read.request.tool
    args, kwargs = read.got
    methods = {"_run": tool._run, "_arun": tool._arun}  # whose state is the tool's
    return altered(read.request, _to_args_and_kwargs=lambda *_: (args, kwargs.copy()), **methods)
