"""Run an agent's action only after a person approved exactly these arguments.

from human_oversight import approval_gate

@approval_gate("UserManagerAgent", "Delete User Account", ["alice@example.com"])
def delete_user(user_id: str) -> str:
    return f"User {user_id} deleted."
"""

from .action import Action
from .approval import Approval, Progress
from .callback import Callback, CallbackError, verify_callback
from .constants import DEFAULT_REFUSAL_VALUE, ApprovalStatus
from .context import current_proof, tool_call
from .decorator import approval_gate
from .errors import GateError
from .gate import Gate
from .handle import Handle
from .loop import flush
from .pending import Pending, Undecided
from .permit import Permit
from .proof import Proof
from .refusal import Reason, RefusalText, Refused

__all__ = [
    "DEFAULT_REFUSAL_VALUE",
    "Action",
    "Approval",
    "ApprovalStatus",
    "Callback",
    "CallbackError",
    "Gate",
    "GateError",
    "Handle",
    "Pending",
    "Permit",
    "Progress",
    "Proof",
    "Reason",
    "RefusalText",
    "Refused",
    "Undecided",
    "approval_gate",
    "current_proof",
    "flush",
    "tool_call",
    "verify_callback",
]
