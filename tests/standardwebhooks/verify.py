"""Verifies a delivery by the library of Standard Webhooks: SECRET as argument, {"headers", "body"} on stdin."""

import json
import sys

from standardwebhooks import Webhook

delivery = json.load(sys.stdin)
print(json.dumps(Webhook(sys.argv[1]).verify(delivery["body"], delivery["headers"])))
