"""What a process stores to resume a request later."""

import hashlib
import hmac
import json
import re
import secrets
import uuid
from dataclasses import dataclass

from .jws import encode

CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@dataclass(frozen=True, repr=False)
class Handle:
    """The name and the secret of one request.

    With it the approval can be used, so keep it as you keep a password. `str(handle.id)` is no secret.
    """

    id: str
    secret: str

    @classmethod
    def create(cls, agent: str, correlation_id: str | None, claim_key: str) -> "Handle":
        """The handle that belongs to the correlation id, or a fresh one."""
        if correlation_id is None:
            return cls(approval_id(agent, str(uuid.uuid4())), secrets.token_hex(32))
        message = f"{agent}\0{correlation_id}".encode()
        secret = hmac.new(claim_key.encode(), message, hashlib.sha256).hexdigest()
        return cls(approval_id(agent, correlation_id), secret)

    @property
    def correlation_id(self) -> str:
        return self.id.partition(".")[2]

    @property
    def claimant(self) -> str:
        """The SHA-256 of the secret, which the request names."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def to_json(self) -> str:
        """The text to store, with the secret."""
        return json.dumps({"id": self.id, "secret": self.secret})

    @classmethod
    def from_json(cls, text: str) -> "Handle":
        """Reads a stored text.

        Raises:
            ValueError: if it is none of `Handle.to_json`.
        """
        try:
            stored = json.loads(text)
        except ValueError:
            stored = None
        match stored:
            case {"id": str(id), "secret": str(secret), **rest} if not rest:
                return cls(id, secret)
        raise ValueError("not a stored handle")

    def __repr__(self) -> str:
        return f"Handle(id={self.id!r})"


def approval_id(agent: str, correlation_id: str) -> str:
    return f"{encode(agent.encode())}.{correlation_id}"


def to_correlation_id(*names: str) -> str | None:
    """A correlation id for names of a framework, such as those of a run and of a tool call. There is none if the last
    one is empty: the others name each call of the run."""
    if not names or not names[-1]:
        return None
    if len(names) == 1 and CORRELATION_ID.fullmatch(names[0]):
        return names[0]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:32]
