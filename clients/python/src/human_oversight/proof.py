"""What proves the right to run an action, and whether it does."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .address import is_same_address
from .approval import Approval
from .handle import Handle
from .jws import NotSignedError
from .parameters import Parameters
from .receipts import (
    LapsedError,
    NotPermittedError,
    Receipt,
    digest,
    verify_permit,
    verify_receipt,
)
from .refusal import lapsed_here, unverified
from .trust import Known

CLOCK_LEEWAY_SECONDS = 60
"""By how many seconds the clocks of agent and gate may differ."""


@dataclass(frozen=True)
class Proof:
    """Receipt and permit, for a service that demands them before it acts."""

    receipt: str
    """The signed receipt, a compact JWS."""
    permit: str
    """The gate's signed permit, a compact JWS."""
    approver: str
    """The approver, as the receipt names them."""
    comment: str | None
    """The approver's comment, if the receipt covers it."""


@dataclass(frozen=True)
class Run:
    """What is about to run, and under which request."""

    agent: str
    action: str
    approvers: Sequence[str]
    handle: Handle
    parameters: Parameters
    process: int = field(default_factory=os.getpid)
    """The process that submitted the request, and alone gives it up."""

    def verify_receipt(self, approval: Approval, known: Known) -> Receipt:
        """The claims of the approval's receipt, if it permits this run now.

        Raises:
            Refused: if it does not.
        """
        if approval.receipt is None:
            raise unverified("the approval has no receipt")
        try:
            receipt = verify_receipt(approval.receipt, known.keys)
            if receipt.iss not in known.issuers:
                raise NotPermittedError(
                    "the receipt names another gate as its issuer than this client trusts (HO_ISSUER, or "
                    "HO_ISSUERS of the gate)"
                )
            if receipt.sub != self.handle.id:
                raise NotPermittedError("the receipt is for another request")
            if receipt.claimant != self.handle.claimant:
                raise NotPermittedError("the receipt is for another claimant")
            now = time.time() - CLOCK_LEEWAY_SECONDS
            receipt.permit(agent=self.agent, action=self.action, parameters=self.parameters, now=now)
        except LapsedError:
            raise lapsed_here() from None
        except NotSignedError as error:
            raise unverified(f"not a receipt of the gate: {error}") from None
        except NotPermittedError as error:
            raise unverified(str(error)) from None
        # Where the gate's policy says who must agree, the receipt says so, and by which votes.
        # One of them may have handed their place over.
        first = receipt.decided_for
        if receipt.rules is None and not any(is_same_address(approver, first) for approver in self.approvers):
            raise unverified("the receipt names a person who is not an approver")
        return receipt

    def verify_claim(self, approval: Approval, nonce: str, known: Known) -> Proof:
        """Receipt and permit, if the gate granted the claim of this nonce.

        Raises:
            Refused: if it did not.
        """
        if (approval.id, approval.status, approval.execution) != (self.handle.id, "Approved", "Executing"):
            raise unverified("the gate's response to the claim is not an approval")
        receipt = self.verify_receipt(approval, known)
        if approval.permit is None or approval.receipt is None:
            raise unverified(
                "the gate granted the claim without a permit: an older version of it did, or one with HO_ROWS=1; "
                "upgrade every instance of the gate before its clients"
            )
        try:
            permit = verify_permit(approval.permit, known.keys)
            permit.grant(
                issuers=known.issuers,
                agent=self.agent,
                id=self.handle.id,
                nonce=nonce,
                claimant=self.handle.claimant,
                parameters=self.parameters,
                receipt=approval.receipt,
                # The nonce shows that the permit is fresh, so a clock behind the gate's is no reason to refuse it.
                now=max(time.time(), permit.iat),
                leeway=CLOCK_LEEWAY_SECONDS,
            )
        except LapsedError:
            raise lapsed_here() from None
        except NotSignedError as error:
            raise unverified(f"not a permit of the gate: {error}") from None
        except NotPermittedError as error:
            raise unverified(str(error)) from None
        is_signed = approval.comment is not None and digest(approval.comment) == receipt.comment_digest
        return Proof(approval.receipt, approval.permit, receipt.approver, approval.comment if is_signed else None)
