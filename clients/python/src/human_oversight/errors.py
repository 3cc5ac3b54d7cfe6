"""Why a call to the gate gave no usable response."""

from dataclasses import dataclass, field
from typing import Any


class GateError(Exception):
    """A call to the gate gave no usable response. A gated function makes a refusal of it."""

    is_transient = False
    """Whether the same call may succeed later."""

    may_be_accepted = False
    """Whether the gate may have accepted the call."""

    retry_after: float | None = None
    """For how many seconds the gate asks to wait."""


@dataclass
class ProblemError(GateError):
    """The gate refused the call, and says why (RFC 9457)."""

    status: int
    kind: str
    title: str
    detail: str
    errors: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def from_json(cls, problem: Any) -> "ProblemError":
        """Reads a problem document.

        Raises:
            KeyError, TypeError: if it is none.
        """
        errors = [(str(it["pointer"]), str(it["detail"])) for it in problem.get("errors", [])]
        texts = [str(problem[name]) for name in ("type", "title", "detail")]
        return cls(int(problem["status"]), texts[0], texts[1], texts[2], errors)

    def __str__(self) -> str:
        return f"{self.title}: {self.detail} ({self.status})"

    def says(self, kind: str) -> bool:
        """Whether the problem is of this kind, the last part of its URI."""
        return self.kind.endswith(f":{kind}")


class UnreachableError(GateError):
    """The gate could not be reached, or the connection broke."""

    is_transient = True

    def __init__(self, why: str, *, may_be_accepted: bool) -> None:
        super().__init__(f"the gate could not be reached: {why}")
        self.may_be_accepted = may_be_accepted


class TlsError(GateError):
    """No TLS connection could be made: the gate's certificate is not accepted, for example."""

    is_transient = True

    def __init__(self, why: str) -> None:
        super().__init__(
            "no TLS connection to the gate: if a private authority has signed its certificate, SSL_CERT_FILE must "
            f"name the file with the authority's: {why}"
        )


class NoTokenError(GateError):
    """No access token could be obtained for the gate: a setting is wrong, or the identity service is not available."""

    is_transient = True

    def __init__(self, why: str) -> None:
        super().__init__(f"no access token could be obtained: {why}")


class UnavailableError(GateError):
    """The gate cannot respond now."""

    is_transient = True
    may_be_accepted = True

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"the gate is not available now (status {status})")
        self.retry_after = retry_after


class InvalidResponseError(GateError):
    """The response is not one that the gate sends, but perhaps what stands before it."""

    is_transient = True
    may_be_accepted = True

    def __init__(self, why: str) -> None:
        super().__init__(f"not a response of the gate: {why}")


class SettingsError(GateError):
    """The settings are incomplete or invalid."""


class UntrustedError(GateError):
    """The gate cannot be trusted: it makes no permits, or has none of the keys that the settings name."""
