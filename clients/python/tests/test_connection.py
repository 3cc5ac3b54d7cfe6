"""Settings, and what a network does."""

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from human_oversight import Gate, Reason, Refused, approval_gate, flush, loop
from human_oversight.address import is_same_person
from human_oversight.entra import Tokens
from human_oversight.errors import GateError, NoTokenError, SettingsError, TlsError, UntrustedError
from human_oversight.mock import MockGate

URL = "https://gate.example.com"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "absolute https URL"),
        ("gate.example.com", "absolute https URL"),
        ("ftp://gate.example.com", "absolute https URL"),
        ("http://127.0.0.1:99999", "absolute https URL"),
        ("http://127.0.0.1:0", "absolute https URL"),
        (None, "absolute https URL"),
        ("http://gate.example.com", "unless the gate is on this machine"),
        ("https://user:key@gate.example.com", "must not contain a key"),
        ("https://gate.example.com?code=key", "must not contain a key"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Gate(url)


def test_a_key_and_an_audience_are_refused() -> None:
    with pytest.raises(SettingsError, match="two proofs"):
        Gate(URL, "key", audience="api://gate")


@pytest.mark.parametrize("url", [URL, f"{URL}/", f"{URL}/api", f"{URL}/api/", f" {URL} "])
def test_people_paste_the_address_in_several_forms(url: str) -> None:
    called = []

    def answer(request: httpx.Request) -> httpx.Response:
        called.append(str(request.url))
        return httpx.Response(404)

    gate = Gate(url, http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    with pytest.raises(SettingsError):
        gate.check()
    assert called == [f"{URL}/api/keys"]


def test_keys_without_an_issuer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="HO_ISSUER"):
        Gate(URL, keys="A" * 43)
    with pytest.raises(SettingsError, match="HO_KEYS must be thumbprints"):
        Gate(URL, keys="a\0b", issuers=[URL])
    with pytest.raises(SettingsError, match="No such file"):
        Gate(URL, keys=str(tmp_path / "absent.json"), issuers=[URL])


def test_issuers_of_which_the_gate_publishes_none_are_found_before_anyone_is_asked() -> None:
    mock = MockGate()
    http = httpx.AsyncClient(transport=httpx.MockTransport(mock._respond))
    gate = Gate("https://mock.invalid", approvers=["a@b.example"], issuers=[URL, f"{URL}/b"], http=http)
    for _ in range(2):
        with pytest.raises(SettingsError, match=f"HO_ISSUER .*{URL}, {URL}/b.* https://mock.invalid"):
            gate.check()
        with pytest.raises(Refused) as refused:
            gate.action("A", "B").submit({})
        assert refused.value.reason is Reason.MISCONFIGURED
    assert mock.requests == []


def test_keys_that_are_all_revoked_are_found_before_anyone_is_asked(tmp_path: Path) -> None:
    mock = MockGate()
    http = httpx.AsyncClient(transport=httpx.MockTransport(mock._respond))
    published = asyncio.run(http.get("https://mock.invalid/api/keys")).json()
    pinned = published | {"keys": [key | {"revoked": True} for key in published["keys"]]}
    (tmp_path / "keys.json").write_text(json.dumps(pinned))
    gate = Gate("https://mock.invalid", approvers=["a@b.example"], keys=str(tmp_path / "keys.json"), http=http)
    with pytest.raises(UntrustedError, match="only revoked ones"):
        gate.check()
    with pytest.raises(Refused):
        gate.action("A", "B").submit({})
    assert mock.requests == []


def test_one_issuer_that_the_gate_publishes_is_enough() -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(MockGate()._respond))
    issuers = [URL, "https://mock.invalid/"]
    gate = Gate("https://mock.invalid", approvers=["a@b.example"], issuers=issuers, http=http)
    assert gate.action("A", "B").run({}, lambda: "ran") == "ran"


@pytest.mark.parametrize("claim_key", ["a secret", "0" * 63, "0" * 63 + "g", "0" * 65, "é" * 64, "0" * 62 + "٣٣"])
def test_a_claim_key_is_64_hexadecimal_digits(claim_key: str) -> None:
    with pytest.raises(SettingsError, match="HO_CLAIM_KEY must be 64 hexadecimal digits") as error:
        Gate(URL, claim_key=claim_key)
    assert claim_key not in str(error.value)
    Gate(URL, claim_key="5aB0" * 16)


def test_one_text_is_no_list_of_settings() -> None:
    for name in ("approvers", "issuers"):
        with pytest.raises(TypeError, match=f"{name} must be a list"):
            Gate(URL, **{name: URL})
    with pytest.raises(TypeError, match="approvers must be a list"):
        Gate(URL).action("A", "B", "alice@example.com")
    with pytest.raises(TypeError, match="agent must be a text"):
        Gate(URL).action(None, "B")


@pytest.mark.parametrize("name", ["url", "key", "audience", "keys", "claim_key"])
def test_a_setting_that_is_no_text_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be a text$"):
        Gate(**{"url": URL, name: ["abc"]})  # type: ignore[arg-type]


def test_an_address_differs_in_case_and_in_the_form_of_its_domain() -> None:
    assert is_same_person(" Alice@Bücher.example ", "alice@xn--bcher-kva.example")
    for other in ("ex\u00adample.com", "example.com\u200b", "exa\u2060mple.com\ufeff", "\uff45xample\u3002com"):
        assert is_same_person(f"alice@{other}", "alice@example.com"), ascii(other)
    assert is_same_person("alice@faß.example", "alice@xn--fa-hia.example")
    assert is_same_person("alice@☃.example", "alice@xn--n3h.example")
    assert is_same_person("alice@Example.123", "alice@example.123")
    assert not is_same_person("alice@example.com", "alice@example.org")
    assert not is_same_person("al\u200bice@example.com", "alice@example.com")
    assert not is_same_person("alice", "alice")


def answering(status: int, body: Any, headers: dict[str, str] | None = None) -> Gate:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=body, headers=headers)

    return Gate(URL, "key", approvers=["a@b.example"], http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, {}, Reason.MISCONFIGURED),
        (404, {}, Reason.MISCONFIGURED),
        (301, {}, Reason.MISCONFIGURED),
        (200, [], Reason.MISCONFIGURED),
        (200, {"keys": []}, Reason.UNVERIFIED),
        (200, {"keys": [], "issuers": [URL]}, Reason.UNVERIFIED),
        (200, {"x": "y" * 300_000}, Reason.MISCONFIGURED),
    ],
)
def test_what_is_no_gate_is_found_before_anyone_is_asked(status: int, body: Any, reason: Reason) -> None:
    headers = {"location": "https://other.example.com"}
    with pytest.raises(Refused) as refused:
        answering(status, body, headers).action("A", "B").submit({})
    assert refused.value.reason is reason
    assert refused.value.no_one_was_asked


@pytest.mark.parametrize(("status", "cause"), [(401, "HO_KEY is missing or wrong"), (404, "HO_AUDIENCE must name")])
def test_a_check_names_the_setting_that_only_the_status_finds(status: int, cause: str) -> None:
    mock = MockGate()

    def answer(request: httpx.Request) -> httpx.Response:
        is_status = "/status/" in request.url.path
        return httpx.Response(status, text="none") if is_status else mock._respond(request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    with pytest.raises(SettingsError, match=cause):
        Gate("https://mock.invalid", "wrong", http=http).check()


def test_a_gate_that_takes_access_tokens_alone_is_not_called_missing() -> None:
    mock = MockGate()

    def answer(request: httpx.Request) -> httpx.Response:
        return mock._respond(request) if request.url.path == "/api/keys" else httpx.Response(404)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    with pytest.raises(Refused) as refused:
        Gate("https://mock.invalid", "key", approvers=["a@b.example"], http=http).action("A", "B").submit({})
    assert refused.value.reason is Reason.MISCONFIGURED
    assert "HO_AUDIENCE must name" in (refused.value.detail or "")
    with pytest.raises(SettingsError, match="no gate at this address"):
        answering(404, {}).check()


@pytest.mark.parametrize(("life", "counts"), [(290, True), (0, False)])
def test_a_token_whose_renewal_fails_counts_until_it_expires(life: int, counts: bool) -> None:
    signed_in: list[str] = []

    class Once:
        def get_token(self, scope: str) -> Any:
            signed_in.append(scope)
            if len(signed_in) > 1:
                raise RuntimeError("down")
            return SimpleNamespace(token="token", expires_on=int(time.time()) + life)

    tokens = Tokens(Once(), "api://gate")  # type: ignore[arg-type]
    assert loop.wait(tokens.get()) == "token"
    for _ in range(2):
        with contextlib.nullcontext() if counts else pytest.raises(NoTokenError, match="down"):
            assert loop.wait(tokens.get()) == "token"
    assert signed_in == ["api://gate/.default"] * 3


def test_a_gate_that_is_not_trusted_is_logged_as_one_that_was_not_asked(caplog: pytest.LogCaptureFixture) -> None:
    gate = answering(200, {"keys": []})
    assert approval_gate("A", "B", gate=gate)(lambda: "ran")().refused.reason is Reason.UNVERIFIED
    (line,) = caplog.records
    assert line.levelname == "ERROR"
    assert line.getMessage().startswith("not run, and no one was asked: unverified: the gate does not say")


@pytest.mark.parametrize("path", ["keys", "submit"])
def test_an_answer_that_cannot_be_decoded_is_an_error_at_once(path: str) -> None:
    mock, calls = MockGate(), []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path.split("/")[2])
        if calls[-1] == path:
            stream = httpx.ByteStream(b"no gzip")
            return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=stream)
        return mock._respond(request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    gate = Gate("https://mock.invalid", approvers=["a@b.example"], http=http)
    with pytest.raises(Refused, match=r"set up wrongly|no approval could be obtained") as refused:
        gate.action("A", "B").claim({})
    assert "cannot be decoded" in (refused.value.detail or "")
    assert flush(10)
    assert calls == (["keys"] if path == "keys" else ["keys", "submit", "withdraw"])


def test_any_failure_of_the_connection_is_an_error_of_the_client() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise OverflowError("port out of range")

    gate = Gate(URL, http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    with pytest.raises(GateError, match="OverflowError: port out of range"):
        loop.wait(gate._connection.client.keys())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("description", 5),
        ("approvers", [7]),
        ("reason", 5),
        ("on_behalf_of", ["a@b.example"]),
        ("correlation_id", 5),
        ("supersedes", 5),
        ("timeout", "60"),
        ("callback", ["x"]),
        ("callback", {"channel": 5}),
    ],
)
def test_a_setting_of_an_action_of_another_type_is_refused_by_its_name(setting: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{setting} must be"):
        Gate(URL).action(**{"agent": "A", "description": "B", setting: value})


def test_a_wait_or_a_correlation_id_that_is_none_asks_no_one() -> None:
    mock = MockGate()
    for wait in (-1, float("nan"), "5"):
        with pytest.raises(TypeError, match="wait must be"):
            mock.gate.action("A", "B").claim({}, wait=wait)
    for name in ("", "a b", "x" * 65):
        with pytest.raises(Refused, match="correlation id") as refused:
            mock.gate.action("A", "B", correlation_id=name).claim({})
        assert refused.value.reason is Reason.INVALID
        gated = approval_gate("A", "B", gate=mock.gate, correlation_id=lambda name=name: name)
        assert gated(lambda: "ran")().refused.reason is Reason.INVALID
    assert mock.requests == []


def certificate() -> tuple[bytes, bytes]:
    """A certificate for this machine that has signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gate")])
    now = datetime.now(timezone.utc)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return built.public_bytes(serialization.Encoding.PEM), private


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"keys": [], "issuers": []}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


def test_flush_waits_for_the_withdrawal_of_a_call_whose_connection_closes_slowly() -> None:
    mock, calls = MockGate(), list[str]()
    is_called = threading.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path.split("/")[2])
        if calls[-1] == "status":
            is_called.set()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.2)
        return mock._respond(request)

    gate = Gate(URL, approvers=["a@b.example"], http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))

    async def cancel() -> None:
        call = asyncio.ensure_future(gate.action("A", "Delete").claim_async({}))
        await asyncio.to_thread(is_called.wait)
        call.cancel()

    asyncio.run(cancel())
    assert flush(10)
    assert calls == ["keys", "submit", "status", "withdraw"]


class CancelsAtItsEnd(httpx.AsyncByteStream):
    """The body of a response, with whose end the calls that wait for it are cancelled."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{}"

    async def aclose(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            asyncio.get_running_loop().call_soon(task.cancel)


def test_a_cancellation_that_comes_with_a_response_withdraws_too() -> None:
    mock, calls = MockGate(), list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path.split("/")[2])
        return httpx.Response(200, stream=CancelsAtItsEnd()) if calls[-1] == "submit" else mock._respond(request)

    gate = Gate(URL, approvers=["a@b.example"], http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(gate.action("A", "Delete").claim_async({}))
    assert flush(10)
    assert calls == ["keys", "submit", "withdraw"]


@pytest.fixture
def private_authority(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    authority, key = tmp_path / "authority.pem", tmp_path / "key.pem"
    authority_bytes, key_bytes = certificate()
    authority.write_bytes(authority_bytes)
    key.write_bytes(key_bytes)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", authority
    server.shutdown()


def test_a_certificate_that_is_not_accepted_is_an_error_at_once(private_authority: tuple[str, Path]) -> None:
    with pytest.raises(TlsError, match="SSL_CERT_FILE"):
        Gate(private_authority[0]).check()


def test_a_private_authority_is_accepted_where_a_variable_or_a_context_names_it(
    private_authority: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, authority = private_authority
    context = ssl.create_default_context(cafile=str(authority))
    with pytest.raises(GateError, match="does not say that it signs permits"):
        Gate(url, verify=context).check()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with pytest.raises(GateError, match="does not say that it signs permits"):
        Gate(url).check()


def test_no_proxy_stands_before_this_machine(
    private_authority: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", str(private_authority[1]))
    with pytest.raises(GateError, match="does not say that it signs permits"):
        Gate(private_authority[0]).check()
