"""The OpenAI Agents SDK: a tool that runs only after a person approved.

pip install openai-agents human_oversight-0.1.0-py3-none-any.whl
"""

from agents import Agent, Runner, function_tool

from human_oversight import approval_gate


@function_tool
@approval_gate("UserManager", "Delete User Account")
def delete_user(user_id: str) -> str:
    """Deletes a user."""
    return f"User {user_id} deleted."


agent = Agent("UserManager", tools=[delete_user])

if __name__ == "__main__":
    print(Runner.run_sync(agent, "Delete user 1.").final_output)
