"""The gate's HTTP interface, one method for each route. No method retries; all are safe to retry."""

import asyncio
import os
import ssl
from typing import Any
from urllib.parse import quote

import httpx
import rfc8785

from . import loop
from .address import is_loopback, parse_gate
from .approval import Approval
from .entra import Tokens
from .errors import (
    GateError,
    InvalidResponseError,
    ProblemError,
    SettingsError,
    TlsError,
    UnavailableError,
    UnreachableError,
)
from .strict_json import StrictJsonError, loads

_CONNECT_SECONDS = 5.0
_RESPONSE_SECONDS = 30.0
"""The time for a response, in addition to the requested wait."""

_KEYS_SECONDS = 10.0
"""The time for the keys, which no mail server and no person delays."""

_MAX_RETRY_AFTER = 900.0
_MAX_RESPONSE_BYTES = 256 * 1024

_FINAL_KINDS = ("integrity", "too-many", "budget")
"""Problems that a retry does not mend, in spite of their status."""

_NO_GATE = "there is no gate at this address (HO_URL): the answer is 404 Not Found"
_NO_ROUTE = (
    "the gate answers 404 Not Found to a call without an access token: if it takes identities of Entra (its "
    "HO_AGENT_IDENTITY), HO_AUDIENCE must name its app registration"
)

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class Client:
    """Calls of one gate. The coroutines run on the loop of `loop` alone."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        tokens: Tokens | None = None,
        verify: ssl.SSLContext | None = None,
        proxy: str | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.base = parse_gate(url)
        self._tokens = tokens
        self._is_found = False
        """Whether there is a gate at the address."""
        self._headers = {"content-type": "application/json"}
        if key and (key := key.strip()):
            if not key.isascii() or not key.isprintable():
                raise SettingsError("the Functions key has invalid characters")
            self._headers["x-functions-key"] = key

        def connect() -> httpx.AsyncClient:
            return http or self._new_http(verify, proxy)

        self._connect = connect
        self._http, self._process = self._connect(), os.getpid()

    def _new_http(self, verify: ssl.SSLContext | None, proxy: str | None) -> httpx.AsyncClient:
        try:
            return httpx.AsyncClient(
                verify=verify or httpx.create_ssl_context(),
                proxy=proxy,
                trust_env=not is_loopback(self.base),  # no proxy stands before this machine
                limits=httpx.Limits(max_connections=None, keepalive_expiry=4),
            )
        except (OSError, ValueError) as error:
            raise SettingsError(f"no HTTP client can be built: {error}") from None

    async def keys(self) -> Any:
        """`GET /api/keys`: the public keys of receipts and permits, and the addresses that sign."""
        keys = (await self._call("GET", "keys", seconds=_KEYS_SECONDS, is_first=True))[0]
        self._is_found = True
        return keys

    async def submit(self, request: dict[str, Any]) -> Approval:
        """`POST /api/submit`: submits a request."""
        return Approval.from_json((await self._call("POST", "submit", body=request, is_first=True))[0])

    async def status(
        self,
        id: str,  # noqa: A002
        wait: int = 0,
        *,
        is_first: bool = False,
    ) -> tuple[Approval, float | None]:
        """`GET /api/status/{id}`: the request's state, after up to `wait` seconds (at most 100) for a change;
        and `Retry-After`. `is_first` if no gate has accepted a request so far."""
        query = {"wait": str(wait)} if wait else None
        seconds = wait + _RESPONSE_SECONDS
        path = f"status/{quote(id, safe='')}"
        answer, retry_after = await self._call("GET", path, query=query, seconds=seconds, is_first=is_first)
        return Approval.from_json(answer), retry_after

    async def post(self, function: str, id: str, body: dict[str, Any]) -> Approval:  # noqa: A002
        """`POST /api/claim/{id}`, `outcome` or `withdraw`."""
        return Approval.from_json((await self._call("POST", f"{function}/{quote(id, safe='')}", body=body))[0])

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        seconds: float = _RESPONSE_SECONDS,
        is_first: bool = False,
    ) -> tuple[Any, float | None]:
        """The response, and its `Retry-After`."""
        if self._process != os.getpid():  # the connections of a process are not its fork's
            self._http, self._process = self._connect(), os.getpid()
        headers, routes = self._headers, "api"
        if self._tokens and path != "keys":  # which anyone reads
            headers = headers | {"authorization": f"Bearer {await self._tokens.get()}"}
            routes = "api/agent"
        request = self._http.build_request(
            method,
            self.base.join(f"{self.base.path.rstrip('/')}/{routes}/{path}"),
            params=query,
            # As it is digested.
            content=rfc8785.dumps(body) if body is not None else None,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=_CONNECT_SECONDS, pool=None),
        )
        try:
            response = await loop.within(seconds + _CONNECT_SECONDS, self._send(request))
        except httpx.DecodingError as error:
            raise InvalidResponseError(f"it cannot be decoded: {error}") from None
        except httpx.HTTPError as error:
            raise _from_transport(error) from None
        except asyncio.TimeoutError:
            raise UnreachableError("no response in time", may_be_accepted=True) from None
        except GateError:
            raise
        except Exception as error:  # a group of exceptions, for example, of what makes the connection
            raise UnreachableError(f"{type(error).__name__}: {error}", may_be_accepted=True) from None
        try:
            return _read(response, path, is_first, self._is_found), _retry_after(response)
        except SettingsError:
            if self._tokens is None:
                raise
            raise SettingsError(
                "the gate is not at this address (HO_URL), takes no identity of Entra (its HO_AGENT_IDENTITY), or its "
                "platform does not accept the access token (HO_AUDIENCE)"
            ) from None

    async def _send(self, request: httpx.Request) -> httpx.Response:
        # Redirects are never followed: the key is for the gate alone.
        response = await self._http.send(request, stream=True, follow_redirects=False)
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_RESPONSE_BYTES:
                    raise InvalidResponseError(f"more than {_MAX_RESPONSE_BYTES // 1024} KiB")
        finally:
            await response.aclose()
        # aiter_bytes has decoded it.
        headers = {"retry-after": response.headers.get("retry-after", "")}
        return httpx.Response(response.status_code, headers=headers, content=bytes(body))


def _from_transport(error: httpx.HTTPError) -> GateError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and isinstance(error, httpx.ConnectError):
            return TlsError(str(cause))
        cause = cause.__cause__ or cause.__context__
    why = f"{type(error).__name__}: {error}".removesuffix(": ")
    return UnreachableError(why, may_be_accepted=not isinstance(error, _NOT_SENT))


def _read(response: httpx.Response, path: str, is_first: bool, is_found: bool) -> Any:
    try:
        answer = loads(response.content)
    except StrictJsonError as error:
        answer = error
    if response.is_success:
        if isinstance(answer, StrictJsonError):
            raise InvalidResponseError(f"status {response.status_code}, {answer}")
        return answer
    raise _from_status(response, answer, path, is_first, is_found)


def _from_status(response: httpx.Response, answer: Any, path: str, is_first: bool, is_found: bool) -> GateError:
    status = response.status_code
    try:
        problem = ProblemError.from_json(answer)
    except (AttributeError, KeyError, TypeError, ValueError):
        problem = None
    is_final = problem is not None and any(problem.says(kind) for kind in _FINAL_KINDS)
    if (status in (408, 429) or status >= 500) and not is_final:
        return UnavailableError(status, _retry_after(response))
    # The calls that come first find a wrong address or key. Later, such an answer is from what stands before the gate.
    if is_first and status == 401:
        return SettingsError("the gate's host does not accept the Functions key: HO_KEY is missing or wrong")
    is_route = path in ("keys", "submit")  # which every gate has
    if status == 404 and (is_route or (is_first and problem is None)):
        return SettingsError(_NO_ROUTE if is_found and path != "keys" else _NO_GATE)
    return problem or InvalidResponseError(f"status {status} without a problem document")


def _retry_after(response: httpx.Response) -> float | None:
    """None as well for 0: the pauses of the client keep it from calling without end."""
    text = response.headers.get("retry-after", "")
    return min(float(text), _MAX_RETRY_AFTER) or None if text.isascii() and text.isdigit() else None
