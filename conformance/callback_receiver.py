"""Stands for the web server of an agent: it takes the gate's callbacks, and makes some that the gate did not send."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRETS = {name: f"whsec_{base64.b64encode(text).decode()}" for name, text in {
    "the channel's": b"what the gate and the agent know",
    "a stranger's": b"what a stranger has thought up..",
}.items()}  # fmt: skip


class CallbackReceiver(ThreadingHTTPServer):
    """Keeps each call as the agents get it: `headers`, a list of pairs, and `body`, a text."""

    daemon_threads = True

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def settings_of_gate(self) -> dict[str, str]:
        return {
            "HO_CHANNEL_AGENTS": f"http://127.0.0.1:{self.server_port}/callbacks",
            "HO_CHANNEL_AGENTS_SECRET": SECRETS["the channel's"],
            "HO_CHANNELS_ALLOW_PRIVATE": "1",
        }

    def settings_of_agent(self) -> dict[str, str]:
        return {"HO_CALLBACK_SECRET": SECRETS["the channel's"]}

    def of(self, id_: str) -> dict[str, Any] | None:
        """The gate's first call about this request."""
        return next((it for it in list(self.calls) if approval_id(json.loads(it["body"])["data"]) == id_), None)


def approval_id(data: dict[str, Any]) -> str:
    agent = base64.urlsafe_b64encode(data["agentName"].encode()).decode().rstrip("=")
    return f"{agent}.{data['correlationId']}"


def made_up(agent: str, id_: str, secret: str = "the channel's", age: int = 0) -> dict[str, Any]:
    """A callback that says that a request is approved, signed with a secret, and some seconds ago."""
    data = {"agentName": agent, "correlationId": id_.partition(".")[2], "status": "Approved", "sequence": 9}
    message = {"type": "request.decided", "timestamp": "2026-01-01T00:00:00.000Z", "data": data}
    body, sent = json.dumps(message), str(int(time.time()) - age)
    key = base64.b64decode(SECRETS[secret].removeprefix("whsec_"))
    tag = hmac.digest(key, f"made-up.{sent}.{body}".encode(), hashlib.sha256)
    signature = f"v1,{base64.b64encode(tag).decode()}"
    headers = [["webhook-id", "made-up"], ["webhook-timestamp", sent], ["webhook-signature", signature]]
    return {"headers": headers, "body": body}


class Handler(BaseHTTPRequestHandler):
    server: CallbackReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        self.server.calls.append({"headers": headers, "body": body})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass
