"""The gate's response about one request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .errors import InvalidResponseError


@dataclass(frozen=True)
class Progress:
    """How many votes of the open stage are there, where the operator's policy asks for several."""

    stage: int
    """The number of the open stage, from 1."""
    stages: int
    needed: int
    given: int
    awaiting: tuple[str, ...]
    """The groups whose approval is missing."""


@dataclass(frozen=True)
class Approval:
    """A request as the gate has it. Only what the gate signed proves anything: see `receipts`."""

    id: str
    parameters_digest: str
    status: str
    """`Pending`, `Approved`, `Rejected`, `Timeout`, `Cancelled`, `Undeliverable`, or one of a later version."""
    expires_at: datetime
    approver: str | None = None
    comment: str | None = None
    question: str | None = None
    """Where the person who rejected asks for a changed request: what they ask."""
    execution: str | None = None
    """For an approval: `Executing`, `Executed`, `ExecutionFailed`, `ExecutionUnknown`, `Lapsed`, `Revoked`."""
    deliverable: str | None = None
    receipt: str | None = None
    permit: str | None = None
    decider: str | None = None
    """`person`, `policy` or `grant`, if one decided."""
    rules: tuple[str, ...] = ()
    """The rules of the operator's policy that applied."""
    progress: Progress | None = None
    """How many votes there are, where the policy asks for several and the request is open."""

    @classmethod
    def from_json(cls, answer: Any) -> "Approval":
        """Reads a response of submit, status, claim, outcome or withdraw.

        Raises:
            InvalidResponseError: if it is none.
        """
        try:
            execution = answer.get("execution")
            return cls(
                id=_text(answer, "id"),
                parameters_digest=_text(answer, "parametersDigest"),
                status=_text(answer, "status"),
                # Python 3.10 reads no Z.
                expires_at=datetime.fromisoformat(_text(answer, "expiresAt").replace("Z", "+00:00")),
                approver=_optional(answer, "approver"),
                comment=_optional(answer, "comment"),
                question=None if answer.get("revise") is None else _text(answer["revise"], "question"),
                execution=None if execution is None else _text(execution, "status"),
                deliverable=_optional(answer, "deliverable"),
                receipt=_optional(answer, "receipt"),
                permit=_optional(answer, "permit"),
                decider=_optional(answer, "decider"),
                rules=tuple(str(rule) for rule in (answer.get("policy") or {"rules": ()})["rules"]),
                progress=None if answer.get("progress") is None else _progress(answer["progress"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidResponseError(f"{type(error).__name__} {error}") from None


def _progress(answer: Any) -> Progress:
    numbers = {name: int(answer[name]) for name in ("stage", "stages", "needed", "given")}
    return Progress(**numbers, awaiting=tuple(str(group) for group in answer["awaiting"]))


def _text(answer: Any, member: str) -> str:
    value = answer[member]
    if not isinstance(value, str):
        raise TypeError(member)
    return value


def _optional(answer: Any, member: str) -> str | None:
    return None if answer.get(member) is None else _text(answer, member)
