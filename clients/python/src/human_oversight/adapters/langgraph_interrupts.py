"""The interrupts of a gated call: its own, while there is no decision, and none of its tool."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from langgraph.errors import GraphInterrupt
from langgraph.prebuilt.tool_node import ToolCallRequest as Request
from langgraph.types import interrupt

from human_oversight.pending import Undecided


@contextmanager
def interrupting(request: Request) -> Iterator[None]:
    """Interrupts the graph if there is no decision yet."""
    try:
        yield
    except Undecided as undecided:
        interrupt(_describe(request, undecided.pending.handle.id))


@contextmanager
def running(request: Request, *, is_resumed: bool) -> Iterator[None]:
    """Ends a tool that interrupts the graph: the resume would find its approval used up.

    The resumes that collected the decision are used up first: LangGraph would give them to the tool as its answers.
    """
    try:
        if is_resumed:
            with suppress(GraphInterrupt):
                while True:
                    interrupt(_describe(request, None))
        yield
    except GraphInterrupt:
        raise RuntimeError("a gated tool cannot interrupt the graph: ask before it runs, or in another tool") from None


def _describe(request: Request, id_: str | None) -> dict[str, Any]:
    return {"tool": request.tool_call["name"], "request": id_}
