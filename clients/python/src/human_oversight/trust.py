"""Which keys and issuers of the gate count."""

import re
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InvalidResponseError, SettingsError, UntrustedError
from .jws import Key, read_keys
from .strict_json import StrictJsonError, loads

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True)
class Known:
    """The keys and issuers to verify with."""

    keys: Collection[Key]
    issuers: Collection[str]


class Trust:
    """What the program's settings trust, and what the gate published."""

    def __init__(self, keys: str | None = None, issuers: Iterable[str] = ()) -> None:
        """`keys`: thumbprints, separated by commas, or the file of a JWK set.

        Raises:
            SettingsError: if they cannot be used.
        """
        self._issuers = [issuer.rstrip("/") for issuer in issuers]
        self._pinned: dict[str, Key | None] | None = None
        self._lock = threading.Lock()
        self._published: list[Key] = []
        self._published_issuers: list[str] = []
        if keys:
            self._pin(keys)

    def _pin(self, setting: str) -> None:
        parts = [part.strip() for part in setting.split(",")]
        if all(_THUMBPRINT.fullmatch(part) for part in parts):
            self._pinned = dict.fromkeys(parts)
        else:
            try:
                pinned, issuers = _read_set(loads(Path(setting).read_bytes()))
            except (OSError, ValueError, StrictJsonError, InvalidResponseError) as error:
                raise SettingsError(
                    "HO_KEYS must be thumbprints of 43 characters, separated by commas, or the file of a JWK set: "
                    f"{error}"
                ) from None
            self._pinned = {key.thumbprint: key for key in pinned}
            self._issuers = self._issuers or issuers
        if not self._issuers:
            raise SettingsError(
                "with HO_KEYS, HO_ISSUER must name the gate's public address, which its receipts contain as iss"
            )

    def learn(self, published: Any) -> None:
        """Keeps what the gate published. The issuers that count are those of the settings, or of the first time.

        Raises:
            InvalidResponseError: if it is no JWK set.
        """
        keys, issuers = _read_set(published)
        with self._lock:
            self._published = keys
            if self._issuers or not self._published_issuers:
                self._published_issuers = issuers

    def known(self) -> Known:
        """The keys and issuers that count.

        Raises:
            UntrustedError: if there are none, so that no approval could be verified.
            SettingsError: if the gate publishes none of the issuers that the settings name.
        """
        with self._lock:
            keys, issuers = self._published, self._published_issuers
        if not issuers:
            raise UntrustedError(
                "the gate does not say that it signs permits, and without one this client runs nothing: upgrade the "
                "gate before its clients, and set its HO_ROWS to 2"
            )
        if self._pinned is not None:
            keys = [self._narrow(key, self._pinned[key.thumbprint]) for key in keys if key.thumbprint in self._pinned]
        if all(key.revoked for key in keys):
            raise UntrustedError(
                "the gate publishes none of the keys that this client trusts (HO_KEYS), or only revoked ones"
            )
        if self._issuers and not set(self._issuers) & set(issuers):
            raise SettingsError(
                f"HO_ISSUER (or the file of HO_KEYS) names {', '.join(self._issuers)}, but the issuers of the gate are "
                f"{', '.join(issuers)}"
            )
        return Known(keys, self._issuers or issuers)

    @staticmethod
    def _narrow(key: Key, pinned: Key | None) -> Key:
        # The file may know of a revocation that the gate, or what answers for it, does not publish.
        return key.within(pinned) if pinned else key


def _read_set(published: Any) -> tuple[list[Key], list[str]]:
    try:
        keys, issuers = read_keys(published["keys"]), published.get("issuers", [])
    except (AttributeError, KeyError, TypeError):
        raise InvalidResponseError("no JWK set") from None
    if not isinstance(issuers, list) or not all(isinstance(issuer, str) for issuer in issuers):
        raise InvalidResponseError("its issuers are no texts")
    return keys, issuers
