"""Compact JWS (RFC 7515) of the gate: Ed25519 (RFC 8037) or P-256 (RFC 7518), by the type of the key."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from .strict_json import StrictJsonError, loads

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)

_ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256"}


class NotSignedError(ValueError):
    """A text proves nothing: it is not what the gate signs, or not signed with one of its keys."""


@dataclass(frozen=True)
class Key:
    """One public key of the gate."""

    kid: str
    algorithm: str
    """`EdDSA` or `ES256`: the key's type decides it, never the text that is verified."""
    thumbprint: str
    """RFC 7638, SHA-256, base64url. It identifies the key whatever its name."""
    public: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
    nbf: int | None = None
    """The first second, since 1970, of the time in which it was in force; before that it proves nothing."""
    exp: int | None = None
    """The first second after that time."""
    revoked: bool = False
    """Whether it proves nothing, whatever the date."""

    def covers(self, at: int) -> bool:
        """Whether it was in force then."""
        return (self.nbf is None or self.nbf <= at) and (self.exp is None or at < self.exp)

    def within(self, other: "Key") -> "Key":
        """The same key, in force only while this other record of it says so too."""
        begins = [key.nbf for key in (self, other) if key.nbf is not None]
        ends = [key.exp for key in (self, other) if key.exp is not None]
        return replace(
            self,
            nbf=max(begins, default=None),
            exp=min(ends, default=None),
            revoked=self.revoked or other.revoked,
        )

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            if isinstance(self.public, ed25519.Ed25519PublicKey):
                self.public.verify(signature, message)
            else:
                self.public.verify(_to_der(signature), message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def read_keys(keys: Iterable[Any]) -> list[Key]:
    """Reads the keys of a JWK set (RFC 7517). Keys of other types are left out, as a later gate may add some.

    Raises:
        TypeError: for the set itself, whose member `keys` has them.
    """
    if isinstance(keys, Mapping | str):
        raise TypeError('keys must be a list: the member "keys" of the set')
    read = (_read_key(key) for key in keys)
    return [key for key in read if key]


def _read_key(jwk: Any) -> Key | None:
    try:
        kid, kind = jwk["kid"], (jwk["kty"], jwk["crv"])
        algorithm = _ALGORITHMS[kind]
        names = ["crv", "kty", "x"] + (["y"] if algorithm == "ES256" else [])
        numbers = [decode(jwk[name]) for name in names[2:]]
        public: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
        if algorithm == "EdDSA":
            public = ed25519.Ed25519PublicKey.from_public_bytes(numbers[0])
        else:
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + b"".join(numbers))
        nbf, exp, revoked = jwk.get("nbf"), jwk.get("exp"), jwk.get("revoked", False)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    # Not a key to use without a limit that cannot be read.
    if not (_is_time(nbf) and _is_time(exp) and isinstance(revoked, bool)):
        return None
    if not isinstance(kid, str) or any(len(number) != 32 for number in numbers):
        return None
    digest = hashlib.sha256(rfc8785.dumps({name: jwk[name] for name in names})).digest()
    return Key(kid, algorithm, encode(digest), public, nbf, exp, revoked)


def _is_time(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def verify(kind: str, text: str, keys: Iterable[Key]) -> dict[str, Any]:
    """Returns the claims of a text that one of the keys signed as this `typ`, while it was in force.

    Raises:
        NotSignedError: if none did.
    """
    signed, _, signature = text.rpartition(".")
    header_part, _, payload = signed.partition(".")
    try:
        header_text, claims_text, proof = decode(header_part), decode(payload), decode(signature)
        header = loads(header_text)
        if not isinstance(header, dict) or set(header) != {"alg", "typ", "kid"} or header["typ"] != kind:
            raise NotSignedError(f"it is not a compact JWS of type {kind}")
        named = [it for it in keys if it.kid == header["kid"]]
        # A name of two keys names neither.
        if len(named) != 1 or (key := named[0]).algorithm != header["alg"]:
            raise NotSignedError("it names a key that the gate does not publish")
        if not key.verifies(proof, signed.encode()):
            raise NotSignedError("its signature is wrong")
        if key.revoked:
            raise NotSignedError("it is signed with a key that is revoked")
        claims = loads(claims_text)
    except StrictJsonError as error:
        raise NotSignedError(str(error)) from None
    if not isinstance(claims, dict):
        raise NotSignedError("it has no claims")
    issued = claims.get("iat")
    if not isinstance(issued, int) or isinstance(issued, bool):
        raise NotSignedError("it has no iat")
    if not key.covers(issued):
        raise NotSignedError("it is dated outside the time of its key")
    return claims


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    """The bytes of the one base64url text that stands for them.

    Raises:
        NotSignedError: if it is another.
    """
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise NotSignedError("it is not base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise NotSignedError("it is not base64url") from None
    if encode(data) != text:
        raise NotSignedError("it is not base64url")
    return data


def _to_der(signature: bytes) -> bytes:
    if len(signature) != 64:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
