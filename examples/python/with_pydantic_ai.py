"""Pydantic AI: a tool that runs only after a person approved.

pip install pydantic-ai human_oversight-0.1.0-py3-none-any.whl
"""

import os

from pydantic_ai import Agent
from pydantic_ai.toolsets import FunctionToolset

from human_oversight import approval_gate


@approval_gate("UserManager", "Delete User Account")
def delete_user(user_id: str) -> str:
    """Deletes a user."""
    return f"User {user_id} deleted."


tools = FunctionToolset([delete_user])

if __name__ == "__main__":
    agent = Agent(os.environ["MODEL"], toolsets=[tools])
    print(agent.run_sync("Delete user 1.").output)
