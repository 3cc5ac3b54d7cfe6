"""Microsoft Agent Framework: a tool that runs only after a person approved.

pip install agent-framework-core agent-framework-openai human_oversight-0.1.0-py3-none-any.whl
"""

import asyncio

from agent_framework import Agent

from human_oversight import approval_gate


@approval_gate("UserManager", "Delete User Account")
def delete_user(user_id: str) -> str:
    """Deletes a user."""
    return f"User {user_id} deleted."


if __name__ == "__main__":
    from agent_framework.openai import OpenAIChatClient

    agent = Agent(OpenAIChatClient(), tools=[delete_user])
    print(asyncio.run(agent.run("Delete user 1.")))
