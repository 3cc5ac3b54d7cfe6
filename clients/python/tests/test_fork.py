"""A process that a gated function, or a program that waits, has forked: it ends nothing of its parent's."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from human_oversight.mock import MockGate

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

GATED = """
import os, sys
from human_oversight import approval_gate

@approval_gate("A", "B")
def work():
    if child := os.fork():
        os.waitpid(child, 0)
        return "the parent's"
    {end}

print(work())
"""

WAITING = """
import asyncio, os, urllib.request
from human_oversight import Gate, flush

cancel = []

async def give_up():
    task = asyncio.ensure_future(pending.claim_async())
    loop = asyncio.get_running_loop()
    cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
    await asyncio.wait([task])

pending = Gate.current().action("A", "B", on_pending=lambda _: [it() for it in cancel]).submit({})
if child := os.fork():
    os.waitpid(child, 0)
    urllib.request.urlopen(os.environ["HO_URL"] + "/api/keys").close()
    print(pending.run(lambda: "the parent's"))
else:
    asyncio.run(give_up())
    flush()
"""

FORKING_CALLBACK = """
import os
from human_oversight import Gate

children = []

def fork(_):
    if children:
        return
    children.append(os.fork())
    if children == [0]:
        raise SystemExit
    os.waitpid(children[0], 0)

print(Gate.current().action("A", "B", on_pending=fork).run({}, lambda: "the parent's"))
"""


class Served:
    """A mock at an address of its own, and the calls that it got."""

    def __init__(self, is_pending: Callable[[list[str]], bool] = lambda _: False) -> None:
        mock, calls = MockGate(), []
        self.mock, self.calls = mock, calls

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                calls.append(self.path.split("/")[2])
                content = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = mock._respond(httpx.Request(self.command, f"http://mock{self.path}", content=content))
                body = json.loads(answer.content)
                if calls[-1] in ("submit", "status") and is_pending(calls):
                    later = datetime.now(timezone.utc) + timedelta(hours=1)
                    body |= {"status": "Pending", "receipt": None, "expiresAt": later.isoformat()}
                written = json.dumps(body).encode()
                self.send_response(answer.status_code)
                self.send_header("content-length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)

            do_GET = do_POST = respond  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, script: str) -> str:
        """The last line of what a program prints."""
        url = f"http://127.0.0.1:{self.server.server_port}"
        env = os.environ | {"HO_URL": url, "HO_ISSUER": "https://mock.invalid", "APPROVER_EMAILS": "a@b.example"}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    servers: list[Served] = []

    def start(*args: Any) -> Served:
        servers.append(Served(*args))
        return servers[-1]

    yield start
    for served in servers:
        served.server.shutdown()


@pytest.mark.parametrize("end", ["sys.exit()", "raise LookupError('of the child')", "return 'the child\\'s'"])
def test_a_child_that_the_function_forks_reports_nothing_for_its_parent(serve: Any, end: str) -> None:
    served = serve()
    assert served.run(GATED.format(end=end)) == "the parent's"
    assert served.calls == ["keys", "submit", "status", "claim", "outcome"]
    assert served.mock.outcomes == ["Executed"]


def test_a_child_that_stops_waiting_withdraws_nothing_of_its_parent(serve: Any) -> None:
    served = serve(lambda calls: calls.count("keys") < 2)  # until the child has ended
    assert served.run(WAITING) == "the parent's"
    assert "withdraw" not in served.calls
    assert served.mock.outcomes == ["Executed"]


def test_a_child_that_a_callback_forks_withdraws_nothing_of_its_parent(serve: Any) -> None:
    served = serve(lambda calls: calls[-1] == "submit")
    assert served.run(FORKING_CALLBACK) == "the parent's"
    assert "withdraw" not in served.calls
    assert served.mock.outcomes == ["Executed"]
