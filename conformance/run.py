"""Runs the scenarios of `scenarios.json`: a client against a real gate, behind a proxy that loses answers, or lies.

    python3 conformance/run.py [--quick] [--client LANGUAGE] [--only WORDS]
    python3 conformance/run.py --table [--check]
    python3 conformance/run.py -- COMMAND…

Without `COMMAND`, the agents of `clients.json` play them: one small program for each language. README.md says what it
reads and prints.
"""

import argparse
import base64
import concurrent.futures
import email
import email.policy
import hashlib
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from callback_receiver import CallbackReceiver, made_up

FOLDER = Path(__file__).parent
SECONDS = 60
Json = dict[str, Any]


def read_scenarios() -> list[Json]:
    return json.loads((FOLDER / "scenarios.json").read_text())["scenarios"]


def eventually(what: str, look: Any) -> Any:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {SECONDS} s: {what}")


# Below those that the system gives to a connection, or to a server that asks for any: a gate that restarts finds its
# own port free again.
PORTS = itertools.count(random.randrange(10_000, 30_000))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


TENANT = "8a4f1c62-5d3e-4b7a-9c10-2f6e0d8b7a31"
AUDIENCE = "api://human-oversight"
CLAIMS = "http://schemas.microsoft.com/identity/claims"


def principal(roles: list[str]) -> str:
    """The header in which Easy Auth passes the claims of a program's token."""
    claims = {
        "aud": AUDIENCE,
        "idtyp": "app",
        f"{CLAIMS}/objectidentifier": "7d1f0a52-0000-4000-8000-0000000a9e47",
        f"{CLAIMS}/tenantid": TENANT,
    }
    listed = [*claims.items(), *(("roles", role) for role in roles)]
    content = {
        "auth_typ": "aad",
        "claims": [{"typ": typ, "val": val} for typ, val in listed],
        "name_typ": "name",
        "role_typ": "roles",
    }
    return base64.b64encode(json.dumps(content).encode()).decode()


class Gate:
    """The gate as a process, with its folder of emails; where agents have identities, as behind the platform."""

    def __init__(self, program: str, folder: Path, scenario: Json | None = None, more: Json | None = None) -> None:
        self.program, self.folder, self.port = program, folder, str(next(filter(is_free, PORTS)))
        scenario = scenario or {}
        policy, people = scenario.get("policy"), scenario.get("people")
        self.more = dict(more or {}) | ({"HO_POLICY_FILE": str(FOLDER / policy)} if policy else {})
        self.more |= {"HO_ALLOWED_APPROVERS": ",".join(people)} if people else {}
        identity = scenario.get("identity")
        self.agent_headers: dict[str, str] = {}
        self.routes = "/api"
        if identity is not None:
            self.take_identities()
        self.start()

    def take_identities(self) -> None:
        self.more |= {
            "FUNCTIONS_CUSTOMHANDLER_PORT": self.port,
            "HO_AGENT_IDENTITY": "entra",
            "HO_ENTRA_TENANT": TENANT,
            "HO_LOCAL": "1",
            "HO_SWEEP_SCHEDULE": "0 * * * * *",
            "WEBSITE_AUTH_ENABLED": "True",
        }
        self.agent_headers = {"x-ms-client-principal": principal(["Agent.Ask"])}
        self.routes = "/api/agent"

    def start(self) -> None:
        env = {
            "HO_PORT": self.port,
            "HO_STORE": f"embedded:{self.folder}/store",
            "HO_MAIL": f"file:{self.folder}/mail",
            **self.more,
        }
        self.process = subprocess.Popen([self.program], env=env, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r'url="(http[^"]*)"', line):
                self.url = found[1]
                break
        else:
            raise AssertionError("the gate does not start")
        # Drained, or the gate would block on its log.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def operate(self, arguments: list[str]) -> None:
        command = [self.program, arguments[0], "--url", self.url, *arguments[1:]]
        done = subprocess.run(command, env={"HO_MASTER_KEY": "none"}, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done

    def questions(self, to: str = "") -> list[str]:
        """The texts of the emails that ask this person, or anyone, for a decision."""
        mails = [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in self.folder.glob("mail/*.eml")
        ]
        asking = [mail for mail in mails if not mail["in-reply-to"] and to in mail["to"]]
        return [mail.get_body(("plain",)).get_content() for mail in asking]

    def question(self, id_: str, to: str) -> str | None:
        return next((text for text in self.questions(to) if f"/api/decision/{id_}?" in text), None)

    def decide(self, id_: str, verdict: str, comment: str, by: str = "", question: str = "") -> None:
        """As an approver does: reads the email, opens its link, posts the form."""
        self.post(id_, by, {"decision": verdict, "comment": comment, "revise": question})

    def hand_over(self, id_: str, giver: str, receiver: str) -> None:
        fields = {"decision": "hand-over", "hand_over": receiver, "reason": "I am on leave"}
        self.post(id_, giver, fields, after='id="hand-over"')

    def post(self, id_: str, by: str, fields: Json, after: str = "<form") -> None:
        """Posts the first form of the page after a text."""
        text = eventually(f"an email about {id_}", lambda: self.question(id_, by))
        link = re.search(r"\S+/api/decision/\S+", text)[0]
        code = re.search(r"type this code there:\s*(\d{6})", text)[1]
        with urllib.request.urlopen(link) as page:
            _, _, html = page.read().decode().partition(after)
        hidden = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', html.partition("</form>")[0])
        address, _, k = link.partition("?k=")
        form = {**dict(hidden), "k": urllib.parse.unquote(k), "code": code, **fields}
        request = urllib.request.Request(address, urllib.parse.urlencode(form).encode(), {"origin": self.url})
        with urllib.request.urlopen(request) as page:
            assert page.status == 200, page.status

    def status(self, id_: str, key: str | None = None) -> Json:
        headers = self.agent_headers if key is None else {"x-functions-key": key}
        request = urllib.request.Request(f"{self.url}{self.routes}/status/{id_}", headers=headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


class Delay:
    """Of calls that are on the way to the gate."""

    def __init__(self) -> None:
        self.arrived, self.ended = threading.Event(), threading.Event()


class Proxy(ThreadingHTTPServer):
    """Stands between agent and gate."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, gate: Gate, identity: Json | None = None) -> None:
        self.gate = gate
        self.identity = identity
        self.lost: set[str] = set()
        self.held: set[str] = set()
        self.delayed: dict[str, Delay] = {}
        self.lies: dict[str, Json] = {}
        self.recorded: dict[tuple[str, str], Json] = {}
        self.ids: dict[str, str] = {}
        self.submitted: Json = {}
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # the agent was killed
            super().handle_error(request, client_address)

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, bytes, str | None]:
        """The gate's answer, or a lie."""
        call, rest = split(path)
        lie = self.lies.get(call, {})
        if call == "submit":
            self.submitted = json.loads(body)
        if "request" in lie:
            body = json.dumps(json.loads(body) | lie["request"]).encode()
        status, text, retry_after = self.forward(method, path, body, token)
        answer = json.loads(text)
        id_ = answer.get("id", rest.partition("?")[0])
        if status < 300:
            self.recorded.setdefault((id_, call), answer)
        if lie:
            if status >= 300 and "status" in lie:  # from what the gate said before
                answer = self.recorded.get((id_, "submit"), {})
            told = self.resolve(lie.get("answer", {}))
            text = json.dumps(answer | told).encode()
            status = lie.get("status", status)
        return status, text, retry_after

    def resolve(self, told: Any, member: str | None = None) -> Any:
        """A value of a lie: that of the scenario, or from what was recorded."""
        if not isinstance(told, dict):
            return told
        if told.get("recorded") == "digest of the request":
            canonical = json.dumps(
                self.submitted["parameters"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
            )
            return hashlib.sha256(canonical.encode()).hexdigest()
        if "recorded" in told:
            answer = self.recorded[self.ids[told["recorded"]], told["call"]]
            return answer if member is None else answer[member]
        return {name: self.resolve(value, name) for name, value in told.items()}

    def forward(self, method: str, path: str, body: bytes, token: str) -> tuple[int, bytes, str | None]:
        headers = {"content-type": "application/json"}
        if self.identity is not None and token == TOKEN:  # as Easy Auth does
            headers["x-ms-client-principal"] = principal(self.identity.get("roles", ["Agent.Ask"]))
        connection = HTTPConnection("127.0.0.1", int(self.gate.port), timeout=SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers["retry-after"]
        finally:
            connection.close()


def split(path: str) -> tuple[str, str]:
    """The name of a call, and what follows it."""
    call, _, rest = path.removeprefix("/api/").removeprefix("agent/").partition("/")
    return call.partition("?")[0], rest


TOKEN = "an.access.token"
IDENTITY_HEADER = "a secret of the machine"


class ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/identity?"):
            self.respond_with_token()
            return
        call, _ = split(self.path)
        if delay := self.server.delayed.get(call):
            delay.arrived.set()
            delay.ended.wait(SECONDS)
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        try:
            status, text, retry_after = self.server.answer(self.command, self.path, body, token)
        except (OSError, HTTPException):  # the gate restarts
            self.close_connection = True
            return
        if call in self.server.held:
            threading.Event().wait(SECONDS)
        if call in self.server.lost:
            self.server.lost.discard(call)
            status, text, retry_after = 502, b"", None
        self.send_response(status)
        if retry_after:
            self.send_header("retry-after", retry_after)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text)
        except OSError:  # the agent was killed
            self.close_connection = True

    def respond_with_token(self) -> None:
        """As the endpoint of a managed identity does, in App Service."""
        query = urllib.parse.parse_qs(self.path.partition("?")[2])
        known = query["resource"] == [AUDIENCE] and self.headers["x-identity-header"] == IDENTITY_HEADER
        known = known and self.server.identity.get("token", True)
        answer = {
            "access_token": TOKEN,
            "expires_on": str(int(time.time()) + 3600),
            "resource": AUDIENCE,
            "token_type": "Bearer",
        }
        text = json.dumps(answer if known else {"error": "invalid_request"}).encode()
        self.send_response(200 if known else 400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = respond

    def log_message(self, *_: Any) -> None:
        pass


class Agent:
    """The client under test, as a process."""

    def __init__(self, command: list[str], order: Json, env: Json) -> None:
        self.events: list[Json] = []
        self.process = subprocess.Popen(
            command, cwd=FOLDER.parent, env=os.environ | env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.tell(order)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def tell(self, order: Json) -> None:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def read(self) -> None:
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def of(self, event: str) -> list[Json]:
        return [it for it in list(self.events) if it["event"] == event]

    def pending(self) -> list[Json]:
        return self.found("a pending request", lambda: self.of("pending") or self.of("end"))

    def found(self, what: str, look: Callable[[], list[Json]]) -> list[Json]:
        """What `look` finds: nothing if the process ends without it."""
        if eventually(what, lambda: look() or self.process.poll() is not None) is True:
            self.reader.join()
        return look()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.reader.join()


class Scenario:
    """One run of one scenario."""

    def __init__(self, scenario: Json, program: str, command: list[str], folder: Path) -> None:
        self.scenario, self.command = scenario, command
        self.request = json.loads((FOLDER / "scenarios.json").read_text())["request"]
        self.identity: Json | None = scenario.get("identity")
        self.folder = folder
        self.endpoint: Any = None
        self.receiver = CallbackReceiver()
        self.gate = Gate(program, folder, scenario, self.receiver.settings_of_gate())
        self.proxy = Proxy(self.gate, self.identity)
        self.agents: dict[str, Agent] = {}
        self.requests: dict[str, Json] = {}
        self.handles: dict[str, list[Json]] = {}
        self.runs: dict[str, int] = {}

    def play(self) -> None:
        try:
            for step in self.scenario["steps"]:
                name = next(iter(step))
                getattr(self, f"step_{name}")(step[name], step)
        finally:
            for agent in self.agents.values():
                agent.stop()
            self.proxy.shutdown()
            self.receiver.shutdown()
            if self.endpoint:
                self.endpoint.shutdown()
            self.gate.stop()

    def step_start(self, name: str, step: Json) -> None:
        if not step.get("resume"):
            self.requests[name] = self.request | step.get("request", {})
        order = {**self.requests[name], "copies": step.get("copies", 1), "fails": step.get("fails")}
        if step.get("resume"):
            order["handle"] = self.handles[name][0]
        if superseded := step.get("supersedes"):  # the id that the refusal has
            order["supersedes"] = self.agents[superseded].of("end")[0]["id"]
        env = (
            {"HO_URL": self.proxy.url}
            | self.receiver.settings_of_agent()
            | self.env_of_identity()
            | step.get("env", {})
        )
        self.agents[name] = Agent(self.command, order, env)

    def env_of_identity(self) -> Json:
        """What a program finds in App Service, in a cluster, with a client secret, or with the Azure CLI."""
        if self.identity is None:
            return {}
        by = self.identity.get("by")
        if by in ("secret", "workload"):
            # It needs a package that only agents with an identity need.
            from token_endpoint import TokenEndpoint

            token = TOKEN if self.identity.get("token", True) else None
            self.endpoint = TokenEndpoint(self.folder, TENANT, AUDIENCE, token)
            return self.endpoint.env(by)
        if by != "az":
            endpoint = f"{self.proxy.url}/identity"
            return {"HO_AUDIENCE": AUDIENCE, "IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": IDENTITY_HEADER}
        token = {
            "accessToken": TOKEN,
            "expires_on": int(time.time()) + 3600,
            "expiresOn": "2100-01-01 00:00:00.000000",
            "tokenType": "Bearer",
        }
        az = self.folder / "bin/az"
        az.parent.mkdir()
        az.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(token)}\nEND\n")
        az.chmod(0o755)
        path = f"{az.parent}:{os.environ['PATH']}"
        return {"HO_AUDIENCE": AUDIENCE, "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential", "PATH": path}

    def step_pending(self, name: str, _: Json) -> None:
        agent = self.agents[name]
        pending = agent.pending()
        assert pending and pending[0]["event"] == "pending", agent.events
        copies = eventually("all requests", lambda: agent.of("pending"))
        self.handles[name] = [it["handle"] for it in copies]
        self.proxy.ids[name] = self.handles[name][0]["id"]

    def step_decide(self, verdict: str, step: Json) -> None:
        name = step["of"]
        if name in self.agents and self.agents[name].process.poll() is None:
            self.step_pending(name, step)
        eventually("all of them", lambda: self.are_all_pending(name))
        for handle in self.handles[name]:
            words = [step.get(member, "") for member in ("comment", "by", "question")]
            self.gate.decide(handle["id"], verdict, *words)

    def step_hand_over(self, receiver: str, step: Json) -> None:
        name = step["of"]
        self.step_pending(name, step)
        self.gate.hand_over(self.handles[name][0]["id"], step["by"], receiver)

    def are_all_pending(self, name: str) -> bool:
        copies = next((it.get("copies", 1) for it in self.scenario["steps"] if it.get("start") == name), 1)
        pending = self.agents[name].of("pending")
        if len(pending) >= copies:
            self.handles[name] = [it["handle"] for it in pending]
        return len(self.handles[name]) >= copies

    def step_end(self, name: str, step: Json) -> None:
        agent = self.agents[name]
        agent.process.wait(SECONDS)
        agent.reader.join()
        ends, ran = agent.of("end"), agent.of("ran")
        if pending := agent.of("pending"):
            self.handles[name] = [it["handle"] for it in pending]
            self.proxy.ids[name] = self.handles[name][0]["id"]
        self.runs[name] = self.runs.get(name, 0) + len(ran)
        assert ends, agent.events
        assert self.runs[name] == step["runs"], agent.events
        for end in ends:
            for member in ("outcome", "reason", "text", "comment", "question"):
                if member in step:
                    assert end.get(member) == step[member], end
        for it in ran:
            assert it["parameters"] == self.requests[name]["parameters"], it

    def step_progress(self, name: str, step: Json) -> None:
        votes = {"event": "progress", "given": step["given"], "needed": step["needed"]}
        eventually(f"{votes}", lambda: votes in self.agents[name].of("progress"))

    def step_callback(self, name: str, step: Json) -> None:
        """The agent's web server gets the gate's callback about a request, or one that is made up."""
        agent = self.agents[name]
        id_ = self.handles[step.get("about", name)][0]["id"]
        if "lie" in step:
            call = made_up(self.request["agentName"], id_, **step["lie"])
        else:
            call = eventually(f"a callback about {id_}", lambda: self.receiver.of(id_))
        earlier = len(agent.of("callback"))
        agent.tell({"callback": call})
        told = agent.found("a result", lambda: agent.of("callback")[earlier:])
        assert told and told[0]["result"] == step["result"], agent.events
        assert told[0]["result"] == "settled" or not agent.of("ran") + agent.of("end"), agent.events

    def step_gate(self, name: str, step: Json) -> None:
        """The gate's own status. A report of a process that has ended is there; one in the background may come."""
        id_ = self.handles[name][0]["id"]

        def look() -> bool:
            status = self.gate.status(id_)
            return (status["status"], (status["execution"] or {}).get("status")) == (step["status"], step["execution"])

        eventually(f"{step}, and not {self.gate.status(id_)}", look)

    def step_asked(self, count: int, _: Json) -> None:
        assert len(self.gate.questions()) == count, self.gate.questions()

    def step_kill(self, name: str, _: Json) -> None:
        self.agents[name].stop()

    def step_cancel(self, name: str, _: Json) -> None:
        self.agents[name].tell({"cancel": True})

    def step_restart(self, _: Any, __: Json) -> None:
        self.gate.stop()
        self.gate.start()

    def step_operator(self, arguments: list[str], step: Json) -> None:
        self.gate.operate(arguments + ([self.handles[step["of"]][0]["id"]] if "of" in step else []))

    def step_lose(self, calls: list[str], _: Json) -> None:
        self.proxy.lost.update(calls)

    def step_hold(self, call: str, _: Json) -> None:
        self.proxy.held.add(call)

    def step_held(self, call: str, step: Json) -> None:
        id_ = self.handles[step["of"]][0]["id"]
        eventually(f"a held {call}", lambda: (id_, call) in self.proxy.recorded)
        self.proxy.held.discard(call)

    def step_delay(self, call: str, _: Json) -> None:
        self.proxy.delayed[call] = Delay()

    def step_delayed(self, call: str, _: Json) -> None:
        assert self.proxy.delayed[call].arrived.wait(SECONDS), f"no {call}"

    def step_forward(self, call: str, step: Json) -> None:
        """The end of a delay, when the agent no longer waits for the call."""
        eventually("the end of the wait", lambda: self.agents[step["of"]].of("end"))
        self.proxy.delayed.pop(call).ended.set()
        ids = eventually(f"a {call}", lambda: [id_ for id_, it in list(self.proxy.recorded) if it == call])
        self.handles[step["of"]] = [{"id": ids[0]}]

    def step_lie(self, call: str, step: Json) -> None:
        self.proxy.lies[call] = step


def play(scenario: Json, program: str, command: list[str]) -> None:
    """Raises AssertionError if the client does not do what the scenario says."""
    with tempfile.TemporaryDirectory() as folder:
        Scenario(scenario, program, command, Path(folder)).play()


def read_clients() -> dict[str, Json]:
    """The agents that play the scenarios, by language."""
    return json.loads((FOLDER / "clients.json").read_text())


def plays(client: Json, scenario: Json) -> bool:
    """Whether a client has what a scenario is about."""
    return "identity" not in scenario or client.get("identity", False)


def play_all(clients: dict[str, Json], scenarios: list[Json], program: str) -> dict[tuple[str, str], bool]:
    """Plays each scenario with each client, six at once, and prints what came of it."""
    results, failed = {}, []
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        played = [
            (name, it["name"], pool.submit(play, it, program, client["command"]))
            for it in sorted(scenarios, key=lambda it: "slow" not in it)
            for name, client in clients.items()
            if plays(client, it)
        ]
        for client, name, future in played:
            error = future.exception()
            results[name, client] = error is None
            line = f"ok     {client}: {name}" if error is None else f"FAILED {client}: {name}\n       {error!r}"
            print(line, flush=True)
            failed += [] if error is None else [line]
    print(f"{sum(results.values())} of {len(results)} scenarios", *failed, sep="\n")
    return results


def table(clients: dict[str, Json], scenarios: list[Json], results: dict[tuple[str, str], bool]) -> str:
    rows = [["scenario", *clients], ["---"] * (1 + len(clients))]
    words = {True: "ok", False: "FAILED", None: "-"}
    rows += [[it["name"], *(words[results.get((it["name"], client))] for client in clients)] for it in scenarios]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    heading = (
        "What each client did with each scenario; `-` is for what it does not have. `run.py --table` writes this file."
    )
    return f"{heading}\n\n{lines}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", default=str(FOLDER.parent / "target/debug/human-oversight"))
    parser.add_argument("--only", default="", help="words of the name of a scenario")
    parser.add_argument("--quick", action="store_true", help="without the scenarios that are slow")
    parser.add_argument("--client", help="the language of one client of clients.json")
    parser.add_argument("--table", action="store_true", help="writes table.md")
    parser.add_argument("--check", action="store_true", help="with --table: fails if table.md is another")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    of_command = {"the agent": {"command": options.command, "identity": True}}
    clients = of_command if options.command else read_clients()
    if options.client and options.client not in clients:
        parser.error(f"--client must be one of {', '.join(clients)}")
    if options.client:
        clients = {options.client: clients[options.client]}
    scenarios = [it for it in read_scenarios() if options.only in it["name"] and not (options.quick and it.get("slow"))]
    if not scenarios:
        parser.error(f"no scenario has {options.only!r} in its name")
    results = play_all(clients, scenarios, options.gate)
    if options.table:
        text, path = table(clients, scenarios, results), FOLDER / "table.md"
        if not options.check:
            path.write_text(text)
        elif all(results.values()) and path.read_text() != text:
            raise SystemExit("conformance/table.md is another: write it with conformance/run.py --table")
    raise SystemExit(not all(results.values()))


if __name__ == "__main__":
    main()
