"""What the scenarios leave out, against a real gate: decisions are made by the page's form."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from run import Gate as RealGate
from run import eventually

from human_oversight import (
    Approval,
    Gate,
    GateError,
    Handle,
    Reason,
    Refused,
    Undecided,
    approval_gate,
    flush,
    tool_call,
)
from human_oversight.client import Client

MIGRATION = (REPOSITORY / "docs/migration.md").read_text()
PROGRAM = MIGRATION.split("```python\n")[1].split("```")[0] + 'print(delete_user(user_id="1"))'
"""As a program of the legacy decorator is written: docs/migration.md."""


def first_id(real: RealGate) -> str:
    text = eventually("an email", real.questions)[0]
    return re.search(r"/api/decision/([^?\s]+)\?", text)[1]  # type: ignore[index]


def decide(real: RealGate, verdict: str, comment: str = "") -> str:
    id_ = first_id(real)
    real.decide(id_, verdict, comment)
    return id_


def in_thread(function: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    return thread, results


def start(env: dict[str, str]) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HO_")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # What runs in the background of a shell ignores interrupts, and so do the programs that it starts.
    interruptible = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-c", interruptible + PROGRAM]
    return subprocess.Popen(command, env=inherited | env, text=True, **pipes)  # type: ignore[call-overload]


def test_a_program_of_the_legacy_decorator_runs_unchanged(real: RealGate) -> None:
    url = re.search(r"HO_LOGIC_APP_URL=(\S+)", MIGRATION)[1]  # type: ignore[index]
    url = url.replace("https://gate.example.com", real.url).replace("FUNCTION_KEY", "a-key")
    program = start({"HO_LOGIC_APP_URL": url})
    id_ = decide(real, "approve")
    assert program.communicate()[0] == "User 1 deleted.\n"
    assert real.status(id_, "a-key")["execution"]["status"] == "Executed"


def test_an_interrupt_withdraws_before_the_program_ends(real: RealGate) -> None:
    program = start({"HO_URL": real.url})
    id_ = first_id(real)
    program.send_signal(signal.SIGINT)
    errors = program.communicate()[1]
    assert "KeyboardInterrupt" in errors
    assert real.status(id_)["status"] == "Cancelled", errors


def test_a_function_that_does_not_wait_is_called_again(real: RealGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HO_CLAIM_KEY", "5a" * 32)
    ran: list[str] = []

    def call() -> Any:
        # A gate of its own, as after a restart of the process: the claim key gives the same handle.
        gated = approval_gate("A", "Delete", wait=False, gate=Gate.from_env())
        with tool_call("thread 7", "call_1"):
            return gated(lambda user_id: ran.append(user_id))("1")

    for _ in range(2):
        with pytest.raises(Undecided, match="PENDING: a person must approve first"):
            call()
    real.decide(first_id(real), "approve", "")
    call()
    assert ran == ["1"]
    assert call().refused.execution == "Executed"
    assert (len(real.questions()), ran) == (1, ["1"])


def test_a_wait_is_waited_out_where_the_gate_asks_for_a_longer_pause(
    real: RealGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, looks = Client.status, 0

    async def in_production(self: Client, id: str, wait: int = 0) -> tuple[Approval, float]:  # noqa: A002
        nonlocal looks
        looks += 1
        return (await status(self, id))[0], 15.0

    monkeypatch.setattr(Client, "status", in_production)
    pending = Gate.from_env().action("A", "Delete").submit({})
    began = time.monotonic()
    with pytest.raises(Undecided):
        pending.claim(wait=1)
    assert looks == 2
    assert time.monotonic() - began >= 1


def test_a_repeated_tool_call_is_the_same_request_within_a_process(real: RealGate) -> None:
    ran: list[str] = []
    gated = approval_gate("A", "Delete")(lambda user_id: ran.append(user_id))

    def call() -> Any:
        with tool_call("call_1"):
            return gated("1")

    thread, _ = in_thread(call)
    decide(real, "approve")
    thread.join()
    assert call().refused.execution == "Executed"
    assert (len(real.questions()), ran) == (1, ["1"])


def test_the_gate_and_the_client_agree_on_the_form_of_an_address(real: RealGate) -> None:
    for domain in ("ex\u00adample.com", "example.com\u200b", "\uff45xample\u3002com", "☃.example", "faß.example"):
        action = Gate.from_env().action("A", ascii(domain), [f"alice@{domain}"])
        pending = action.submit({})
        real.decide(pending.handle.id, "approve", "")
        assert pending.run(lambda: "ran") == "ran", ascii(domain)


def test_a_stored_handle_outlives_its_process(real: RealGate) -> None:
    action = Gate.from_env().action("A", "Delete", timeout=600)
    handle = action.prepare()
    stored = handle.to_json()
    action.submit({"user": 1}, handle)
    real.decide(first_id(real), "approve", "")
    handle = Handle.from_json(stored)
    assert action.run({"user": 1}, lambda: "ran", handle) == "ran"
    with pytest.raises(Refused) as refused:
        action.resume(handle, {"user": 1}).run(lambda: "ran again")
    assert refused.value.reason is Reason.USED


def test_other_parameters_than_the_approved_ones_do_not_run(real: RealGate) -> None:
    action = Gate.from_env().action("A", "Delete")
    handle = action.prepare()
    action.submit({"user": 1}, handle)
    id_ = decide(real, "approve")
    with pytest.raises(Refused) as refused:
        action.resume(handle, {"user": 2}).run(lambda: "ran")
    assert refused.value.reason is Reason.UNVERIFIED
    assert real.status(id_)["execution"] is None


def test_a_cancelled_action_is_reported_as_given_up(real: RealGate) -> None:
    begun = threading.Event()

    @approval_gate("A", "Delete")
    async def delete() -> None:
        begun.set()
        await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.ensure_future(delete())
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    thread, _ = in_thread(lambda: asyncio.run(cancel()))
    id_ = decide(real, "approve")
    thread.join()
    flush(10)
    execution = real.status(id_)["execution"]
    assert execution["status"] == "ExecutionFailed"
    assert execution["error"] == "given up while it ran: it may have run, or a part of it"


def test_a_permit_that_is_dropped_is_reported(real: RealGate) -> None:
    pending = Gate.from_env().action("A", "Delete").submit({})
    id_ = decide(real, "approve")
    pending.claim()
    flush(10)
    assert real.status(id_)["execution"]["status"] == "ExecutionFailed"


def test_a_program_checks_its_settings(real: RealGate) -> None:
    Gate.from_env().check()
    asyncio.run(Gate.from_env().check_async())
    assert real.questions() == []


def test_a_gate_of_identities_says_that_it_takes_no_function_keys(program: str, tmp_path: Path) -> None:
    real = RealGate(program, tmp_path, {"identity": {}})
    try:
        gate = Gate(real.url, "the-function-key", approvers=["alice@example.com"])
        with pytest.raises(GateError, match=r"no function keys .* set HO_AUDIENCE"):
            gate.check()
        with pytest.raises(Refused) as refused:
            gate.action("A", "Delete").submit({})
        assert refused.value.reason is Reason.MISCONFIGURED
    finally:
        real.stop()


def test_a_request_is_withdrawn_by_its_submitter(real: RealGate) -> None:
    action = Gate.from_env().action("A", "Delete")
    for withdraw in (lambda it: it.withdraw(), lambda it: asyncio.run(it.withdraw_async())):
        assert withdraw(action.submit({})).status == "Cancelled"


def test_no_line_of_the_log_has_a_secret(
    real: RealGate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")
    gate = Gate(real.url, "the-function-key", approvers=["alice@example.com"])
    action = gate.action("A", "Delete", on_pending=lambda _: 1 / 0)
    handle = action.prepare()
    thread, results = in_thread(lambda: action.run({"user": "the-user"}, lambda: "ran", handle))
    decide(real, "approve")
    thread.join()
    with pytest.raises(Refused):  # the gate's answer names the address
        gate.action("A", "Delete", ["not an address"]).submit({})
    assert results == ["ran"]
    assert "on_pending failed" in caplog.text
    for secret in ("the-function-key", handle.secret, "the-user", "alice@"):
        assert secret not in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_has_connections_of_its_own(real: RealGate) -> None:
    gate = Gate.from_env()
    gate.check()
    child = os.fork()
    if child == 0:
        try:
            gate.check()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    gate.check()


def test_a_person_who_rejects_is_named(real: RealGate) -> None:
    @approval_gate("A", "Delete", on_refusal="raise")
    def delete() -> None: ...

    def call() -> Refused:
        with pytest.raises(Refused) as refused:
            delete()
        return refused.value

    thread, results = in_thread(call)
    decide(real, "reject", "Ask Legal")
    thread.join()
    assert (results[0].by, results[0].comment) == ("alice@example.com", "Ask Legal")
