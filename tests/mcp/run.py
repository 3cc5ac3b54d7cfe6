"""Official clients and servers of the Model Context Protocol, each pair with and without the proxy between them.

    python3 tests/mcp/run.py [--only WORDS]

With the proxy, each tool needs an approval, which a person of the tests gives. Tools and results must be equal, and
each call must be one email and one run, also where the client gives up before the decision and calls again.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "conformance"))
from run import Gate  # noqa: E402

Json = dict[str, Any]
SECONDS = 90
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
PYTHON = str(ROOT / ".tools/mcp-python/bin/python")
PYTHON_1 = str(ROOT / ".tools/mcp-python-legacy/bin/python")
HERE = Path(__file__).parent

CLIENTS = {
    "Python 1, 2025-11-25": [PYTHON_1, "-B", str(HERE / "client.py"), "legacy"],
    "Python 2, 2025-11-25": [PYTHON, "-B", str(HERE / "client.py"), "legacy"],
    "Python 2, automatic": [PYTHON, "-B", str(HERE / "client.py"), "auto"],
    "Python 2, 2026-07-28": [PYTHON, "-B", str(HERE / "client.py"), "2026-07-28"],
    "TypeScript 1, 2025-11-25": ["node", str(HERE / "client.mjs"), "1"],
    "TypeScript 2, 2025-11-25": ["node", str(HERE / "client.mjs"), "2", "legacy"],
    "TypeScript 2, 2026-07-28": ["node", str(HERE / "client.mjs"), "2", "2026-07-28"],
}
# With these, each held call is a task.
TASK_CLIENTS = {
    "Python 1, 2025-11-25 with tasks": [PYTHON_1, "-B", str(HERE / "client.py"), "tasks"],
    "TypeScript 1, 2025-11-25 with tasks": ["node", str(HERE / "client.mjs"), "1", "tasks"],
}
NOTES = [
    {"name": "take_note", "arguments": {"text": "Grüße 😀", "tags": ["a", "b"]}},
    {"name": "fail", "arguments": {}},
]
# The servers of the SDKs that the clients can speak with.
SERVERS = {
    "Python 1": ([PYTHON_1, "-B", str(HERE / "server.py"), "FOLDER"], {"2025-11-25", "automatic"}),
    "Python 2": ([PYTHON, "-B", str(HERE / "server.py"), "FOLDER"], {"2025-11-25", "automatic", "2026-07-28"}),
    "TypeScript 2": (["node", str(HERE / "server.mjs"), "FOLDER"], {"2025-11-25", "automatic", "2026-07-28"}),
}
REFERENCE = ROOT / ".tools/mcp/node_modules/@modelcontextprotocol"
# The published reference servers, with calls of them.
REFERENCES: dict[str, tuple[list[str], list[Json]]] = {
    "filesystem": (
        ["node", f"{REFERENCE}/server-filesystem/dist/index.js", "FOLDER"],
        [
            {"name": "write_file", "arguments": {"path": "FOLDER/a.txt", "content": "one\ntwo\n"}},
            {"name": "edit_file", "arguments": {"path": "FOLDER/a.txt", "edits": [{"oldText": "two", "newText": "2"}]}},
            {"name": "read_text_file", "arguments": {"path": "FOLDER/a.txt"}},
            {"name": "read_text_file", "arguments": {"path": "/etc/hostname"}},
        ],
    ),
    "memory": (
        ["node", f"{REFERENCE}/server-memory/dist/index.js"],
        [
            {
                "name": "create_entities",
                "arguments": {"entities": [{"name": "Ada", "entityType": "person", "observations": ["writes"]}]},
            },
            {"name": "read_graph", "arguments": {}},
        ],
    ),
    "everything": (
        ["node", f"{REFERENCE}/server-everything/dist/index.js", "stdio"],
        [
            {"name": "echo", "arguments": {"message": "hello"}},
            {"name": "get-sum", "arguments": {"a": 0.1, "b": 2}},
            {"name": "get-structured-content", "arguments": {"location": "New York"}},
            {"name": "get-tiny-image", "arguments": {}},
            {"name": "trigger-long-running-operation", "arguments": {"duration": 1, "steps": 2}},
        ],
    ),
    "git": (
        [PYTHON, "-m", "mcp_server_git", "--repository", "FOLDER"],
        [
            {"name": "git_status", "arguments": {"repo_path": "FOLDER"}},
            {"name": "git_add", "arguments": {"repo_path": "FOLDER", "files": ["b.txt"]}},
            {"name": "git_status", "arguments": {"repo_path": "FOLDER"}},
        ],
    ),
}


RESEARCH = [{"name": "simulate-research-query", "arguments": {"topic": "tides"}}]


class Approver(threading.Thread):
    """Approves what people are asked, some time after the email."""

    def __init__(self, gate: Gate, after: float) -> None:
        super().__init__(daemon=True)
        self.gate, self.after, self.approved, self.is_over = gate, after, [], False

    def run(self) -> None:
        while not self.is_over:
            for text in self.gate.questions():
                id_ = re.search(r"/api/decision/([^?\s]+)\?", text)[1]
                if id_ not in self.approved:
                    self.approved.append(id_)
                    time.sleep(self.after)
                    self.gate.decide(id_, "approve", "")
            time.sleep(0.05)


def play(client: list[str], command: list[str], env: Json, calls: list[Json], patience: float) -> Json:
    order = {"command": command, "env": env, "calls": calls, "patience": patience}
    done = subprocess.run(client, input=json.dumps(order), capture_output=True, text=True, timeout=SECONDS, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def prepared(folder: Path) -> Path:
    """A fresh folder of the same name, in which the servers work."""
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for command in (["init", "-q", "-b", "main"], ["config", "user.email", "alice@example.com"]):
        subprocess.run(["git", *command], cwd=place, check=True)
    (place / "b.txt").write_text("b\n")
    return place


def without_tasks(told: Json) -> Json:
    """What the proxy adds for clients of tasks is left out."""
    told = json.loads(json.dumps(told))
    for tool in told["tools"]:
        tool.pop("execution", None)
    for result in told["results"]:
        meta = result.get("_meta", {})
        meta.pop("io.modelcontextprotocol/related-task", None)
        if not meta:
            result.pop("_meta", None)
    return told


def pair(
    client: list[str],
    command: list[str],
    calls: list[Json],
    after: float = 0.0,
    patience: float = 60.0,
    tasks: int = 0,
) -> str:
    """Plays the calls without and with the proxy. Returns how often the client called, and how many calls were tasks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = str(folder / "place")
        told = json.loads(json.dumps([command, calls]).replace("FOLDER", place))
        command, calls = told
        env = {"PATH": os.environ["PATH"], "HOME": name, "MEMORY_FILE_PATH": f"{place}/memory.jsonl"}
        prepared(folder)
        direct = play(client, command, env, calls, 60)
        ran = (folder / "place/runs").read_text() if (folder / "place/runs").exists() else ""
        prepared(folder)
        settings = folder / "settings.toml"
        settings.write_text('agent = "Tests"\n')
        gate = Gate(str(TARGET / "human-oversight"), folder / "gate")
        approver = Approver(gate, after)
        approver.start()
        try:
            options = ["--config", str(settings), "--server", "tests"]
            proxy = [str(TARGET / "human-oversight-mcp"), *options, "--", *command]
            more = {"HO_URL": gate.url, "HO_CLAIM_KEY": "5a" * 32, "APPROVER_EMAILS": "alice@example.com"}
            behind = play(client, proxy, env | more, calls, patience)
        finally:
            approver.is_over = True
            gate.stop()
        assert behind.get("tasks", 0) == tasks, behind
        if tasks:
            direct, behind = without_tasks(direct), without_tasks(behind)
        assert behind["tools"] == direct["tools"], (direct["tools"], behind["tools"])
        assert behind["results"] == direct["results"], (direct["results"], behind["results"])
        ran_behind = (folder / "place/runs").read_text() if ran else ""
        assert ran_behind == ran, (ran, ran_behind)
        emails = len(gate.questions())
        assert emails == len(calls), f"{emails} emails for {len(calls)} calls"
        return f"{behind['rounds']} calls" + (f", {tasks} as tasks" if tasks else "")


def cases() -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for client, program in CLIENTS.items():
        era = client.rpartition(", ")[2]
        for server, (command, eras) in SERVERS.items():
            if era in eras:
                found[f"{client}: server of {server}"] = (program, command, NOTES)
        # The decision takes longer than the client waits.
        found[f"{client}: gives up, and calls again"] = (program, SERVERS["Python 2"][0], NOTES[:1], 4.0, 1.5)
    for client, program in TASK_CLIENTS.items():
        # The decision takes longer than the client waits for an answer.
        found[f"{client}: server of Python 1"] = (program, SERVERS["Python 1"][0], NOTES, 4.0, 1.5, 2)
        for server in ("filesystem", "everything"):
            command, calls = REFERENCES[server]
            calls = calls + RESEARCH if server == "everything" else calls
            found[f"{client}: reference server {server}"] = (program, command, calls, 0.0, 60.0, len(calls))
    for server, (command, calls) in REFERENCES.items():
        for client in ("Python 2, automatic", "TypeScript 1, 2025-11-25", "TypeScript 2, 2025-11-25"):
            found[f"{client}: reference server {server}"] = (CLIENTS[client], command, calls)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="the cases with these words in their names")
    only = parser.parse_args().only
    chosen = {name: case for name, case in cases().items() if only in name}
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = {name: pool.submit(pair, *case) for name, case in chosen.items()}
        for name, case in running.items():
            try:
                print(f"ok   {name}: {case.result()}", flush=True)
            except Exception as error:
                failed += 1
                print(f"FAIL {name}: {type(error).__name__}: {str(error)[-2500:]}", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(failed > 0 or not chosen)


main()
