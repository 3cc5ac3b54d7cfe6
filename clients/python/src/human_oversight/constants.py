"""Names that programs of the legacy Logic App's decorator import."""

from enum import Enum

DEFAULT_REFUSAL_VALUE = "Approval denied or timed out via Human Oversight Approval Gate."


class ApprovalStatus(str, Enum):
    """The states of a request and of its execution. Only `APPROVED` permits a run."""

    INITIATED = "Initiated"
    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"
    UNDELIVERABLE = "Undeliverable"
    ERROR = "Error"

    EXECUTED = "Executed"
    EXECUTION_FAILED = "ExecutionFailed"


TIMEOUT_SECONDS = 120
"""How long the legacy decorator waited. Here, `timeout` says it."""

STATUS_INITIATED = ApprovalStatus.INITIATED
STATUS_APPROVED = ApprovalStatus.APPROVED
STATUS_REJECTED = ApprovalStatus.REJECTED
STATUS_TIMEOUT = ApprovalStatus.TIMEOUT
STATUS_ERROR = ApprovalStatus.ERROR
STATUS_EXECUTED = ApprovalStatus.EXECUTED
STATUS_EXECUTION_FAILED = ApprovalStatus.EXECUTION_FAILED
