"""`examples/python`: the demos without accounts against a real gate, and the smallest tool in each framework."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import test_adapters as adapters
from conftest import REPOSITORY
from run import Gate as RealGate
from run import eventually

from human_oversight.mock import MockGate

EXAMPLES = REPOSITORY / "examples/python"


def run_demo(real: RealGate, demo: str, verdict: str) -> str:
    """The demo's output, decided as its README says."""
    command = [sys.executable, "-B", str(EXAMPLES / demo), "--offline"]
    program = subprocess.Popen(command, env=os.environ | {"HO_URL": real.url}, stdout=subprocess.PIPE, text=True)
    eventually("an email", lambda: real.questions() or program.poll() is not None)
    (text,) = real.questions()
    real.decide(re.search(r"/api/decision/([^?\s]+)\?", text)[1], verdict, "Ask Legal first")  # type: ignore[index]
    output = program.communicate()[0]
    assert program.returncode == 0
    return output


REJECTED = "Not run: rejected by alice@example.com. Their reason: Ask Legal first"


@pytest.mark.parametrize(
    ("verdict", "words", "users"),
    [("approve", "User 1 (former-contractor@example.com) deleted.", 2), ("reject", REJECTED, 3)],
)
def test_a_user_is_deleted_after_an_approval(real: RealGate, verdict: str, words: str, users: int) -> None:
    output = run_demo(real, "user_manager.py", verdict)
    assert f"Agent: I asked for the deletion. {words}\n" in output
    assert output.splitlines()[-1].count("@") == users


@pytest.mark.parametrize(
    ("verdict", "words"), [("approve", "Published: https://gist.github.com/example/1"), ("reject", REJECTED)]
)
def test_a_report_is_published_after_an_approval(real: RealGate, verdict: str, words: str) -> None:
    output = run_demo(real, "research_group.py", verdict)
    assert output.endswith(f"\nPublisher: {words}\n")
    assert "tokio::signal::ctrl_c()" in output


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name: str) -> ModuleType:
        return __import__(name)

    return load


@pytest.mark.parametrize(("policy", "words"), adapters.POLICIES, ids=["approved", "rejected"])
@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("with_openai_agents", lambda module: adapters.TestOpenAIAgents.run(module.delete_user)),
        ("with_pydantic_ai", lambda module: adapters.TestPydanticAI.run(module.tools)),
        ("with_langgraph", lambda module: adapters.TestLangGraph.run(module.tools)),
        (
            "with_agent_framework",
            lambda module: adapters.TestAgentFramework.run([module.delete_user], []),
        ),
    ],
)
def test_the_smallest_tool_of_a_framework(example: Any, name: str, run: Any, policy: Any, words: str) -> None:
    mock = MockGate(policy)
    with mock.gate.scope():
        assert run(example(name)) == words
    (request,) = mock.requests
    assert request["parameters"] == {"user_id": "1"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("with_*.py")), ids=lambda path: path.stem)
def test_a_gate_costs_at_most_five_lines_from_its_installation_on(path: Path) -> None:
    lines = path.read_text().splitlines()
    costs = [line for line in lines if re.search(r"human_oversight|approval_gate", line)]
    assert 3 <= len(costs) <= 5, costs
    assert costs[0].startswith("pip install ")
