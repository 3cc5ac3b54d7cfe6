"""Asks as the legacy decorator does, by the same library, with the same members and limit; prints
what the decorated function returns."""

import os
import uuid
from datetime import datetime, timezone

import requests

payload = {
    "agentName": "UserManagerAgent",
    "actionDescription": "Delete User Account",
    "parameters": {"user_id": "1", "note": "Übergabe – “fertig” 😀"},
    "approverEmails": os.environ["APPROVER_EMAILS"].split(","),
    "correlationId": str(uuid.uuid4()),
    "timestamp": datetime.now(timezone.utc).isoformat(),
}
approved = False
try:
    answer = requests.post(os.environ["HO_LOGIC_APP_URL"], json=payload, timeout=120)
    answer.raise_for_status()
    approved = answer.json().get("status") == "Approved"
except requests.exceptions.RequestException:
    pass
print("User 1 deleted." if approved else "DENIED: User deletion was not approved.")
