"""Delivers webhooks that the library of Standard Webhooks signs: URL and SECRET as arguments, one body a line on stdin.

Prints the status of each answer. The id is the number of the line, so that it is the same at each attempt.
"""

import sys
from datetime import datetime, timezone
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from standardwebhooks import Webhook

url, secret = sys.argv[1:]
for number, line in enumerate(sys.stdin):
    body = line.rstrip("\n")
    now = datetime.now(timezone.utc)
    headers = {
        "webhook-id": f"msg_{number}",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(f"msg_{number}", now, body),
        "content-type": "application/json",
    }
    try:
        print(urlopen(Request(url, body.encode(), headers)).status, flush=True)
    except HTTPError as error:
        print(error.status, flush=True)
