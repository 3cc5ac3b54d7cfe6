"""The vectors in `conformance/`. Run as a program, it writes `callbacks.json`, `es256.json` and `keys.json`."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from human_oversight.jws import encode
from human_oversight.parameters import Parameters
from human_oversight.receipts import PERMIT, RECEIPT, digest

FOLDER = Path(__file__).parents[3] / "conformance"

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PARAMETERS = {"amount": 49.9, "currency": "EUR", "order": "A-1"}
_AGENT, _ACTION = "RefundAgent", "Refund an order"
_AT = 1_800_000_000
_RUN = {"agent": _AGENT, "parameters": _PARAMETERS, "now": _AT + 60}


def read(file: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{file}.json").read_text())


def _key(byte: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(bytes([byte] * 32), "big"), ec.SECP256R1())


def _jwk(kid: str, byte: int) -> dict[str, str]:
    numbers = _key(byte).public_key().public_numbers()
    x, y = (encode(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": x, "y": y}


def _signed(header: dict[str, Any], claims: dict[str, Any], byte: int = 1) -> tuple[str, int, int]:
    parts = (json.dumps(part, separators=(",", ":"), sort_keys=True).encode() for part in (header, claims))
    signed = ".".join(map(encode, parts))
    # RFC 6979: the same file each time.
    der = _key(byte).sign(signed.encode(), ec.ECDSA(SHA256(), deterministic_signing=True))
    return signed, *decode_dss_signature(der)


def _jws(header: dict[str, Any], claims: dict[str, Any], byte: int = 1) -> str:
    signed, r, s = _signed(header, claims, byte)
    return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _receipts(header: dict[str, str], claims: dict[str, Any]) -> dict[str, tuple[str, str]]:
    signed, r, s = _signed(header, claims)
    good = _jws(header, claims)
    der = _key(1).sign(signed.encode(), ec.ECDSA(SHA256(), deterministic_signing=True))
    zeros = encode(bytes(64))
    altered = _jws(header, claims | {"exp": claims["exp"] + 1}).rpartition(".")[0]
    return {
        "an approval": (good, "permitted"),
        "signed by a retired key": (_jws(header | {"kid": "retired"}, claims, 2), "permitted"),
        "a rejection": (_jws(header, claims | {"decision": "Rejected"}), "rejected"),
        "signed by a stranger's key": (_jws(header, claims, 3), "bad-signature"),
        "signed by the retired key as the present one": (_jws(header, claims, 2), "bad-signature"),
        "the lapse was altered": (f"{altered}.{good.rpartition('.')[2]}", "bad-signature"),
        "the signature is in DER": (f"{signed}.{encode(der)}", "bad-signature"),
        "the signature is empty": (f"{signed}.", "bad-signature"),
        "the signature is all zeros": (f"{signed}.{zeros}", "bad-signature"),
        "the signature is cut off": (f"{signed}.{encode(r.to_bytes(32, 'big'))}", "bad-signature"),
        "r is zero": (f"{signed}.{encode(bytes(32) + s.to_bytes(32, 'big'))}", "bad-signature"),
        "s is the order of the curve": (
            f"{signed}.{encode(r.to_bytes(32, 'big') + _ORDER.to_bytes(32, 'big'))}",
            "bad-signature",
        ),
        "alg is EdDSA": (_jws(header | {"alg": "EdDSA"}, claims), "unknown-key"),
        "alg is ES384": (_jws(header | {"alg": "ES384"}, claims), "malformed"),
        "alg is none": (f"{_signed(header | {'alg': 'none'}, claims)[0]}.", "malformed"),
        "typ is that of a permit": (_jws(header | {"typ": PERMIT}, claims), "malformed"),
        "the named key is a point off the curve": (_jws(header | {"kid": "off"}, claims), "unknown-key"),
        "the named key is of another curve": (_jws(header | {"kid": "p384"}, claims), "unknown-key"),
        "the named key is of another type": (_jws(header | {"kid": "rsa"}, claims), "unknown-key"),
    }


def _about() -> dict[str, Any]:
    """The claims that receipt and permit have in common."""
    return {
        "iss": "https://gate.example.com",
        "aud": _AGENT,
        "sub": "UmVmdW5kQWdlbnQ.order-1",
        "claimant": "07" * 32,
        "parametersDigest": Parameters(_PARAMETERS).digest,
        "iat": _AT,
        "exp": _AT + 900,
    }


def _decided() -> dict[str, Any]:
    return _about() | {
        "actionDescription": _ACTION,
        "approver": "alice@example.com",
        "assurance": "link",
        "correlationId": "order-1",
        "decision": "Approved",
    }


def _cases(receipts: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    run = {**_RUN, "action": _ACTION}
    return [{"name": name, **run, "receipt": text, "result": it} for name, (text, it) in receipts.items()]


def es256() -> dict[str, Any]:
    """The same forms as `receipts.json` and `permits.json`, signed by P-256 keys."""
    receipt_header = {"alg": "ES256", "typ": RECEIPT, "kid": "present"}
    about = _about()
    off = _jwk("off", 1)
    off["y"] = off["x"]
    rsa = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rsa", "n": encode(b"\xff" * 256), "e": "AQAB"}
    keys = [_jwk("present", 1), _jwk("retired", 2), off, _jwk("p384", 1) | {"crv": "P-384"}, rsa]
    receipts = _cases(_receipts(receipt_header, _decided()))
    receipt, nonce = receipts[0]["receipt"], "0123456789abcdef" * 2
    permit_header = receipt_header | {"typ": PERMIT}
    granted = about | {"jti": nonce, "receiptDigest": digest(receipt)}
    permits = {
        "a claim": (_jws(permit_header, granted), "granted"),
        "replayed to another nonce": (_jws(permit_header, granted | {"jti": "f" * 32}), "other-nonce"),
        "signed by a stranger's key": (_jws(permit_header, granted, 3), "bad-signature"),
        "the receipt as the permit": (receipt, "malformed"),
    }
    expected = {
        **_RUN,
        "issuers": [about["iss"]],
        "id": about["sub"],
        "nonce": nonce,
        "claimant": about["claimant"],
        "receipt": receipt,
        "leeway": 0,
    }
    return {
        "keys": {"keys": keys},
        "receipts": receipts,
        "permits": [{"name": name, **expected, "permit": text, "result": it} for name, (text, it) in permits.items()],
    }


def _edwards(byte: int) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([byte] * 32))


def _edwards_jwk(kid: str, byte: int) -> dict[str, str]:
    x = encode(_edwards(byte).public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x}


def _edwards_jws(header: dict[str, Any], claims: dict[str, Any], byte: int) -> str:
    signed = _signed(header, claims)[0]
    return f"{signed}.{encode(_edwards(byte).sign(signed.encode()))}"


# The members of a key that limit it, by its name, and what a receipt of the second `_AT` is then.
_LIVES: dict[str, tuple[dict[str, Any], str]] = {
    "in force from that second": ({"nbf": _AT}, "permitted"),
    "in force from the next second": ({"nbf": _AT + 1}, "key-not-in-force"),
    "in force until that second": ({"exp": _AT}, "key-not-in-force"),
    "in force until the next second": ({"exp": _AT + 1}, "permitted"),
    "in force for that second": ({"nbf": _AT, "exp": _AT + 1}, "permitted"),
    "in force for no second": ({"nbf": _AT + 1, "exp": _AT}, "key-not-in-force"),
    "not revoked": ({"revoked": False}, "permitted"),
    "revoked": ({"revoked": True}, "revoked-key"),
    "revoked, and its time is over": ({"exp": _AT, "revoked": True}, "revoked-key"),
    "limits that are null": ({"nbf": None, "exp": None}, "permitted"),
    "a limit in a string": ({"nbf": str(_AT)}, "unknown-key"),
    "a limit with a fraction": ({"exp": _AT + 0.5}, "unknown-key"),
    "a limit that is a boolean": ({"nbf": True}, "unknown-key"),
    "revoked in a string": ({"revoked": "false"}, "unknown-key"),
    "revoked is null": ({"revoked": None}, "unknown-key"),
    "revoked is 0": ({"revoked": 0}, "unknown-key"),
}


def keys() -> dict[str, Any]:
    """Receipts of a set with keys of both types, some with a life: the form of `receipts.json`."""
    decided = _decided()
    header = {"typ": RECEIPT}
    es, ed = header | {"alg": "ES256"}, header | {"alg": "EdDSA"}
    published = [_jwk("P-256", 1), _edwards_jwk("Ed25519", 2), _jwk("twice", 3), _edwards_jwk("twice", 4)]
    receipts = {
        "P-256 beside Ed25519": (_jws(es | {"kid": "P-256"}, decided, 1), "permitted"),
        "Ed25519 beside P-256": (_edwards_jws(ed | {"kid": "Ed25519"}, decided, 2), "permitted"),
        "EdDSA by the name of the key of P-256": (_edwards_jws(ed | {"kid": "P-256"}, decided, 2), "malformed"),
        "ES256 by the name of the key of Ed25519": (_jws(es | {"kid": "Ed25519"}, decided, 1), "malformed"),
        "Ed25519's signature as ES256": (_edwards_jws(es | {"kid": "P-256"}, decided, 2), "bad-signature"),
        "P-256's signature as EdDSA": (_jws(ed | {"kid": "Ed25519"}, decided, 1), "bad-signature"),
        "ES256 by a name of two keys": (_jws(es | {"kid": "twice"}, decided, 3), "unknown-key"),
        "EdDSA by a name of two keys": (_edwards_jws(ed | {"kid": "twice"}, decided, 4), "unknown-key"),
    }
    for name, (life, result) in _LIVES.items():
        for kind, kid in (("P-256", f"{name}, P-256"), ("Ed25519", f"{name}, Ed25519")):
            if kind == "P-256":
                key, text = _jwk(kid, 1), _jws(es | {"kid": kid}, decided, 1)
            else:
                key, text = _edwards_jwk(kid, 2), _edwards_jws(ed | {"kid": kid}, decided, 2)
            published.append(key | life)
            receipts[kid] = (text, result)
    return {"keys": {"keys": published}, "receipts": _cases(receipts)}


_SECRET = b"The secret of a channel."
_OTHER_SECRET = b"The secret of another one"


def _secret(content: bytes) -> str:
    return f"whsec_{base64.b64encode(content).decode()}"


def _delivery(body: bytes, at: str = str(_AT), id_: str = "msg-1", secret: bytes = _SECRET) -> dict[str, str]:
    """The headers of a callback."""
    tag = hmac.digest(secret, f"{id_}.{at}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(tag).decode()}"
    return {"webhook-id": id_, "webhook-timestamp": at, "webhook-signature": signature}


def callbacks() -> dict[str, Any]:
    """Callbacks, as an agent's web server gets them."""
    data = {
        "agentName": _AGENT,
        "correlationId": "order-1",
        "sequence": 2,
        "status": "Approved",
        "state": "thread é 17",
    }
    event = {"type": "request.decided", "timestamp": "2027-01-15T08:00:00.000Z", "data": data}

    def encoded(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def without(name: str) -> dict[str, str]:
        return {other: value for other, value in good.items() if other != name}

    def signed_by(*signatures: str) -> dict[str, str]:
        return good | {"webhook-signature": " ".join(signatures)}

    body = encoded(event)
    good = _delivery(body)
    signature = good["webhook-signature"]
    other = _delivery(body, secret=_OTHER_SECRET)["webhook-signature"]
    stateless = encoded(event | {"data": {name: value for name, value in data.items() if name != "state"}})
    later = encoded(event | {"type": "request.later", "more": [1], "data": data | {"status": "Later", "more": {}}})
    cases: dict[str, tuple[dict[str, str], bytes, str]] = {
        "a decision": (good, body, "verified"),
        "without a state": (_delivery(stateless), stateless, "verified"),
        "an event, a status and members of a later version": (_delivery(later), later, "verified"),
        "names of headers in another case": ({name.title(): value for name, value in good.items()}, body, "verified"),
        "five minutes old": (_delivery(body, str(_AT - 300)), body, "verified"),
        "five minutes ahead": (_delivery(body, str(_AT + 300)), body, "verified"),
        "several signatures, the second of which counts": (signed_by(other, signature), body, "verified"),
        "several signatures, one of another version": (signed_by("v1a,AAAA", signature), body, "verified"),
        "stale": (_delivery(body, str(_AT - 301)), body, "not-fresh"),
        "of the future": (_delivery(body, str(_AT + 301)), body, "not-fresh"),
        "a stale one with a newer time": (
            _delivery(body, str(_AT - 301)) | {"webhook-timestamp": str(_AT)},
            body,
            "bad-signature",
        ),
        "a time in milliseconds": (_delivery(body, str(_AT * 1000)), body, "not-fresh"),
        "a time with a fraction": (_delivery(body, f"{_AT}.5"), body, "bad-header"),
        "a time that is no number": (_delivery(body, "now"), body, "bad-header"),
        "a time that is empty": (_delivery(body, ""), body, "bad-header"),
        "signed by another secret": (signed_by(other), body, "bad-signature"),
        "several signatures, none of which counts": (signed_by(other, other), body, "bad-signature"),
        "another id": (good | {"webhook-id": "msg-2"}, body, "bad-signature"),
        "an altered body": (good, body.replace(b"order-1", b"order-2"), "bad-signature"),
        "a blank after the body": (good, body + b" ", "bad-signature"),
        "an empty body": (good, b"", "bad-signature"),
        "the signature in base64url": (
            signed_by(signature.replace("+", "-").replace("/", "_").rstrip("=")),
            body,
            "bad-signature",
        ),
        "the signature is cut off": (signed_by(signature[:20]), body, "bad-signature"),
        "the signature has no version": (signed_by(signature.removeprefix("v1,")), body, "bad-signature"),
        "the signature is of another version": (signed_by(signature.replace("v1,", "v2,")), body, "bad-signature"),
        "the signature is empty": (signed_by("v1,"), body, "bad-signature"),
        "no id": (without("webhook-id"), body, "bad-header"),
        "no time": (without("webhook-timestamp"), body, "bad-header"),
        "no signature": (without("webhook-signature"), body, "bad-header"),
        "no header at all": ({}, body, "bad-header"),
        "signed, and not JSON": (_delivery(b"order-1"), b"order-1", "malformed"),
        "signed, and not an object": (_delivery(b"[]"), b"[]", "malformed"),
        "signed, and without a request": (_delivery(b"{}"), b"{}", "malformed"),
        "signed, and not UTF-8": (_delivery(b"\xff" + body), b"\xff" + body, "malformed"),
    }
    for name, wrong in {"a correlation id that is a number": 1, "a correlation id that is null": None}.items():
        text = encoded(event | {"data": data | {"correlationId": wrong}})
        cases[name] = (_delivery(text), text, "malformed")
    text = encoded(event | {"data": data | {"state": ["thread"]}})
    cases["a state that is a list"] = (_delivery(text), text, "malformed")
    secrets = {
        "24 bytes": (_secret(bytes(24)), True),
        "64 bytes": (_secret(bytes(64)), True),
        "23 bytes": (_secret(bytes(23)), False),
        "65 bytes": (_secret(bytes(65)), False),
        "no prefix": (_secret(bytes(32)).removeprefix("whsec_"), False),
        "a public key": (_secret(bytes(32)).replace("whsec_", "whpk_"), False),
        "base64url": (_secret(b"\xff" * 24).replace("/", "_"), False),
        "no base64": ("whsec_a secret of twenty-four and more characters", False),
        "empty": ("", False),
    }
    return {
        "secret": _secret(_SECRET),
        "now": _AT,
        "secrets": [{"name": name, "secret": it, "valid": valid} for name, (it, valid) in secrets.items()],
        "cases": [_callback(name, *case) for name, case in cases.items()],
    }


def _callback(name: str, headers: dict[str, str], body: bytes, result: str) -> dict[str, Any]:
    try:
        text = {"body": body.decode()}
    except UnicodeDecodeError:
        text = {"hex": body.hex()}
    case: dict[str, Any] = {"name": name, "headers": headers, **text, "result": result}
    if result == "verified":
        data = json.loads(body)["data"]
        case["callback"] = {
            "id": f"{encode(_AGENT.encode())}.{data['correlationId']}",
            "agentName": data["agentName"],
            "correlationId": data["correlationId"],
            "state": data.get("state"),
        }
    return case


FILES = {"callbacks": callbacks, "es256": es256, "keys": keys}

if __name__ == "__main__":
    for file, vectors in FILES.items():
        (FOLDER / f"{file}.json").write_text(json.dumps(vectors(), indent=2) + "\n")
