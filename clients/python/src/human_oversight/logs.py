"""What the client logs."""

import logging

from .refusal import Reason, Refused

_log = logging.getLogger("human_oversight")

_DECIDED = (Reason.REJECTED, Reason.DENIED, Reason.TIMEOUT, Reason.CANCELLED)


def log_refusal(refused: Refused) -> None:
    """Writes one line, unless a person, the policy or the deadline decided: the caller may get nothing but a value that
    looks like a rejection."""
    if refused.reason in _DECIDED:
        return
    level, what = logging.WARNING, "not run"
    if refused.no_one_was_asked:
        level, what = logging.ERROR, "not run, and no one was asked"
    _log.log(level, "%s: %s: %s", what, refused.reason.value, loggable(refused.detail or ""))


def loggable(detail: str) -> str:
    """In one line, and without email addresses, of which problem documents name some."""
    return " ".join("…" if "@" in word else word for word in detail.split())
