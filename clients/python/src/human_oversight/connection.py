"""A gate's client, and whom to trust about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .approval import Approval
from .client import Client
from .errors import SettingsError, UntrustedError
from .handle import Handle
from .jws import NotSignedError
from .receipts import verify_permit, verify_receipt
from .retry import retry_first_contact, retry_transient
from .trust import Known, Trust


@dataclass(frozen=True)
class Connection:
    client: Client
    trust: Trust

    async def keys(self, approval: Approval | None = None) -> Known:
        """The keys and issuers to verify with. What the gate publishes changes rarely: it is fetched again only
        when the keys known do not verify what the gate signed of this request."""
        try:
            known = self.trust.known()
            # A rotation of the key may lie between receipt and permit.
            if approval is not None and approval.receipt is not None:
                verify_receipt(approval.receipt, known.keys)
            if approval is not None and approval.permit is not None:
                verify_permit(approval.permit, known.keys)
        except (UntrustedError, SettingsError, NotSignedError):
            retry = retry_first_contact if approval is None else retry_transient
            self.trust.learn(await retry(self.client.keys))
            known = self.trust.known()
        return known

    async def post(self, function: str, handle: Handle, **body: Any) -> Approval:
        """Claims, reports or withdraws, as the holder of the handle."""
        body["secret"] = handle.secret
        return await retry_transient(lambda: self.client.post(function, handle.id, body))

    async def status(self, handle: Handle) -> Approval:
        """The request's state, without waiting for a change."""
        return (await retry_transient(lambda: self.client.status(handle.id)))[0]


OnPending = Callable[[Approval], None]
