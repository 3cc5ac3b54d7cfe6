"""Runs an approved tool of a `ToolNode`."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.errors import GraphInterrupt
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .oversight import Failed


def run(request: Request, execute: Callable[[Request], Any]) -> Any:
    """The tool's result, unless the node made it of an error: of invalid arguments, or of what the tool raised."""
    with _refusing_interrupts():
        return _succeeded(execute(request))


async def arun(request: Request, execute: Callable[[Request], Awaitable[Any]]) -> Any:
    """The same of an asynchronous call."""
    with _refusing_interrupts():
        return _succeeded(await execute(request))


@contextmanager
def _refusing_interrupts() -> Iterator[None]:
    """Ends a tool that interrupts the graph: the resume would find its approval used up."""
    try:
        yield
    except GraphInterrupt:
        raise RuntimeError("a gated tool cannot interrupt the graph: ask before it runs, or in another tool") from None


def _succeeded(result: Any) -> Any:
    for it in result if isinstance(result, list) else [result]:
        if isinstance(it, ToolMessage) and it.status == "error":
            raise Failed(str(it.content), result)
    return result
