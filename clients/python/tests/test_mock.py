"""The mock for the tests of agents: a wrong policy fails its test, and a request that the gate refuses is refused."""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from human_oversight import approval_gate
from human_oversight.mock import APPROVE, Answer, MockGate

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
