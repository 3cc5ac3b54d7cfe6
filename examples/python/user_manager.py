"""A chat model administers users with the tools of an OpenAI client. It may list users; deleting one takes a person.

    HO_URL=http://127.0.0.1:7071 APPROVER_EMAILS=approver@example.com python user_manager.py [--offline]

Online it takes AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and AZURE_OPENAI_DEPLOYMENT_NAME.
"""

import json
import os
import sys
from typing import Any

import openai
import stand_in

from human_oversight import Approval, approval_gate

USERS = {
    "1": "former-contractor@example.com",
    "2": "accounting@example.com",
    "3": "support@example.com",
}


def list_users() -> str:
    return json.dumps(USERS)


def tell(approval: Approval) -> None:
    print(f"Waiting for a person to decide, until {approval.expires_at:%Y-%m-%d %H:%M} UTC", flush=True)


@approval_gate(agent_name="UserManagerAgent", action_description="Delete User Account", on_pending=tell)
def delete_user(user_id: str) -> str:
    user = USERS.pop(user_id, None)
    return f"User {user_id} ({user}) deleted." if user else f"There is no user {user_id}."


TOOLS = {"list_users": list_users, "delete_user": delete_user}


def schema(name: str, description: str, **properties: Any) -> Any:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


SCHEMAS = [
    schema("list_users", "All users, by id."),
    schema("delete_user", "Deletes a user, after a person approved.", user_id={"type": "string"}),
]


def converse(client: openai.OpenAI, model: str, prompt: str) -> str:
    """Calls the model, and the tools that it names, until it answers in words."""
    messages: list[Any] = [
        {"role": "system", "content": "You administer users. If an action was refused, say why, word for word."},
        {"role": "user", "content": prompt},
    ]
    while True:
        message = client.chat.completions.create(model=model, messages=messages, tools=SCHEMAS).choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content or ""
        for call in message.tool_calls:
            print(f"Agent calls {call.function.name}({call.function.arguments})", flush=True)
            result = TOOLS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def script(_: str, __: str, results: list[str]) -> "str | stand_in.Call":
    """The model of `--offline`."""
    if not results:
        return stand_in.Call("list_users", {})
    if len(results) == 1:
        users = json.loads(results[0])
        return stand_in.Call("delete_user", {"user_id": next(id_ for id_ in users if "contractor" in users[id_])})
    return f"I asked for the deletion. {results[-1]}"


def main() -> None:
    is_offline = sys.argv[1:] == ["--offline"]
    client = openai.AzureOpenAI(
        azure_endpoint=stand_in.start(script) if is_offline else os.environ["AZURE_OPENAI_ENDPOINT"],
        api_key="none" if is_offline else os.environ["AZURE_OPENAI_API_KEY"],
        api_version="2024-10-21",
    )
    model = "stand-in" if is_offline else os.environ["AZURE_OPENAI_DEPLOYMENT_NAME"]
    print(f"Agent: {converse(client, model, 'Delete the account of the former contractor.')}")
    print(f"Users: {json.dumps(USERS)}")


if __name__ == "__main__":
    main()
