"""What is reported of a function that ran, and what becomes of a request that did not end in an approval."""

import asyncio
import contextlib
import io
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from human_oversight import Gate, Handle, Reason, Refused, Undecided, approval_gate, flush, tool_call
from human_oversight.jws import encode
from human_oversight.mock import PAUSE, MockGate
from human_oversight.receipts import PERMIT

gated = approval_gate("UserManagerAgent", "Delete User Account")
ran: list[Any] = []


@pytest.fixture
def mock() -> Any:
    ran.clear()
    mock = MockGate()
    with mock.gate.scope():
        yield mock


async def delete(user_id: str) -> None:
    ran.append(user_id)


async def stream(user_id: str) -> Any:
    ran.append(user_id)
    yield user_id


def generate(user_id: str) -> Iterator[str]:
    ran.append(user_id)
    yield user_id


async def give_coroutine(user_id: str) -> Any:
    return delete(user_id)


async def give_generator(user_id: str) -> Any:
    return generate(user_id)


async def give_stream(user_id: str) -> Any:
    return stream(user_id)


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that does not say what it wraps."""

    def wrapper(user_id: str) -> Any:
        return function(user_id)

    return wrapper


@pytest.mark.parametrize("function", [delete, generate, stream], ids=lambda it: it.__name__)
def test_a_function_whose_result_would_run_later_is_reported_as_failed(mock: MockGate, function: Any) -> None:
    with pytest.raises(TypeError, match="no one can know any more what was approved"):
        gated(traced(function))("1")
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])


@pytest.mark.parametrize("function", [give_coroutine, give_generator, give_stream], ids=lambda it: it.__name__)
def test_so_is_a_coroutine_function_with_such_a_result(mock: MockGate, function: Any) -> None:
    with pytest.raises(TypeError, match="no one can know any more what was approved"):
        asyncio.run(gated(function)("1"))
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])


def test_a_task_is_cancelled(mock: MockGate) -> None:
    async def call() -> None:
        with pytest.raises(TypeError, match="a coroutine function"):
            gated(lambda user_id: asyncio.ensure_future(delete(user_id)))("1")
        await asyncio.sleep(0)

    asyncio.run(call())
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])


@pytest.mark.parametrize(
    "lazy",
    [
        lambda user_id: map(ran.append, [user_id]),
        lambda user_id: filter(ran.append, [user_id]),
        lambda user_id: zip(generate(user_id)),
        lambda user_id: itertools.chain(generate(user_id)),
        lambda user_id: enumerate(generate(user_id)),
    ],
)
def test_an_iterator_that_computes_its_items_would_run_later(mock: MockGate, lazy: Any) -> None:
    with pytest.raises(TypeError, match="no one can know any more what was approved"):
        gated(lazy)("1")
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])


@contextlib.contextmanager
def within(user_id: str) -> Iterator[None]:
    ran.append(user_id)
    yield


@contextlib.asynccontextmanager
async def within_async(user_id: str) -> Any:
    ran.append(user_id)
    yield


@pytest.mark.parametrize("manager", [within, within_async])
def test_a_context_manager_whose_body_is_a_generator_would_run_later(mock: MockGate, manager: Any) -> None:
    with pytest.raises(TypeError, match="no one can know any more what was approved"):
        gated(lambda user_id: manager(user_id))("1")
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])


@pytest.mark.parametrize(
    "hold",
    [lambda it: (1, it), lambda it: [it], lambda it: {"it": it}, lambda it: Pair(1, it)],
    ids=["tuple", "list", "dict", "named tuple"],
)
@pytest.mark.parametrize("later", [delete, stream, generate, within, lambda user_id: map(ran.append, [user_id])])
def test_a_list_that_holds_what_would_run_later_is_reported_as_failed(mock: MockGate, hold: Any, later: Any) -> None:
    with pytest.raises(TypeError, match=r"in a (tuple|list|dict|Pair): it runs when no one can know any more what was"):
        gated(lambda user_id: hold(later(user_id)))("1")
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])


def test_what_is_there_already_is_a_result(mock: MockGate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    with open(tmp_path / "file") as file:
        results: list[Any] = [["1"], range(2), {}, file, io.StringIO("1"), (file, [1]), {"of": iter([1])}]
        for result in results:
            assert gated(lambda user_id: result)("1") is result  # noqa: B023
    assert mock.outcomes == ["Executed"] * len(results)


class Pair(NamedTuple):
    first: Any
    second: Any


class Generate:
    def __call__(self, user_id: str) -> Any:
        yield user_id


class Stream:
    async def __call__(self, user_id: str) -> Any:
        yield user_id


@pytest.mark.parametrize("kind", [Generate, Stream])
def test_an_object_that_is_called_as_a_generator_is_refused_at_once(kind: Any) -> None:
    with pytest.raises(TypeError, match="cannot gate a generator"):
        gated(kind())


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_without_a_text_is_reported_and_raised(mock: MockGate) -> None:
    def fail() -> None:
        raise SilentError

    async def fail_async() -> None:
        raise SilentError

    with pytest.raises(SilentError):
        gated(fail)()
    with pytest.raises(SilentError):
        asyncio.run(gated(fail_async)())
    assert mock.outcomes == ["ExecutionFailed", "ExecutionFailed"]


def answering(
    mock: MockGate,
    change: Callable[[str, dict[str, Any]], dict[str, Any]],
    calls: list[str],
    claim_key: str | None = None,
) -> Gate:
    """A gate whose answers are those of the mock, changed."""

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path.split("/")[2])
        response = mock._respond(request)
        return httpx.Response(response.status_code, json=change(calls[-1], json.loads(response.content)))

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Gate("https://mock.invalid", approvers=["a@b.example"], claim_key=claim_key, http=http)


def test_a_callback_that_fails_or_is_not_run_ends_nothing(mock: MockGate, caplog: pytest.LogCaptureFixture) -> None:
    async def later(_: Any) -> None:
        raise AssertionError("it ran")

    def fail(_: Any) -> None:
        raise LookupError("no terminal")

    gate = answering(mock, lambda call, it: it | ({"status": "Pending"} if call == "submit" else {}), [])
    for on_pending, line in (
        (fail, "on_pending failed"),
        (lambda it: later(it), "on_pending must not be asynchronous"),
    ):
        caplog.clear()
        assert approval_gate("A", "B", gate=gate, on_pending=on_pending)(lambda: "ran")() == "ran"
        assert [it.getMessage() for it in caplog.records] == [line]


def test_a_callback_that_exits_ends_its_call_and_no_other(mock: MockGate) -> None:
    calls: list[str] = []
    gate = answering(mock, lambda call, it: it | ({"status": "Pending"} if call == "submit" else {}), calls)
    exits = approval_gate("A", "B", gate=gate, on_pending=lambda _: sys.exit("come back later"))
    for _ in range(2):
        with pytest.raises(SystemExit, match="come back later"):
            exits(lambda: "ran")()
    assert flush(10)
    assert approval_gate("A", "B", gate=gate)(lambda: "ran")() == "ran"
    assert (calls.count("withdraw"), calls.count("outcome")) == (2, 1)


def test_an_approval_that_only_this_clock_takes_for_lapsed_is_no_timeout(
    mock: MockGate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("human_oversight.proof.time", SimpleNamespace(time=lambda: time.time() + 7_200))
    refused = gated(lambda: ran.append("ran"))().refused  # type: ignore[attr-defined]
    assert refused.reason is Reason.UNVERIFIED
    assert "clock, which may be ahead" in caplog.text
    assert (ran, mock.outcomes) == ([], [None])


def test_a_request_that_the_gate_took_otherwise_than_it_was_submitted_is_withdrawn(mock: MockGate) -> None:
    calls: list[str] = []
    gate = answering(mock, lambda call, it: it | ({"parametersDigest": "0" * 64} if call == "submit" else {}), calls)
    with pytest.raises(Refused) as refused:
        gate.action("A", "B").claim({})
    assert refused.value.reason is Reason.UNVERIFIED
    assert flush(10)
    assert calls == ["keys", "submit", "withdraw"]


def test_a_mock_takes_a_name_once_as_the_gate_does(mock: MockGate) -> None:
    action = mock.gate.action("A", "B", correlation_id="call-1")
    handle = action.prepare()
    for _ in range(2):
        action.submit({"user_id": "1"}, handle)
    for other, parameters in ((handle, {"user_id": "2"}), (Handle(handle.id, "another"), {"user_id": "1"})):
        with pytest.raises(Refused, match="The correlationId is taken") as refused:
            action.submit(parameters, other)
        assert refused.value.reason is Reason.INVALID
    assert len(mock.requests) == 1


@pytest.mark.parametrize("error", [StopIteration(), TimeoutError(), ValueError("  "), KeyError()])
def test_a_failure_without_words_is_reported_by_its_type(error: Exception) -> None:
    mock, reports = MockGate(), []

    def answer(request: httpx.Request) -> httpx.Response:
        if "/outcome/" in request.url.path:
            reports.append(json.loads(request.content)["error"])
        return mock._respond(request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    permit = Gate("https://mock.invalid", approvers=["a@b.example"], http=http).action("A", "B").claim({})
    permit.failed(error)
    assert reports == [type(error).__name__]


def test_a_request_that_no_gate_took_is_withdrawn_without_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with MockGate(lambda _: PAUSE).gate.scope():
        gated(lambda: "ran")()
    assert flush(10)
    assert "withdrawn" not in caplog.text


def test_what_is_pending_past_its_deadline_is_withdrawn() -> None:
    calls: list[str] = []
    mock = MockGate()

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path.split("/")[2])
        if calls[-1] == "claim":
            problem = {
                "type": "urn:human-oversight:problem:conflict",
                "title": "Conflict",
                "status": 409,
                "detail": "No.",
            }
            return httpx.Response(409, json=problem)
        response = mock._respond(request)
        if calls[-1] not in ("submit", "status"):
            return response
        expired = datetime.now(timezone.utc) - timedelta(hours=1)
        pending = {"status": "Pending", "receipt": None, "approver": None, "expiresAt": expired.isoformat()}
        return httpx.Response(response.status_code, json=json.loads(response.content) | pending)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    action = Gate("https://mock.invalid", approvers=["a@b.example"], http=http).action("A", "B")
    with pytest.raises(Refused) as refused:
        action.claim({})
    assert refused.value.reason is Reason.UNAVAILABLE
    assert "clock may be ahead" in (refused.value.detail or "")
    assert flush(10)
    assert calls == ["keys", "submit", "status", "claim", "status", "withdraw"]

    calls.clear()
    with pytest.raises(Refused):
        action.claim({}, action.prepare())
    assert flush(10)
    assert "withdraw" not in calls


def behind(mock: MockGate, front: Callable[[str, int], httpx.Response | None]) -> tuple[Gate, list[str]]:
    """A gate behind a front that answers some calls itself, and the calls. It gets the name of each, and its number."""
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path.split("/")[2])
        response = mock._respond(request)  # the gate got the call, whatever the front answers
        return front(calls[-1], calls.count(calls[-1])) or response

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Gate("https://mock.invalid", approvers=["a@b.example"], http=http), calls


@pytest.mark.parametrize("call", ["status", "claim"])
def test_an_approval_that_has_lapsed_by_this_clock_alone_is_no_timeout_after_the_claim_either(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hurry(name: str, _: int) -> None:
        if name == call:
            monkeypatch.setattr("human_oversight.proof.time", SimpleNamespace(time=lambda: time.time() + 7_200))

    mock = MockGate()
    gate, _ = behind(mock, hurry)
    with pytest.raises(Refused) as refused:
        gate.action("A", "B").claim({})
    assert refused.value.reason is Reason.UNVERIFIED
    assert "clock" in (refused.value.detail or "")
    assert mock.outcomes == [{"status": None, "claim": "ExecutionFailed"}[call]]


def test_a_report_that_is_refused_is_logged_without_an_address(caplog: pytest.LogCaptureFixture) -> None:
    why = "alice@example.com has\nrevoked"
    gate, _ = behind(MockGate(), lambda name, _: problem(409, "conflict", why) if name == "outcome" else None)
    gate.action("A", "B").claim({}).executed()
    (line,) = (it.getMessage() for it in caplog.records)
    assert line.endswith(" could not be reported: No: … has revoked (409)")


UNREADABLE: dict[str, Callable[[], httpx.Response]] = {
    "empty": lambda: httpx.Response(200),
    "no content": lambda: httpx.Response(204),
    "not JSON": lambda: httpx.Response(200, text="<html>Be right back.</html>"),
    "twice": lambda: httpx.Response(200, text="{}{}"),
    "a redirect": lambda: httpx.Response(302, headers={"location": "https://other.example.com"}),
    "no gate's": lambda: httpx.Response(200, json={"message": "OK"}),
    "not decoded": lambda: httpx.Response(
        200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip")
    ),
    "too long": lambda: httpx.Response(200, text="x" * 300_000),
    "no problem": lambda: httpx.Response(403, text="blocked"),
    "no key": lambda: httpx.Response(401),
    "no route": lambda: httpx.Response(404, text="<html>Restarting</html>"),
}


class AnyClaimGate(MockGate):
    """A mock that answers a claim again, as the gate does by its nonce."""

    def _respond(self, http: httpx.Request) -> httpx.Response:
        known = self._answers.get(http.url.path) if "/claim/" in http.url.path else None
        answer = known or super()._respond(http)
        self._answers[http.url.path] = answer
        return httpx.Response(answer.status_code, content=answer.content)

    def __init__(self) -> None:
        self._answers: dict[str, httpx.Response] = {}
        super().__init__()


@pytest.mark.parametrize(
    ("call", "unreadable"),
    [
        *(("status", UNREADABLE[it]) for it in ("not JSON", "no key", "no route")),
        *((call, it) for call in ("claim", "outcome") for it in UNREADABLE.values()),
    ],
)
def test_an_answer_that_is_no_gate_s_is_asked_for_again(call: str, unreadable: Any) -> None:
    mock = AnyClaimGate()
    gate, calls = behind(mock, lambda name, times: unreadable() if (name, times) == (call, 1) else None)
    assert approval_gate("A", "B", gate=gate)(lambda: "ran")() == "ran"
    assert mock.outcomes == ["Executed"]
    assert calls.count(call) == 2


def test_a_claim_whose_answers_stay_unreadable_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("human_oversight.retry.OUTAGE_SECONDS", 0.3)
    mock = AnyClaimGate()
    gate, calls = behind(mock, lambda name, _: httpx.Response(200) if name == "claim" else None)
    refused = approval_gate("A", "B", gate=gate)(lambda: "ran")().refused  # type: ignore[attr-defined]
    assert refused.reason is Reason.UNAVAILABLE
    assert calls.count("claim") > 1
    assert mock.outcomes == ["ExecutionFailed"]


def test_a_claim_that_was_not_granted_reports_nothing_of_the_one_that_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("human_oversight.retry.OUTAGE_SECONDS", 0.3)
    mock = MockGate()
    handle = mock.gate.action("A", "B").prepare()
    running = mock.gate.action("A", "B").claim({}, handle)

    def front(name: str, _: int) -> httpx.Response | None:
        # To the second worker nothing is claimed yet, and the answers to its claim are lost.
        if name == "status":
            return httpx.Response(200, json=mock._approvals[handle.id] | {"execution": None})
        return httpx.Response(503) if name == "claim" else None

    second, calls = behind(mock, front)
    with pytest.raises(Refused) as refused:
        second.action("A", "B", ["approver@example.com"]).resume(handle, {}).claim()
    assert refused.value.reason is Reason.UNAVAILABLE
    assert calls[-1] == "outcome"
    assert mock.outcomes == ["Executing"]
    assert "another claim" in caplog.text
    running.executed()
    assert mock.outcomes == ["Executed"]


def problem(status: int, kind: str, detail: str = "No.") -> httpx.Response:
    document = {"type": f"urn:human-oversight:problem:{kind}", "title": "No", "status": status, "detail": detail}
    return httpx.Response(status, json=document)


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (httpx.Response(200), problem(403, "paused"), Reason.PAUSED),
        (httpx.Response(503), problem(403, "paused"), Reason.PAUSED),
        (problem(500, "integrity"), None, Reason.UNAVAILABLE),
    ],
    ids=["unreadable, paused", "unavailable, paused", "integrity"],
)
def test_a_claim_that_may_have_been_granted_is_reported_whatever_its_last_answer_is(
    first: httpx.Response, last: httpx.Response | None, reason: Reason
) -> None:
    mock = MockGate()
    gate, _ = behind(mock, lambda name, times: (first if times == 1 else last) if name == "claim" else None)
    refused = approval_gate("A", "B", gate=gate)(lambda: ran.append("ran"))().refused  # type: ignore[attr-defined]
    assert refused.reason is reason
    assert mock.outcomes == ["ExecutionFailed"]


def test_a_claim_that_is_refused_at_once_is_not_reported(mock: MockGate) -> None:
    gate, calls = behind(mock, lambda name, _: problem(403, "paused") if name == "claim" else None)
    refused = approval_gate("A", "B", gate=gate)(lambda: ran.append("ran"))().refused  # type: ignore[attr-defined]
    assert refused.reason is Reason.PAUSED
    assert (ran, calls) == ([], ["keys", "submit", "status", "claim"])


def test_keys_are_fetched_again_where_they_do_not_verify_a_permit(mock: MockGate) -> None:
    """The operator replaces the key between the decision and the claim."""
    calls: list[str] = []
    new = Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "kid": "new", "x": encode(new.public_key().public_bytes_raw())}

    def rotate(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        if name == "keys" and calls.count("keys") > 1:
            return answer | {"keys": [jwk, *answer["keys"]]}
        if name != "claim":
            return answer
        header = encode(json.dumps({"alg": "EdDSA", "kid": "new", "typ": PERMIT}).encode())
        signed = f"{header}.{answer['permit'].split('.')[1]}"
        return answer | {"permit": f"{signed}.{encode(new.sign(signed.encode()))}"}

    gate = answering(mock, rotate, calls)
    assert approval_gate("A", "B", gate=gate)(lambda: "ran")() == "ran"
    assert approval_gate("A", "B", gate=gate)(lambda: "ran")() == "ran"
    again = ["submit", "status", "claim", "outcome"]
    assert calls == ["keys", "submit", "status", "claim", "keys", "outcome", *again]


def test_a_permit_that_no_key_verifies_is_reported_as_not_run(mock: MockGate) -> None:
    calls: list[str] = []

    def forget(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        if name == "keys" and calls.count("keys") > 1:
            return answer | {"keys": []}
        return answer | {"permit": "permit"} if name == "claim" else answer

    gate = answering(mock, forget, calls)
    refused = approval_gate("A", "B", gate=gate)(lambda: ran.append("ran"))().refused  # type: ignore[attr-defined]
    assert refused.reason is Reason.UNVERIFIED
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])
    assert calls == ["keys", "submit", "status", "claim", "keys", "outcome"]


def test_an_approval_that_the_gate_lets_no_one_claim_is_refused_in_its_own_words() -> None:
    mock, calls = MockGate(), []
    why = "The standing grant that approved this was ended. Submit it again."

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path.split("/")[2])
        return problem(409, "approver_not_allowed", why) if calls[-1] == "claim" else mock._respond(request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    gate = Gate("https://mock.invalid", approvers=["a@b.example"], http=http)
    refused = approval_gate("A", "B", gate=gate)(lambda: ran.append("ran"))().refused  # type: ignore[attr-defined]
    assert (refused.reason, refused.detail) == (Reason.INVALID, why)
    assert refused.id == next(iter(mock._approvals))
    assert str(refused).endswith(why)
    assert (ran, mock.outcomes) == ([], [None])
    assert calls == ["keys", "submit", "status", "claim", "status"]


@pytest.mark.parametrize("is_named", [True, False])
def test_a_call_that_another_process_can_go_on_with_stays_open_when_it_is_cancelled(
    mock: MockGate, is_named: bool
) -> None:
    calls: list[str] = []
    gate = answering(mock, lambda _, it: it | {"status": "Pending"} if "receipt" in it else it, calls, "5a" * 32)
    is_pending = threading.Event()
    gated = approval_gate("A", "B", gate=gate, on_pending=lambda _: is_pending.set())

    async def cancel() -> None:
        with tool_call("run 1", "call_1") if is_named else contextlib.nullcontext():
            task = asyncio.ensure_future(gated(delete)("1"))  # type: ignore[arg-type]
        await asyncio.to_thread(is_pending.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert flush(10)
    assert ("withdraw" in calls) is not is_named


def test_without_a_name_undecided_says_that_the_call_would_ask_again(mock: MockGate) -> None:
    gate = answering(mock, lambda _, it: it | {"status": "Pending"} if "receipt" in it else it, [])

    def words(**settings: Any) -> str:
        with pytest.raises(Undecided) as undecided:
            approval_gate("A", "B", wait=False, gate=gate, **settings)(lambda: "ran")()
        assert len({it["correlationId"] for it in mock.requests}) == len(mock.requests)
        return str(undecided.value)

    assert "Do not call again" in words()
    assert "Do not call again" in words()
    assert len(mock.requests) == 2
    assert "Call again later" in words(correlation_id="1")
    assert "Call again later" in words(correlation_id="1")
    with tool_call("2"):
        assert "Call again later" in words()
    assert len(mock.requests) == 4


def test_a_handle_of_another_agent_is_refused_before_anything_is_sent(mock: MockGate) -> None:
    stored = mock.gate.action("Former", "B").prepare().to_json()
    action = mock.gate.action("Renamed", "B")
    for use in (action.submit, action.claim, lambda it, handle: action.resume(handle, it)):
        with pytest.raises(Refused) as refused:
            use({}, Handle.from_json(stored))
        assert refused.value.reason is Reason.INVALID
        assert "the handle is that of another agent" in str(refused.value)
    assert mock.requests == []


@pytest.mark.parametrize("text", ["7", "{}", '{"id": 1, "secret": 2}', '{"id": "a.b", "secret": "c", "more": ""}', "{"])
def test_what_is_no_stored_handle_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a stored handle"):
        Handle.from_json(text)


def test_what_can_never_run_under_a_handle_is_refused_before_people_decide(mock: MockGate) -> None:
    action = mock.gate.action("A", "B")
    handle = action.prepare()
    with pytest.raises(Refused, match="no such request") as refused:
        action.resume(handle, {"user": "1"}).run(lambda: pytest.fail("it ran"))
    assert refused.value.reason is Reason.INVALID

    action.submit({"user": "1"}, handle)
    mock._approvals[handle.id]["status"] = "Pending"
    with pytest.raises(Refused) as refused:
        action.resume(handle, {"user": "2"}).run(lambda: pytest.fail("it ran"), wait=0)
    assert refused.value.reason is Reason.UNVERIFIED


@pytest.mark.parametrize("call", ["claim", "outcome"])
def test_a_gate_that_asks_for_a_longer_wait_is_called_once_more(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("human_oversight.retry.OUTAGE_SECONDS", 0.3)
    mock = AnyClaimGate()
    busy = {"retry-after": "70"}
    gate, calls = behind(
        mock, lambda it, times: httpx.Response(503, headers=busy) if (it, times) == (call, 1) else None
    )
    assert approval_gate("A", "B", gate=gate)(lambda: "ran")() == "ran"
    assert mock.outcomes == ["Executed"]
    assert calls.count(call) == 2


@pytest.mark.parametrize("call", ["keys", "submit", "status", "claim", "outcome"])
def test_a_gate_that_asks_for_no_wait_is_not_called_without_pause(call: str) -> None:
    mock = AnyClaimGate()
    busy = {"retry-after": "0"}
    gate, _ = behind(mock, lambda it, times: httpx.Response(503, headers=busy) if (it, times) == (call, 1) else None)
    started = time.monotonic()
    assert approval_gate("A", "B", gate=gate)(lambda: "ran")() == "ran"
    assert time.monotonic() - started >= 0.25


def test_a_wait_for_which_the_host_asks_while_people_decide_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("human_oversight.pending.OUTAGE_SECONDS", 0.1)
    busy = httpx.Response(503, headers={"retry-after": "900"})
    gate, calls = behind(MockGate(), lambda it, times: busy if (it, times) == ("status", 1) else None)
    assert approval_gate("A", "B", gate=gate)(lambda: "ran")() == "ran"
    assert calls.count("status") == 2
