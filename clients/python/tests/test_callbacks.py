"""Callbacks: which count, and an agent that does not wait."""

import re
from email.message import Message
from typing import Any

import httpx
import pytest
from conftest import REPOSITORY
from vectors import read

from human_oversight import (
    Action,
    CallbackError,
    GateError,
    Handle,
    Reason,
    Refused,
    Undecided,
    approval_gate,
    verify_callback,
)
from human_oversight.mock import EXPIRE, MockGate, reject

VECTORS = read("callbacks")


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def to_message(headers: dict[str, str]) -> Message:
    """As `http.server` has them."""
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


FORMS: dict[str, Any] = {
    "mapping": dict,
    "pairs": lambda headers: list(headers.items()),
    "message": to_message,
    "bytes": lambda headers: [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
    "httpx": lambda headers: httpx.Headers({name.encode(): value.encode() for name, value in headers.items()}),
}


@pytest.mark.parametrize("case", named(VECTORS["cases"]))
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_callback_counts_as_the_vectors_say(case: dict[str, Any], form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: VECTORS["now"])
    body = bytes.fromhex(case["hex"]) if "hex" in case else case["body"].encode()
    if case["result"] != "verified":
        with pytest.raises(CallbackError):
            verify_callback(form(case["headers"]), body, VECTORS["secret"])
        return
    found = verify_callback(form(case["headers"]), body, VECTORS["secret"])
    expected = case["callback"]
    assert (found.id, found.state) == (expected["id"], expected["state"])
    assert (found.agent_name, found.correlation_id) == (expected["agentName"], expected["correlationId"])


@pytest.mark.parametrize("case", named(VECTORS["secrets"]))
def test_a_secret_is_what_the_vectors_say(case: dict[str, Any]) -> None:
    with pytest.raises(CallbackError if case["valid"] else GateError) as error:
        verify_callback({}, b"", case["secret"])
    assert not case["secret"] or case["secret"] not in str(error.value)


def test_the_secret_is_a_setting_without_which_nothing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    case = VECTORS["cases"][0]
    monkeypatch.setattr("time.time", lambda: VECTORS["now"])
    monkeypatch.delenv("HO_CALLBACK_SECRET", raising=False)
    with pytest.raises(GateError, match="HO_CALLBACK_SECRET"):
        verify_callback(case["headers"], case["body"].encode())
    monkeypatch.setenv("HO_CALLBACK_SECRET", f" {VECTORS['secret']}\n")
    assert verify_callback(case["headers"], case["body"].encode()).correlation_id == "order-1"


@pytest.mark.parametrize("name", ["Webhook-Id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_there_twice_counts_for_nothing(name: str) -> None:
    mock, action = agent()
    action.submit({"user": "1"}, action.prepare())
    [(headers, body)] = mock.callbacks()
    pairs = list(headers.items())
    assert verify_callback(pairs, body, mock.callback_secret).state == "thread-17"
    with pytest.raises(CallbackError, match=name.lower()):
        verify_callback([*pairs, (name, headers[name.lower()])], body, mock.callback_secret)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_no_server_passes_on_counts_for_nothing(name: str) -> None:
    mock, action = agent()
    action.submit({"user": "1"}, action.prepare())
    [(headers, body)] = mock.callbacks()
    for value in ("\ud800", "é", "1" * 5000, "\0", ""):
        with pytest.raises(CallbackError):
            verify_callback(headers | {name: value}, body, mock.callback_secret)


def agent(policy: Any = None) -> tuple[MockGate, Action]:
    mock = MockGate(policy) if policy else MockGate()
    callback = {"channel": "agents", "state": "thread-17"}
    return mock, mock.gate.action("A", "Delete", callback=callback)


def settle(mock: MockGate, action: Action, stored: dict[str, Handle], runs: list[str]) -> str:
    [(headers, body)] = mock.callbacks()
    callback = verify_callback(headers, body, mock.callback_secret)
    return action.resume(stored[callback.id], {"user": "1"}).run(lambda: runs.append("run") or "ran", wait=0)


def test_a_stored_request_runs_once_however_often_its_callback_comes() -> None:
    mock, action = agent()
    handle = action.prepare()
    action.submit({"user": "1"}, handle)
    runs: list[str] = []
    stored = {handle.id: handle}
    assert settle(mock, action, stored, runs) == "ran"
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            settle(mock, action, stored, runs)
        assert (refused.value.reason, refused.value.execution) == (Reason.USED, "Executed")
    assert runs == ["run"]


@pytest.mark.parametrize(("policy", "reason"), [(reject("No."), Reason.REJECTED), (EXPIRE, Reason.TIMEOUT)])
def test_what_is_no_approval_runs_nothing(policy: Any, reason: Reason) -> None:
    mock, action = agent(lambda _: policy)
    handle = action.prepare()
    action.submit({"user": "1"}, handle)
    runs: list[str] = []
    with pytest.raises(Refused) as refused:
        settle(mock, action, {handle.id: handle}, runs)
    assert (refused.value.reason, runs) == (reason, [])


def test_a_callback_of_another_gate_counts_for_nothing() -> None:
    mock, action = agent()
    other, _ = agent()
    action.submit({"user": "1"}, action.prepare())
    [(headers, body)] = mock.callbacks()
    with pytest.raises(CallbackError):
        verify_callback(headers, body, other.callback_secret)


def test_a_gated_function_names_its_channel() -> None:
    mock = MockGate()
    with mock.gate.scope():
        approval_gate("A", "Delete", callback="agents")(lambda user: user)("1")
        assert mock.requests[-1]["callback"] == {"channel": "agents"}
        thread = lambda user: {"channel": "agents", "state": f"thread of {user}"}  # noqa: E731
        approval_gate("A", "Delete", callback=thread)(lambda user: user)("1")
        assert mock.requests[-1]["callback"] == {"channel": "agents", "state": "thread of 1"}
        approval_gate("A", "Delete")(lambda user: user)("1")
    assert "callback" not in mock.requests[-1]
    assert len(mock.callbacks()) == 2


@pytest.mark.parametrize(
    ("policy", "says"), [(None, "User 1 deleted."), (reject("Not her."), "Their reason: Not her.")], ids=["yes", "no"]
)
def test_the_example_of_the_readme_settles_what_it_asked(
    policy: Any, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mock, _ = agent(lambda _: policy) if policy else agent()
    monkeypatch.setenv("HO_CALLBACK_SECRET", mock.callback_secret)
    example: dict[str, Any] = {}
    with mock.gate.scope():
        exec(python_of("clients/python/README.md", "## Callbacks"), example)
    example["ask"]("1")
    assert (len(example["stored"]), mock.outcomes) == (1, [None])
    [(headers, body)] = mock.callbacks()
    assert example["on_callback"](headers, body + b" ") == 401
    for _ in range(3):
        assert example["on_callback"](headers, body) == 204
    assert (example["stored"], mock.outcomes) == ({}, [None if policy else "Executed"])
    [said] = capsys.readouterr().out.splitlines()
    assert said.endswith(says)


def test_the_example_of_the_readme_keeps_what_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    mock, _ = agent()
    monkeypatch.setenv("HO_CALLBACK_SECRET", mock.callback_secret)
    example: dict[str, Any] = {}
    with mock.gate.scope():
        exec(python_of("clients/python/README.md", "## Callbacks"), example)
    example["ask"]("1")
    [(headers, body)] = mock.callbacks()
    pending = example["action"].resume(example["action"].prepare(), {})
    for why in (Undecided(pending), Refused(Reason.PAUSED), Refused(Reason.UNAVAILABLE)):
        with monkeypatch.context() as patch:
            patch.setattr("human_oversight.pending.Pending.claim", raising(why))
            assert example["on_callback"](headers, body) == 503
    assert example["on_callback"](headers, body) == 204


def raising(error: Exception) -> Any:
    def claim(*_: Any, **__: Any) -> None:
        raise error

    return claim


def python_of(page: str, heading: str) -> str:
    text = (REPOSITORY / page).read_text().split(f"\n{heading}\n")[1]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]


@pytest.mark.parametrize("case", named([it for it in VECTORS["cases"] if "body" in it]))
def test_the_sample_of_the_documentation_verifies_what_the_vectors_say(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: VECTORS["now"])
    monkeypatch.setenv("HO_CALLBACK_SECRET", VECTORS["secret"])
    sample: dict[str, Any] = {}
    exec(python_of("docs/http.md", "### Callbacks"), sample)
    headers = {name.lower(): value for name, value in case["headers"].items()}
    if case["result"] == "verified":
        callback = case["callback"]
        expected = (callback["correlationId"], callback["state"])
        assert sample["read_callback"](headers, case["body"].encode()) == expected
        for signature in ("v1,é", "\udce9", ""):
            junk = headers | {"webhook-signature": signature}
            assert sample["read_callback"](junk, case["body"].encode()) is None
        for name in headers:
            fewer = {it: value for it, value in headers.items() if it != name}
            is_needed = name.startswith("webhook-")
            assert (sample["read_callback"](fewer, case["body"].encode()) is None) is is_needed
    elif case["result"] != "malformed":
        assert sample["read_callback"](headers, case["body"].encode()) is None


def test_without_a_decision_a_callback_ends_nothing(real: Any) -> None:
    from human_oversight import Gate

    action = Gate.from_env().action("A", "Delete", timeout=600)
    handle = action.prepare()
    action.submit({"user": "1"}, handle)
    with pytest.raises(Undecided):
        action.resume(handle, {"user": "1"}).run(lambda: pytest.fail("it ran"), wait=0)
    [text] = real.questions()
    assert "Delete" in text
