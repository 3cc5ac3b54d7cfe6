"""Why an action did not run, in words for a model."""

from enum import Enum

from .approval import Approval
from .constants import DEFAULT_REFUSAL_VALUE
from .errors import (
    GateError,
    InvalidResponseError,
    NoTokenError,
    ProblemError,
    SettingsError,
    TlsError,
    UnavailableError,
    UnreachableError,
    UntrustedError,
)


class Reason(str, Enum):
    """The kinds of refusal."""

    REJECTED = "rejected"
    """A person rejected."""
    DENIED = "denied"
    """The operator's policy denies the action. No person was asked."""
    REJECTED_BEFORE = "rejected-before"
    """An approver rejected the same before, and the operator's policy refuses what was rejected."""
    TIMEOUT = "timeout"
    """No decision in time, or the approval was not claimed in time."""
    UNDELIVERABLE = "undeliverable"
    """No approver can be reached by mail."""
    CANCELLED = "cancelled"
    """The request was withdrawn."""
    USED = "used"
    """The approval was claimed before, by this process or another."""
    REVOKED = "revoked"
    """The approval was revoked before it was claimed."""
    PAUSED = "paused"
    """The operator has paused operations. After the operator resumes, the same request can be claimed."""
    UNREACHABLE = "unreachable"
    """No one was asked: the gate did not respond, for 30 seconds, or was not available."""
    MISCONFIGURED = "misconfigured"
    """No one was asked: the settings of client or gate are wrong (the address, the key, the certificate)."""
    UNAVAILABLE = "unavailable"
    """The gate became unavailable, or takes no more requests now. People may have been asked."""
    INVALID = "invalid"
    """The request is invalid: the gate or this client does not accept it."""
    UNVERIFIED = "unverified"
    """The gate responded, but without proof of an approval of exactly this."""


_WORDS = {
    Reason.REJECTED_BEFORE: "Not run: an approver rejected the same before. Do not try again.",
    Reason.TIMEOUT: "Not run: not approved, or not used, in time. Try again only if it is still needed.",
    Reason.UNDELIVERABLE: "Not run: no approver could be reached by mail. Do not try again: tell the operator.",
    Reason.CANCELLED: "Not run: the request was withdrawn. Try again only if it is still needed.",
    Reason.REVOKED: "Not run: the approval was revoked. Do not try again.",
    Reason.PAUSED: "Not run: the operator has paused operations. Try again later.",
    Reason.UNREACHABLE: "Not run: no one was asked, because the gate could not be reached. Try again later.",
    Reason.MISCONFIGURED: (
        "Not run: no one was asked, because the connection to the gate is set up wrongly. "
        "Do not try again: tell the operator."
    ),
    Reason.UNAVAILABLE: "Not run: no approval could be obtained from the gate. Try again later.",
    Reason.UNVERIFIED: "Not run: the approval could not be verified. Do not try again: tell the operator.",
}

_USED = {
    "Executed": "Not run again: the approval was used before, and the action ran.",
    "ExecutionFailed": "Not run again: the approval was used before, and the action failed.",
}
_USED_UNKNOWN = (
    "Not run again: the approval was used before, and the action may have run. Do not try again: find out first."
)

_NO_REQUEST = "the gate has no such request of this caller: submit it first, with the key or identity that resumes it"

_INVALID_STATUSES = (400, 409, 413, 415, 422)


class Refused(Exception):  # noqa: N818 (a refusal is an outcome, not an error)
    """An action did not run. Its text is for a model, and says whether to try again."""

    def __init__(
        self,
        reason: Reason,
        detail: str | None = None,
        *,
        comment: str | None = None,
        by: str | None = None,
        question: str | None = None,
        execution: str | None = None,
        rules: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        """For developers and logs: what happened, where it was not a rejection."""
        self.comment = comment
        """The comment of the person who rejected, or the reason of the policy that denies."""
        self.by = by
        """The address of the person who rejected."""
        self.question = question
        """What the person who rejected asks for: a request that is changed so may be approved. Submit it with
        `supersedes=refused.id`."""
        self.id: str | None = None
        """The id of the request that ended so, if there is one."""
        self.execution = execution
        """For `Reason.USED`: what became of the action, as far as the gate knows."""
        self.rules = rules
        """For `Reason.DENIED`: the rules of the operator's policy that applied."""
        self.no_one_was_asked = reason in (Reason.MISCONFIGURED, Reason.UNREACHABLE)
        """Whether the gate was not asked at all, because of what it is, or of how it can be reached."""

    def __str__(self) -> str:
        if self.reason is Reason.REJECTED:
            reason = f" Their reason: {self.comment}" if self.comment else ""
            changes = (
                f", who asks for changes. Change the request accordingly, and try again: {self.question}"
                if self.question
                else "."
            )
            return f"Not run: rejected by {self.by or 'an approver'}{changes}{reason}"
        if self.reason is Reason.DENIED:
            rule = f" (rule {self.rules[0]})" if self.rules else ""
            reason = f" The policy's reason: {self.comment}" if self.comment else ""
            return f"Not run: the operator's policy denies this{rule}. Do not try again.{reason}"
        if self.reason is Reason.INVALID:
            detail = f" {self.detail}" if self.detail else ""
            return f"Not run: the request is invalid. Correct it before you try again.{detail}"
        if self.reason is Reason.USED:
            return _USED.get(self.execution or "", _USED_UNKNOWN)
        return _WORDS[self.reason]

    def __repr__(self) -> str:
        return f"Refused({self.reason.value!r}, detail={self.detail!r})"


class RefusalText(str):
    """The words of a refusal, as a gated function returns them by default.

    They equal `DEFAULT_REFUSAL_VALUE`, and have its hash, so that a program of the legacy decorator that compares its
    results with that constant, or looks them up in a set, goes on recognising a refusal.
    """

    __slots__ = ("refused",)
    refused: Refused

    def __new__(cls, refused: Refused) -> "RefusalText":
        text = super().__new__(cls, refused)
        text.refused = refused
        return text

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) or (type(other) is str and other == DEFAULT_REFUSAL_VALUE)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(DEFAULT_REFUSAL_VALUE)


def unverified(why: str) -> Refused:
    return Refused(Reason.UNVERIFIED, why)


def lapsed() -> Refused:
    return Refused(Reason.TIMEOUT, "the approval lapsed before it was claimed")


def lapsed_here() -> Refused:
    """The gate still takes the approval for valid."""
    detail = "the approval has lapsed by this machine's clock, which may be ahead of the gate's"
    return Refused(Reason.UNVERIFIED, detail)


def from_status(approval: Approval) -> Refused:
    """Why a request that is over permits nothing."""
    refused = _from_status(approval)
    refused.id = approval.id
    return refused


def _from_status(approval: Approval) -> Refused:
    match approval.status:
        case "Rejected" if approval.decider == "policy":
            return Refused(Reason.DENIED, comment=approval.comment, rules=approval.rules)
        case "Rejected":
            return Refused(Reason.REJECTED, comment=approval.comment, by=approval.approver, question=approval.question)
        case "Timeout" if approval.deliverable == "none":
            return Refused(Reason.UNDELIVERABLE, "no mail could be sent before the deadline")
        case "Timeout":
            return Refused(Reason.TIMEOUT)
        case "Undeliverable":
            return Refused(Reason.UNDELIVERABLE)
        case "Cancelled":
            return Refused(Reason.CANCELLED)
        case "Approved":
            return _from_execution(approval.execution)
        case "Pending":
            detail = "the gate's status is Pending after the deadline: this machine's clock may be ahead of the gate's"
            return Refused(Reason.UNAVAILABLE, detail)
        case status:  # one that this version does not know
            return Refused(Reason.UNAVAILABLE, f"the gate's status is {status}")


def _from_execution(execution: str | None) -> Refused:
    if execution == "Lapsed":
        return lapsed()
    if execution == "Revoked":
        return Refused(Reason.REVOKED)
    return Refused(Reason.USED, f"its execution: {execution}", execution=execution)


def before_submit(error: GateError) -> Refused:
    """A call failed before the gate can have accepted a request."""
    match error:
        case UnreachableError() | UnavailableError():
            return Refused(Reason.UNREACHABLE, str(error))
        case TlsError() | NoTokenError() | InvalidResponseError():
            return Refused(Reason.MISCONFIGURED, str(error))
        case UntrustedError():
            refused = unverified(str(error))
            refused.no_one_was_asked = True
            return refused
        case _:
            return from_error(error)


def after_submit(error: GateError) -> Refused:
    """A call failed when the gate had accepted a request, or may have."""
    refused = from_error(error)
    if refused.reason is Reason.MISCONFIGURED:
        return Refused(Reason.UNAVAILABLE, refused.detail)
    return refused


def after_conflict(problem: ProblemError, approval: Approval) -> Refused:
    """The gate refused a claim with a 409, and the request's state after it is this."""
    if approval.status != "Approved" or approval.execution is not None:
        return from_status(approval)
    # Nothing was claimed, and the gate's own words say what is amiss: the standing grant was ended, for example.
    refused = from_error(problem)
    refused.id = approval.id
    return refused


def from_error(error: GateError) -> Refused:
    match error:
        case ProblemError():
            return _from_problem(error)
        case SettingsError():
            return Refused(Reason.MISCONFIGURED, str(error))
        case UntrustedError():
            return Refused(Reason.UNVERIFIED, str(error))
        case _:
            return Refused(Reason.UNAVAILABLE, str(error))


def _from_problem(problem: ProblemError) -> Refused:
    detail = problem.detail if problem.status in _INVALID_STATUSES else str(problem)
    for pointer, why in problem.errors:
        if f"{pointer} {why}" not in detail:
            detail += f"; {pointer} {why}"
    if problem.says("rejected-before"):
        return Refused(Reason.REJECTED_BEFORE, detail)
    if problem.status in _INVALID_STATUSES:
        return Refused(Reason.INVALID, detail)
    if problem.says("not-found"):  # no later call finds it
        return Refused(Reason.INVALID, _NO_REQUEST)
    if problem.says("paused"):
        return Refused(Reason.PAUSED, detail)
    if problem.says("forbidden"):
        return Refused(Reason.MISCONFIGURED, detail)
    return Refused(Reason.UNAVAILABLE, detail)
