"""LangGraph: a node of tools, of which one runs only after a person approved.

pip install langgraph human_oversight-0.1.0-py3-none-any.whl
"""

from langgraph.prebuilt import ToolNode

from human_oversight import approval_gate


@approval_gate("UserManager", "Delete User Account")
def delete_user(user_id: str) -> str:
    """Deletes a user."""
    return f"User {user_id} deleted."


tools = ToolNode([delete_user])
