"""The vectors in `conformance/`. Run as a program, it writes `es256.json`."""

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from human_oversight.jws import encode
from human_oversight.parameters import Parameters
from human_oversight.receipts import PERMIT, RECEIPT, digest

FOLDER = Path(__file__).parents[3] / "conformance"
ES256 = FOLDER / "es256.json"

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PARAMETERS = {"amount": 49.9, "currency": "EUR", "order": "A-1"}
_AGENT, _ACTION = "RefundAgent", "Refund an order"


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


def es256() -> dict[str, Any]:
    """The same forms as `receipts.json` and `permits.json`, signed by P-256 keys."""
    exact = Parameters(_PARAMETERS)
    receipt_header = {"alg": "ES256", "typ": RECEIPT, "kid": "present"}
    about = {
        "iss": "https://gate.example.com",
        "aud": _AGENT,
        "sub": "UmVmdW5kQWdlbnQ.order-1",
        "claimant": "07" * 32,
        "parametersDigest": exact.digest,
        "iat": 1_800_000_000,
        "exp": 1_800_000_900,
    }
    decided = about | {
        "actionDescription": _ACTION,
        "approver": "alice@example.com",
        "assurance": "link",
        "correlationId": "order-1",
        "decision": "Approved",
    }
    off = _jwk("off", 1)
    off["y"] = off["x"]
    rsa = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rsa", "n": encode(b"\xff" * 256), "e": "AQAB"}
    keys = [_jwk("present", 1), _jwk("retired", 2), off, _jwk("p384", 1) | {"crv": "P-384"}, rsa]
    run = {"agent": _AGENT, "parameters": _PARAMETERS, "now": 1_800_000_060}
    receipts = [
        {"name": name, **run, "action": _ACTION, "receipt": text, "result": result}
        for name, (text, result) in _receipts(receipt_header, decided).items()
    ]
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
        **run,
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


if __name__ == "__main__":
    ES256.write_text(json.dumps(es256(), indent=2) + "\n")
