"""A gate as an agent uses it."""

import re
import secrets
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import httpx

from . import loop
from .action import Action
from .client import Client
from .connection import Connection, OnPending
from .entra import Tokens, credential_of_environment
from .errors import InvalidResponseError, ProblemError, SettingsError
from .handle import approval_id
from .options import check_callback, check_on_pending, check_seconds, check_texts, to_list
from .retry import retry_first_contact
from .settings import read_settings
from .trust import Trust

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_CLAIM_KEY = re.compile(r"[0-9A-Fa-f]{64}")

_scope: ContextVar["Gate | None"] = ContextVar("human_oversight_gate", default=None)
_lock = threading.Lock()
_of_environment: "Gate | None" = None
_stand_ins: "list[Gate]" = []
"""Gates in the place of the environment's in every thread, of which the last one counts."""


@contextmanager
def stand_in(gate: "Gate") -> Iterator[None]:
    """Puts a gate in the place of the environment's in every thread that has none in its context."""
    with _lock:
        _stand_ins.append(gate)
    try:
        yield
    finally:
        with _lock:
            _stand_ins.remove(gate)


class Gate:
    """A gate. One object serves all threads and event loops of a process."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        audience: str | None = None,
        credential: "TokenCredential | None" = None,
        approvers: Iterable[str] = (),
        keys: str | None = None,
        issuers: Iterable[str] = (),
        claim_key: str | None = None,
        verify: ssl.SSLContext | None = None,
        proxy: str | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            url: the gate's address, `https` unless the gate is on this machine.
            key: the Functions key, if the host requires one.
            audience: in its place, for access tokens: the application id URI of the gate's app registration, or its
                client id. Needs the extra `entra`.
            credential: what the tokens come from, a credential of `azure-identity`; the default is that which the
                environment names.
            approvers: the approvers of actions that name none of their own.
            keys: the only keys to trust: thumbprints (RFC 7638), separated by commas, or the file of a JWK set.
            issuers: the gate's public addresses; required with thumbprints.
            claim_key: a secret of the agent's, 64 hexadecimal digits. With it, a request with a correlation id has the
                same handle in every process, so that nothing need be stored to resume it.
            verify: how to verify the gate's certificate; the default reads `SSL_CERT_FILE`.
            proxy: a proxy; the default reads `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
            http: an HTTP client instead, which nothing else may use: it runs on the client's own event loop.

        Raises:
            SettingsError: if a setting cannot be used.
        """
        check_texts(url=url, key=key, audience=audience, keys=keys, claim_key=claim_key)
        if key and audience:
            raise SettingsError("HO_KEY and HO_AUDIENCE are two proofs of who the agent is: set one")
        if claim_key and not _CLAIM_KEY.fullmatch(claim_key):
            raise SettingsError("HO_CLAIM_KEY must be 64 hexadecimal digits, as `openssl rand -hex 32` prints them")
        tokens = Tokens(credential or credential_of_environment(), audience) if audience else None
        client = Client(url, key, tokens=tokens, verify=verify, proxy=proxy, http=http)
        self._connection = Connection(client, Trust(keys, to_list("issuers", issuers)))
        self.approvers = to_list("approvers", approvers)
        # Without one, a repeated call is the same request within this process alone.
        self._claim_key = claim_key or secrets.token_hex(32)
        self._is_claim_key_shared = bool(claim_key)

    @classmethod
    def from_env(cls) -> "Gate":
        """The gate that the environment names: `HO_URL`, `HO_KEY` or `HO_AUDIENCE`, `APPROVER_EMAILS`
        (separated by commas), `HO_KEYS`, `HO_ISSUER` and `HO_CLAIM_KEY`. All but the first are optional.

        Raises:
            SettingsError: if `HO_URL` is missing, or a setting cannot be used.
        """
        return cls(**read_settings())

    @classmethod
    def current(cls) -> "Gate":
        """The gate of the scope, or that of the environment, made once.

        Raises:
            SettingsError: if there is no scope and the environment names no gate.
        """
        global _of_environment
        if gate := _scope.get():
            return gate
        with _lock:
            if _stand_ins:
                return _stand_ins[-1]
            if _of_environment is None:
                _of_environment = cls.from_env()
            return _of_environment

    @contextmanager
    def scope(self) -> Iterator["Gate"]:
        """Puts this gate in the place of the environment's, for gated functions that run within. A thread that is
        started within has a context of its own, and not this gate, unless `asyncio.to_thread` or `contextvars` hands it
        on."""
        token = _scope.set(self)
        try:
            yield self
        finally:
            _scope.reset(token)

    def action(
        self,
        agent: str,
        description: str,
        approvers: Iterable[str] | None = None,
        *,
        timeout: int | None = None,
        reason: str | None = None,
        on_behalf_of: str | None = None,
        correlation_id: str | None = None,
        on_pending: OnPending | None = None,
        supersedes: str | None = None,
        callback: str | Mapping[str, str] | None = None,
    ) -> Action:
        """An action that needs approval.

        Args:
            agent: the agent's name, 1 to 128 characters.
            description: what the action is, for people, 1 to 256 characters.
            approvers: the approvers; the default is the gate's.
            timeout: the time for a decision in seconds, 10 to 2,592,000; the default is the gate's.
            reason: why the agent wants this, shown as not verified.
            on_behalf_of: the address of the person the agent acts for, who cannot be an approver.
            correlation_id: the agent's own name for the request, `[A-Za-z0-9._-]{1,64}`; the default is a fresh one.
            on_pending: called when the request was submitted and now and then while it is pending, on the client's
                own thread. It must not block.
            supersedes: the id of an earlier request of this agent that was rejected, withdrawn or not decided in time,
                such as `Refused.id`: this one takes its place, and the approvers see what changed.
            callback: where the gate calls when there is news of the request: the name of a channel of the operator's,
                or `{"channel": …, "state": …}` with a text that the callback repeats. The agent's web server passes the
                call to `verify_callback`.
        """
        required = {"agent": agent, "description": description}
        if missing := [name for name, text in required.items() if not isinstance(text, str)]:
            raise TypeError(f"{missing[0]} must be a text")
        check_texts(reason=reason, on_behalf_of=on_behalf_of, correlation_id=correlation_id, supersedes=supersedes)
        check_seconds("timeout", timeout)
        check_callback(callback)
        check_on_pending(on_pending)
        return Action(
            self._connection,
            agent,
            description,
            self.approvers if approvers is None else to_list("approvers", approvers),
            self._claim_key,
            self._is_claim_key_shared,
            timeout,
            reason,
            on_behalf_of,
            correlation_id,
            on_pending,
            supersedes,
            callback,
        )

    def check(self) -> None:
        """Checks the settings, for the start of a program: whether the gate can be reached, accepts the key, and has
        keys that this client trusts. No one is asked, and the gate stores nothing.

        Raises:
            GateError: what is wrong. A gate that does not respond is given up after 30 seconds.
        """
        loop.wait(self._check())

    async def check_async(self) -> None:
        """Like `check`."""
        await loop.join(self._check())

    async def _check(self) -> None:
        await self._connection.keys()
        # No request has this name, and the gate says so only to a caller with a valid key.
        id_ = approval_id("agent", secrets.token_hex(16))
        try:
            await retry_first_contact(lambda: self._connection.client.status(id_, is_first=True))
        except ProblemError as problem:
            if problem.status == 404:
                return
            raise
        raise InvalidResponseError("the status of a request that does not exist")

    def __repr__(self) -> str:
        return f"Gate({str(self._connection.client.base)!r})"
