"""The mock for the tests of agents: a wrong policy fails its test, and a request that the gate refuses is refused."""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from vectors import read

from human_oversight import Reason, Refused, approval_gate
from human_oversight.mock import APPROVE, Answer, MockGate, reject

gated = approval_gate("A", "B", refusal_return_value="DENIED")


@gated
def pay(amount: int) -> str:
    return "paid"


@gated
async def pay_async(amount: int) -> str:
    return "paid"


def pay_in_a_thread(amount: int) -> Any:
    context = contextvars.copy_context()
    with ThreadPoolExecutor() as threads:
        return threads.submit(context.run, pay, amount).result()


CALLS: list[Callable[[int], Any]] = [pay, lambda amount: asyncio.run(pay_async(amount)), pay_in_a_thread]


def expect_two(request: Any) -> Answer:
    assert request["parameters"] == {"amount": 2}, "expected 2"
    return APPROVE


@pytest.mark.parametrize("call", CALLS, ids=["sync", "async", "thread"])
def test_a_test_gets_what_its_policy_raises(call: Callable[[int], Any]) -> None:
    mock = MockGate(expect_two)
    with pytest.raises(AssertionError, match="expected 2"), mock.gate.scope():
        call(1)
    assert mock.requests == []
    with mock.gate.scope():
        assert call(2) == "paid"


def test_a_test_gets_what_its_policy_raises_though_the_agent_makes_a_text_of_it() -> None:
    mock = MockGate(expect_two)
    with pytest.raises(AssertionError, match="expected 2"), mock.gate.scope(), contextlib.suppress(Exception):
        pay(1)


@pytest.mark.parametrize("answer", [None, True, "Approved", Answer("Approve"), lambda: APPROVE], ids=repr)
def test_a_policy_that_returns_no_answer_is_an_error_at_once(answer: Any) -> None:
    mock = MockGate(lambda _: answer)
    with pytest.raises(TypeError, match="must return an answer"), mock.gate.scope():
        pay(1)
    assert mock.requests == []


def test_a_policy_is_a_function() -> None:
    with pytest.raises(TypeError, match="must be a function"):
        MockGate(APPROVE)  # type: ignore[arg-type]

    async def policy(_: Any) -> Answer:
        return APPROVE

    with pytest.raises(TypeError, match="must return an answer"), MockGate(policy).gate.scope():  # type: ignore[arg-type]
        pay(1)


_SETTINGS = {
    "agentName": "agent_name",
    "actionDescription": "action_description",
    "approverEmails": "approver_emails",
    "timeoutSeconds": "timeout",
    "correlationId": "correlation_id",
    "onBehalfOf": "on_behalf_of",
}
"""What the decorator calls the members of a request, where it has another name for them."""


def written_out(value: Any) -> Any:
    """A value of a vector, with its long texts written out."""
    if isinstance(value, list):
        return [written_out(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "times" in value:
        return value["text"] * value["times"] + value.get("end", "")
    return {name: written_out(member) for name, member in value.items()}


@pytest.mark.parametrize("kind", ["accepted", "refused"])
def test_a_mock_takes_and_refuses_what_every_gate_does(kind: str) -> None:
    vectors = read("requests")
    for case in vectors[kind]:
        request = vectors["request"] | written_out(case["change"])
        arguments = request.pop("parameters")
        settings = {_SETTINGS.get(name, name): value for name, value in request.items()}
        mock = MockGate()
        with mock.gate.scope():
            outcome = approval_gate(**settings)(lambda order="": "ran")(**arguments)
        if kind == "accepted":
            assert outcome == "ran", case
            continue
        assert outcome.refused.reason is Reason.INVALID, case
        for pointer in case["pointers"]:
            # The client refuses some names itself.
            named = {"/correlationId": "the correlation id"}.get(pointer, pointer)
            assert f"{named} " in str(outcome.refused), (case, outcome.refused)
        assert mock.requests == [], case


@pytest.mark.parametrize(
    "settings", [{"timeout": 10.5}, {"callback": {"state": "x"}}, {"supersedes": "QQ.unknown"}], ids=repr
)
def test_a_mock_refuses_what_the_vectors_do_not_have(settings: dict[str, Any]) -> None:
    mock = MockGate()
    with mock.gate.scope():
        refused = approval_gate("A", "B", ["a@example.com"], **settings)(lambda: "ran")().refused
    assert refused.reason is Reason.INVALID
    assert mock.requests == []


def test_a_mock_refuses_parameters_that_are_too_large() -> None:
    mock = MockGate()
    with mock.gate.scope():
        assert approval_gate("A", "B")(lambda text: "ran")("a" * 30_000) == "ran"
        assert approval_gate("A", "B")(lambda text: "ran")("a" * 31_000).refused.reason is Reason.INVALID


def test_a_mock_refuses_a_body_that_is_nested_too_deep() -> None:
    deep: Any = 0
    for _ in range(63):  # as deep as parameters may be by themselves
        deep = [deep]
    mock = MockGate()
    with pytest.raises(Refused, match=r"The body is refused: .* more than 64 levels") as refused:
        mock.gate.action("A", "B").submit({"deep": deep})
    assert refused.value.reason is Reason.INVALID
    assert mock.requests == []


def test_a_mock_takes_the_largest_request() -> None:
    people = [f"{at}@example.com" for at in range(20)]
    mock = MockGate(lambda request: APPROVE if "supersedes" in request else reject())
    large = {"timeout": 2_592_000, "reason": "a\n\t" * 666, "on_behalf_of": "me@example.com"}
    with mock.gate.scope():
        run = approval_gate("é" * 85, "b" * 256, people, **large)(lambda: "ran")  # type: ignore[arg-type]
        rejected = run().refused
        again = approval_gate("é" * 85, "b" * 256, people, supersedes=rejected.id)(lambda: "ran")
        assert again() == "ran"


def test_a_mock_answers_in_every_thread_of_its_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HO_URL", "https://gate.invalid")
    mock = MockGate()
    with mock.gate.scope(), ThreadPoolExecutor() as pool:
        assert list(pool.map(pay, [1, 2])) == ["paid", "paid"]
    assert len(mock.requests) == 2


@pytest.mark.parametrize("answer", [reject(5), Answer("Rejected", question=b"?")], ids=repr)  # type: ignore[arg-type]
def test_the_words_of_an_answer_are_a_text(answer: Answer) -> None:
    mock = MockGate(lambda _: answer)
    with pytest.raises(TypeError, match="must be a text"), mock.gate.scope():
        pay(1)
    assert mock.requests == []
