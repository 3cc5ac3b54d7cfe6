"""LangGraph: a `ToolNode` whose calls are gated.

    StateGraph(MessagesState).add_node("tools", tool_node([delete_user], oversight))

With `Oversight(…, wait=0)` a call without a decision interrupts the graph, and a resume collects the decision. That
needs a checkpointer, `HO_CLAIM_KEY`, and one tool call in each task of the node (as `Send` makes them): an interrupt
throws away the results of the other calls of its task. So a call that has others beside it is refused.

A gated tool cannot interrupt the graph itself, since a resume could not run it again. Ask in a node before it.
"""

from collections.abc import Sequence
from typing import Any

from langgraph.prebuilt import ToolNode

from .langgraph_wrappers import awrap, wrap
from .oversight import Oversight

__all__ = ["Oversight", "awrap", "tool_node", "wrap"]


def tool_node(tools: Sequence[Any], oversight: Oversight, **settings: Any) -> ToolNode:
    """A `ToolNode`, of whose tools the named ones run after approval; a `TypeError` if one is not among them."""
    key = settings.get("messages_key", "messages")
    node = ToolNode(tools, wrap_tool_call=wrap(oversight, key), awrap_tool_call=awrap(oversight, key), **settings)
    oversight.require(node.tools_by_name)
    return node
