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
