"""A request is withdrawn when the last call of this process that waits for it goes, and not before."""

import asyncio
import gc
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from human_oversight import Gate, Reason, Refused, Undecided, approval_gate, flush, loop
from human_oversight.action import Action
from human_oversight.mock import MockGate


class Slow:
    """A gate whose requests stay pending, and which answers some calls later, or otherwise."""

    def __init__(self) -> None:
        self.mock = MockGate()
        self.calls: list[str] = []
        self.answers: dict[str, list[httpx.Response]] = {}
        self.held: dict[str, threading.Event] = {}
        self.arrived = threading.Event()
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        self.gate = Gate("https://mock.invalid", approvers=["a@b.example"], http=http)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        call = request.url.path.split("/")[2]
        self.calls.append(call)
        if held := self.held.get(call):
            self.arrived.set()
            await asyncio.to_thread(held.wait, 10)
        if answers := self.answers.get(call):
            return answers.pop(0)
        response = self.mock._respond(request)
        if call not in ("submit", "status") or response.is_error:
            return response
        pending = {"status": "Pending", "receipt": None, "approver": None}
        return httpx.Response(response.status_code, json=json.loads(response.content) | pending)

    def action(self, on_pending: Callable[[Any], None] | None = None) -> Action:
        return self.gate.action("A", "B", correlation_id="call-1", on_pending=on_pending)

    def withdrawals(self) -> int:
        assert flush(10)
        return self.calls.count("withdraw")


class Waiting:
    """A call that waits."""

    def __init__(self, slow: Slow) -> None:
        self.task = asyncio.ensure_future(slow.action(lambda _: self.is_pending.set()).claim_async({}))
        self.is_pending = threading.Event()

    async def begun(self) -> "Waiting":
        assert await asyncio.to_thread(self.is_pending.wait, 10)
        return self

    async def cancel(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


@pytest.mark.parametrize(("call", "calls"), [("keys", ["keys"]), ("submit", ["keys", "submit", "withdraw"])])
def test_a_call_that_is_cancelled_while_its_request_is_on_the_way_withdraws_it(call: str, calls: list[str]) -> None:
    slow = Slow()
    held = slow.held[call] = threading.Event()

    async def run() -> None:
        waiting = Waiting(slow)
        assert await asyncio.to_thread(slow.arrived.wait, 10)
        await waiting.cancel()
        assert "withdraw" not in slow.calls
        held.set()

    asyncio.run(run())
    assert flush(10)
    assert slow.calls == calls


def test_the_last_call_under_a_name_that_is_cancelled_withdraws_the_request() -> None:
    slow = Slow()

    async def run() -> None:
        first, second = await Waiting(slow).begun(), await Waiting(slow).begun()
        await first.cancel()
        assert slow.withdrawals() == 0
        await second.cancel()
        assert slow.withdrawals() == 1

    asyncio.run(run())


@pytest.mark.parametrize("unreadable", [httpx.Response(200, text="<html>"), httpx.Response(503)])
def test_a_call_under_the_same_name_that_fails_leaves_the_request_to_the_first(
    unreadable: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("human_oversight.retry.OUTAGE_SECONDS", 0)
    slow = Slow()

    async def run() -> None:
        first = await Waiting(slow).begun()
        slow.answers["submit"] = [unreadable]
        with pytest.raises(Refused) as refused:
            await slow.action().claim_async({})
        assert refused.value.reason is Reason.UNAVAILABLE
        assert slow.withdrawals() == 0
        await first.cancel()
        assert slow.withdrawals() == 1

    asyncio.run(run())


def test_a_call_that_comes_back_and_fails_leaves_its_request_open() -> None:
    slow = Slow()
    gated = approval_gate("A", "B", gate=slow.gate, correlation_id="call-1", wait=False)(lambda: "ran")
    with pytest.raises(Undecided):
        gated()
    slow.answers["submit"] = [httpx.Response(200, text="<html>")]
    gated()
    assert slow.withdrawals() == 0


@pytest.mark.parametrize(("name", "expected"), [(None, 1), ("call-1", 0)])
def test_a_cancelled_call_with_wait_leaves_only_a_request_with_a_name_open(name: str | None, expected: int) -> None:
    slow, is_pending = Slow(), threading.Event()

    async def run() -> None:
        action = slow.gate.action("A", "B", correlation_id=name, on_pending=lambda _: is_pending.set())
        task = asyncio.ensure_future(action.claim_async({}, wait=30))
        assert await asyncio.to_thread(is_pending.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert slow.withdrawals() == expected


def test_a_request_without_a_name_is_open_after_undecided_until_its_next_wait_is_cancelled() -> None:
    slow = Slow()

    async def run() -> None:
        with pytest.raises(Undecided) as undecided:
            await slow.gate.action("A", "B").claim_async({}, wait=0)
        assert slow.withdrawals() == 0
        again = asyncio.ensure_future(undecided.value.pending.claim_async(wait=30))
        await asyncio.sleep(0)
        again.cancel()
        with pytest.raises(asyncio.CancelledError):
            await again
        assert slow.withdrawals() == 1

    asyncio.run(run())


def test_a_withdrawal_that_is_tried_again_spares_the_request_of_a_call_that_waits_by_then() -> None:
    slow = Slow()
    slow.answers["withdraw"] = [httpx.Response(503)]
    slow.held["withdraw"] = threading.Event()
    slow.held["withdraw"].set()

    async def run() -> None:
        first = await Waiting(slow).begun()
        await first.cancel()
        assert await asyncio.to_thread(slow.arrived.wait, 10)
        second = await Waiting(slow).begun()
        assert slow.withdrawals() == 1
        await second.cancel()
        assert slow.withdrawals() == 2

    asyncio.run(run())


def test_a_request_that_one_call_leaves_open_stays_open_after_the_others() -> None:
    slow = Slow()

    async def run() -> None:
        waiting = await Waiting(slow).begun()
        with pytest.raises(Undecided):
            await slow.action().claim_async({}, wait=0)
        await waiting.cancel()
        assert slow.withdrawals() == 0

    asyncio.run(run())


def test_the_request_of_another_call_under_the_same_name_is_not_withdrawn() -> None:
    slow = Slow()
    slow.action().submit({})  # kept for later
    slow.answers["submit"] = [httpx.Response(503)]
    with pytest.raises(Refused) as refused:
        slow.action().claim({"other": True})
    assert refused.value.reason is Reason.INVALID
    assert slow.withdrawals() == 0


def test_a_call_that_is_cancelled_while_the_gate_is_down_leaves_nothing_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("human_oversight.retry.OUTAGE_SECONDS", 0)
    slow = Slow()
    held = slow.held["submit"] = threading.Event()
    slow.answers["submit"] = [httpx.Response(422)]

    async def run() -> None:
        waiting = Waiting(slow)
        assert await asyncio.to_thread(slow.arrived.wait, 10)
        await waiting.cancel()
        held.set()

    asyncio.run(run())
    assert flush(10)
    gc.collect()
    assert [it for it in caplog.records if it.name == "asyncio"] == []


@pytest.mark.parametrize(("name", "expected"), [(None, 1), ("call-1", 0)])
def test_a_cancellation_that_comes_with_undecided_leaves_only_a_request_with_a_name_open(
    name: str | None, expected: int
) -> None:
    slow = Slow()

    async def others() -> None:
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks)

    async def run() -> None:
        task = asyncio.ensure_future(slow.gate.action("A", "B", correlation_id=name).claim_async({}, wait=0))
        await asyncio.sleep(0)
        # The result is there before this loop, which is blocked, can pass it on.
        asyncio.run_coroutine_threadsafe(others(), loop.get()).result(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert slow.withdrawals() == expected
