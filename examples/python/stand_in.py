"""Stand-ins for a chat model and for GitHub, for `--offline`: the demos call them over HTTP, as the real services."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Call:
    """What a model answers instead of text: a call of a tool."""

    tool: str
    arguments: dict[str, Any]


Script = Callable[[str, str, list[str]], "str | Call"]
"""The instructions, what the user said last, and the results of the calls since then: what the model answers."""


def start(script: Script, files: dict[str, str] | None = None) -> str:
    """Starts both in this process, and returns their address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path.endswith("/gists"):
                self.answer({"html_url": "https://gist.github.com/example/1"}, 201)
            else:
                self.answer(complete(script, body["messages"]))

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/search/code":
                items = [{"repository": {"full_name": "example/server"}, "path": name} for name in files or {}]
                self.answer({"items": items})
            else:
                self.answer({"content": (files or {})[path.partition("/contents/")[2]]})

        def answer(self, value: Any, status: int = 200) -> None:
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def complete(script: Script, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """A chat completion, as OpenAI and Azure OpenAI answer it."""
    last_user = max(index for index, message in enumerate(messages) if message["role"] == "user")
    instructions = next((to_text(it) for it in messages if it["role"] in ("system", "developer")), "")
    results = [to_text(message) for message in messages[last_user:] if message["role"] == "tool"]
    answer = script(instructions, to_text(messages[last_user]), results)
    if isinstance(answer, str):
        message = {"role": "assistant", "content": answer}
    else:
        function = {"name": answer.tool, "arguments": json.dumps(answer.arguments)}
        call = {"id": f"call_{len(messages)}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "stop" if isinstance(answer, str) else "tool_calls"}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    base = {"id": "1", "object": "chat.completion", "created": 0, "model": "stand-in"}
    return base | {"choices": [choice], "usage": usage}


def to_text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
