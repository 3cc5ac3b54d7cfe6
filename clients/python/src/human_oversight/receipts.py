"""Receipts and permits: the gate's signed records of a decision, and of the one claim of it.

A service that does not trust the agent verifies both, with the keys of the gate's operator: see the project's
`docs/receipts.md`.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from .address import to_person
from .jws import Key, NotSignedError, verify
from .parameters import Parameters

RECEIPT = "oversight-receipt+jwt"
PERMIT = "oversight-permit+jwt"

_ASSURANCES = ("link", "link-only", "entra", "policy", "grant")


class NotPermittedError(ValueError):
    """A receipt or permit is genuine, but not for this run."""


class LapsedError(NotPermittedError):
    """The approval was not used in time."""


@dataclass(frozen=True)
class Vote:
    """One of several votes."""

    approver: str
    approver_object_id: str | None
    decision: str

    def is_by(self, other: "Vote") -> bool:
        """Whether the same person cast both."""
        is_same_id = self.approver_object_id is not None and self.approver_object_id == other.approver_object_id
        return is_same_id or to_person(self.approver) == to_person(other.approver)


@dataclass(frozen=True)
class HandOver:
    """An approver handed their place to another person, who decides instead."""

    giver: str
    receiver: str


@dataclass(frozen=True)
class Receipt:
    """The claims of a receipt."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int | None
    action_description: str
    parameters_digest: str
    decision: str
    approver: str
    assurance: str
    """How the approver was identified: `link`, `link-only` or `entra`; `policy` where a rule of the
    operator's policy decided, `grant` where a standing grant of an approver did."""
    claimant: str | None
    comment_digest: str | None
    approver_object_id: str | None
    votes: tuple["Vote", ...]
    """Where the policy asked for votes: all of them, in order. The last one of a person counts."""
    rules: tuple[str, ...] | None
    """The rules of the operator's policy that said who must agree, if there is one."""
    handed_over: tuple["HandOver", ...] = ()
    """The hand-overs through which a person who voted, or decided, came to do so, in order."""

    @property
    def decided_for(self) -> str:
        """The person in whose place the approver decided, back over all hand-overs: often the approver."""
        first = self.approver
        # A hand-over comes after the one by which its giver came to the place.
        for hand_over in reversed(self.handed_over):
            if hand_over.receiver == first:
                first = hand_over.giver
        return first

    @property
    def approvals(self) -> int:
        """The number of people who approved; 0 where a rule of the policy or a standing grant did."""
        if self.decision != "Approved" or self.assurance in ("policy", "grant"):
            return 0
        if not self.votes:
            return 1
        lasts = (vote for index, vote in enumerate(self.votes) if not any(map(vote.is_by, self.votes[index + 1 :])))
        return sum(vote.decision == "Approved" for vote in lasts)

    def permit(
        self,
        *,
        agent: str,
        action: str,
        parameters: Parameters,
        now: float,
        at_least: int = 0,
        rules: Collection[str] = (),
    ) -> None:
        """Checks that it is an approval of exactly this run that has not lapsed.

        A service can demand more than the gate did: that at least this number of people approved, and that these
        rules of the operator's policy applied.

        It does not say whether the approval was claimed or revoked: only a permit does.

        Raises:
            NotPermittedError: if it is not.
        """
        _demand(
            (self.aud == agent, "the receipt is for another agent"),
            (self.action_description == action, "the receipt is for another action"),
            (
                self.parameters_digest == parameters.digest,
                "the receipt is for other parameters than those about to be run",
            ),
            (self.decision == "Approved", "the receipt is for a rejection"),
            # The link alone is enough for a rejection only. No gate signs this.
            (self.assurance != "link-only", "the receipt is for an approval without the code"),
        )
        # Of a time that is no number it cannot be said.
        if self.exp is None or not now < self.exp:
            raise LapsedError("the approval has lapsed")
        _demand(
            (
                self.approvals >= at_least,
                f"the receipt is for an approval by {self.approvals} people, and this takes {at_least}",
            ),
            (
                set(rules) <= set(self.rules or ()),
                "the receipt is for an approval to which another rule of the policy applied, or none",
            ),
        )


@dataclass(frozen=True)
class Permit:
    """The claims of a permit."""

    iss: str
    aud: str
    sub: str
    jti: str
    claimant: str | None
    parameters_digest: str
    receipt_digest: str
    iat: int
    exp: int

    def grant(
        self,
        *,
        issuers: Collection[str],
        agent: str,
        id: str,  # noqa: A002 (the wire's name)
        nonce: str,
        claimant: str | None,
        parameters: Parameters,
        receipt: str,
        now: float,
        leeway: float = 60,
    ) -> None:
        """Checks that the gate granted exactly this claim, and that it still counts.

        A service made no claim: it takes `jti` as the nonce, and stores `sub` to recognise a permit that is
        presented again.

        Raises:
            NotPermittedError: if it did not.
        """
        if isinstance(issuers, str):  # any part of which would be one
            raise TypeError("issuers must be a list of texts")
        _demand(
            (self.iss in issuers, "the permit is of a gate that is not trusted"),
            (self.aud == agent, "the permit is for another agent"),
            (self.sub == id, "the permit is for another request"),
            (self.jti == nonce, "the permit is the answer to another claim"),
            (self.claimant == claimant, "the permit is for another claimant"),
            (
                self.parameters_digest == parameters.digest,
                "the permit is for other parameters than those about to be run",
            ),
            (self.receipt_digest == digest(receipt), "the permit is for another receipt"),
            (self.iat <= now + leeway, "the permit is dated in the future"),
        )
        if not now - leeway < self.exp:
            raise LapsedError("the permit has expired")


def verify_receipt(text: str, keys: Iterable[Key]) -> Receipt:
    """The claims of a receipt that the gate made; `Receipt.permit` says whether they permit a run.

    The keys must come from the gate's operator, never from the party that presents the receipt.

    Raises:
        NotSignedError: if it is none.
    """
    claims = verify(RECEIPT, text, keys)
    _text(claims, "correlationId")
    return Receipt(
        iss=_text(claims, "iss"),
        aud=_text(claims, "aud"),
        sub=_text(claims, "sub"),
        iat=_time(claims, "iat"),
        exp=_time(claims, "exp") if claims.get("exp") is not None else None,
        action_description=_text(claims, "actionDescription"),
        parameters_digest=_text(claims, "parametersDigest"),
        decision=_one_of(claims, "decision", ("Approved", "Rejected")),
        approver=_text(claims, "approver"),
        assurance=_one_of(claims, "assurance", _ASSURANCES),
        claimant=_optional(claims, "claimant"),
        comment_digest=_optional(claims, "commentDigest"),
        approver_object_id=_optional(claims, "approverObjectId"),
        votes=tuple(_vote(vote) for vote in _list(claims, "votes")),
        rules=_rules(claims),
        handed_over=tuple(_hand_over(it) for it in _list(claims, "handedOver")),
    )


def verify_permit(text: str, keys: Iterable[Key]) -> Permit:
    """The claims of a permit that the gate made; `Permit.grant` says whether they are those expected.

    Raises:
        NotSignedError: if it is none.
    """
    claims = verify(PERMIT, text, keys)
    return Permit(
        iss=_text(claims, "iss"),
        aud=_text(claims, "aud"),
        sub=_text(claims, "sub"),
        jti=_text(claims, "jti"),
        claimant=_optional(claims, "claimant"),
        parameters_digest=_text(claims, "parametersDigest"),
        receipt_digest=_text(claims, "receiptDigest"),
        iat=_time(claims, "iat"),
        exp=_time(claims, "exp"),
    )


def digest(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _demand(*checks: tuple[bool, str]) -> None:
    for is_met, why in checks:
        if not is_met:
            raise NotPermittedError(why)


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise NotSignedError(f"it has no {name}")
    return value


def _optional(claims: dict[str, Any], name: str) -> str | None:
    return None if claims.get(name) is None else _text(claims, name)


def _one_of(claims: dict[str, Any], name: str, words: Collection[str]) -> str:
    value = _text(claims, name)
    if value not in words:
        raise NotSignedError(f"its {name} is unknown")
    return value


def _list(claims: dict[str, Any], name: str) -> list[Any]:
    value = claims.get(name, [])
    if not isinstance(value, list):
        raise NotSignedError(f"its {name} are no list")
    return value


def _vote(vote: Any) -> Vote:
    if not isinstance(vote, dict):
        raise NotSignedError("a vote is no object")
    decision = _one_of(vote, "decision", ("Approved", "Rejected"))
    return Vote(_text(vote, "approver"), _optional(vote, "approverObjectId"), decision)


def _hand_over(claims: Any) -> HandOver:
    if not isinstance(claims, dict):
        raise NotSignedError("a hand-over is no object")
    return HandOver(_text(claims, "from"), _text(claims, "to"))


def _rules(claims: dict[str, Any]) -> tuple[str, ...] | None:
    policy = claims.get("policy")
    if policy is None:
        return None
    if not isinstance(policy, dict) or "rules" not in policy:
        raise NotSignedError("its policy has no rules")
    return tuple(str(rule) for rule in _list(policy, "rules"))


def _time(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise NotSignedError(f"it has no {name}")
    return value
