"""A gate for the tests of agents: no person is asked, a policy of the test decides.

    mock = MockGate(lambda request: reject("Not this one."))
    with mock.gate.scope():
        assert delete_user("1") == "DENIED"
    assert mock.requests[0]["parameters"] == {"user_id": "1"}

What the policy raises, the call raises, and the scope again at its end. The client is the real one: it waits, verifies
signed receipts and permits (each mock has a key of its own), claims and reports. Only the network is missing.
"""

import base64
import inspect
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .approval import Approval
from .callback import sign
from .client import Client
from .connection import Connection
from .gate import Gate, stand_in
from .handle import approval_id
from .jws import encode
from .mock_limits import faults
from .parameters import Parameters
from .receipts import PERMIT, RECEIPT, digest
from .strict_json import StrictJsonError, loads

_ISSUER = "https://mock.invalid"
_OPEN = timedelta(hours=1)


@dataclass(frozen=True)
class Answer:
    """How a mock answers a request: `APPROVE`, `EXPIRE`, `PAUSE`, `reject(comment)`, or `ask_for_changes(question)`."""

    status: str
    comment: str | None = None
    question: str | None = None


APPROVE = Answer("Approved")
"""The first of the approvers approves."""

EXPIRE = Answer("Timeout")
"""The request expires without a decision, long before its deadline: the call takes a second."""

PAUSE = Answer("Paused")
"""The gate takes no requests: the operator has paused operations."""


def reject(comment: str | None = None) -> Answer:
    """The first of the approvers rejects, with this comment."""
    return Answer("Rejected", comment)


def ask_for_changes(question: str) -> Answer:
    """The first of the approvers rejects, and asks for changes in these words."""
    return Answer("Rejected", question=question)


_STATUSES = {it.status for it in (APPROVE, EXPIRE, PAUSE, reject())}

Request = dict[str, Any]
Policy = Callable[[Request], Answer]


class MockGate:
    """A gate without people."""

    def __init__(self, policy: Policy = lambda _: APPROVE) -> None:
        if not callable(policy):
            raise TypeError("the policy of a mock must be a function of the request, such as `lambda request: APPROVE`")
        self._policy = policy
        self._key = Ed25519PrivateKey.generate()
        self._callback_key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._approvals: dict[str, dict[str, Any]] = {}
        self._claims: dict[str, dict[str, Any]] = {}
        self._nonces: dict[str, str] = {}
        self.requests: list[Request] = []
        """The requests that were accepted, in order."""
        self.gate: Gate = _MockedGate(self._respond)
        """The gate, for the agent under test."""

    @property
    def outcomes(self) -> list[str | None]:
        """What became of each request: `Executed`, `ExecutionFailed`, or nothing."""
        with self._lock:
            executions = [approval["execution"] for approval in self._approvals.values()]
        return [execution and execution["status"] for execution in executions]

    @property
    def callback_secret(self) -> str:
        """The secret of the channels, for `verify_callback`."""
        return f"whsec_{base64.b64encode(self._callback_key).decode()}"

    def callbacks(self) -> list[tuple[dict[str, str], bytes]]:
        """Headers and bodies of the callbacks of those requests that name a channel, in order, signed now. Each call is
        another delivery of all of them."""
        with self._lock:
            requests = [request for request in self.requests if request.get("callback")]
            return [self._callback(request) for request in requests]

    def _callback(self, request: Request) -> tuple[dict[str, str], bytes]:
        status = self._approvals[approval_id(request["agentName"], request["correlationId"])]["status"]
        now = datetime.now(timezone.utc)
        data = {name: request[name] for name in ("agentName", "correlationId")} | {"sequence": 1, "status": status}
        if "state" in request["callback"]:
            data["state"] = request["callback"]["state"]
        kind = "request.expired" if status == "Timeout" else "request.decided"
        body = json.dumps({"type": kind, "timestamp": now.isoformat(), "data": data}).encode()
        id_, at = f"{request['correlationId']}-1", str(int(now.timestamp()))
        signature = sign(self._callback_key, id_, at, body)
        return {"webhook-id": id_, "webhook-timestamp": at, "webhook-signature": signature}, body

    def _respond(self, http: httpx.Request) -> httpx.Response:
        function, _, id_ = http.url.path.removeprefix("/api/").partition("/")
        try:
            body = loads(http.content or b"{}")
        except StrictJsonError as error:
            return _problem(400, "bad-request", f"The body is refused: {error}")
        with self._lock:
            if function == "keys":
                return httpx.Response(200, json=self._keys())
            if function == "submit":
                return self._submit(body)
            approval = self._approvals.get(id_)
            if approval is None:
                return _problem(404, "not-found", "The mock has no such request.")
            return (
                httpx.Response(200, json=approval) if function == "status" else self._change(function, approval, body)
            )

    def _submit(self, request: Request) -> httpx.Response:
        id_ = approval_id(request["agentName"], request["correlationId"])
        if found := "; ".join(faults(request)):
            return _problem(422, "invalid", f"The request is invalid: {found}")
        stored = [it for it in self.requests if approval_id(it["agentName"], it["correlationId"]) == id_]
        if any(rfc8785.dumps(it) != rfc8785.dumps(request) for it in stored):
            return _problem(
                409, "conflict", "The correlationId is taken by another request for this agent. Use a new one."
            )
        if not stored:
            if "supersedes" in request and not self._is_over(request["supersedes"]):
                return _problem(422, "invalid", "/supersedes must be the id of a request that ended without approval")
            answer = self._ask(request)
            if answer == PAUSE:
                return _problem(403, "paused", "The mock is paused.")
            self.requests.append(request)
            self._approvals[id_] = self._answered(id_, request, answer)
        return httpx.Response(202, json=self._approvals[id_])

    def _is_over(self, id_: str) -> bool:
        return id_ in self._approvals and self._approvals[id_]["status"] in ("Rejected", "Timeout")

    def _ask(self, request: Request) -> Answer:
        try:
            answer: object = self._policy(request)
            if isinstance(answer, Answer) and answer.status in _STATUSES:
                if all(isinstance(words, (str, type(None))) for words in (answer.comment, answer.question)):
                    return answer
                raise TypeError(f"the words of an answer must be a text, and not those of {answer!r}")
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError(f"the policy of a mock must return an answer, such as `APPROVE`, and not {answer!r}")
        except Exception as error:
            raise _PolicyError(error) from error

    def _answered(self, id_: str, request: Request, answer: Answer) -> dict[str, Any]:
        is_decided = answer.status in ("Approved", "Rejected")
        approval = {
            "id": id_,
            "parametersDigest": Parameters(request["parameters"]).digest,
            "status": answer.status,
            "expiresAt": (datetime.now(timezone.utc) + _OPEN).isoformat(),
            "approver": request["approverEmails"][0] if is_decided else None,
            "comment": answer.comment,
            "execution": None,
            "deliverable": "ok",
            "receipt": None,
        }
        if answer.question is not None:
            approval["revise"] = {"question": answer.question}
        if is_decided:
            approval["receipt"] = self._receipt(request, approval)
        return approval

    def _change(self, function: str, approval: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
        is_claimable = approval["status"] == "Approved" and approval["execution"] is None
        if function == "claim" and is_claimable:
            approval["execution"] = {"status": "Executing"}
            self._nonces[approval["id"]] = body["nonce"]
            return httpx.Response(200, json=approval | {"permit": self._permit(approval, body["nonce"])})
        if function == "outcome" and approval["execution"]:
            granted = self._nonces[approval["id"]]
            if body.get("nonce", granted) != granted:
                return _problem(409, "conflict", "The approval was granted to another claim.")
            approval["execution"] = {"status": body["status"]}
            return httpx.Response(200, json=approval)
        return _problem(409, "conflict", "The request's state does not allow it.")

    def _receipt(self, request: Request, approval: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {
            "iss": _ISSUER,
            "aud": request["agentName"],
            "sub": approval["id"],
            "iat": now,
            "exp": now + int(_OPEN.total_seconds()),
            "correlationId": request["correlationId"],
            "actionDescription": request["actionDescription"],
            "parametersDigest": approval["parametersDigest"],
            "claimant": request["claimant"],
            "decision": approval["status"],
            "approver": approval["approver"],
            "assurance": "link",
        }
        if approval["comment"]:
            claims["commentDigest"] = digest(approval["comment"])
        self._claims[approval["id"]] = claims
        return self._sign(RECEIPT, claims)

    def _permit(self, approval: dict[str, Any], nonce: str) -> str:
        names = ("iss", "aud", "sub", "claimant", "parametersDigest", "iat", "exp")
        decided = self._claims[approval["id"]]
        claims = {name: decided[name] for name in names}
        return self._sign(PERMIT, claims | {"jti": nonce, "receiptDigest": digest(approval["receipt"])})

    def _sign(self, kind: str, claims: dict[str, Any]) -> str:
        header = {"alg": "EdDSA", "kid": "mock", "typ": kind}
        signed = f"{encode(rfc8785.dumps(header))}.{encode(rfc8785.dumps(claims))}"
        return f"{signed}.{encode(self._key.sign(signed.encode()))}"

    def _keys(self) -> dict[str, Any]:
        x = encode(self._key.public_key().public_bytes_raw())
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "mock", "x": x}], "issuers": [_ISSUER]}


class _PolicyError(BaseException):
    """The policy failed, and not the gate: nothing takes it for an outage."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _MockedClient(Client):
    failed: Exception | None = None
    """What the policy raised first."""

    async def submit(self, request: Request) -> Approval:
        try:
            return await super().submit(request)
        except _PolicyError as failed:
            self.failed = self.failed or failed.error
            raise failed.error from None


class _MockedGate(Gate):
    """Raises what the policy raised: in the call, and again at the end of its scope, since many frameworks make a text
    for the model of what a tool raises. Its scope holds in threads, too, which have no context of the test's."""

    def __init__(self, respond: Callable[[httpx.Request], httpx.Response]) -> None:
        super().__init__(_ISSUER, approvers=["approver@example.com"])
        self._mocked = _MockedClient(_ISSUER, http=httpx.AsyncClient(transport=httpx.MockTransport(respond)))
        self._connection = Connection(self._mocked, self._connection.trust)

    @contextmanager
    def scope(self) -> Iterator[Gate]:
        try:
            with super().scope(), stand_in(self):
                yield self
        finally:
            failed, self._mocked.failed = self._mocked.failed, None
        if failed:
            raise failed


def _problem(status: int, kind: str, detail: str) -> httpx.Response:
    problem = {
        "type": f"urn:human-oversight:problem:{kind}",
        "title": "Refused by the mock",
        "status": status,
        "detail": detail,
    }
    return httpx.Response(status, json=problem)
