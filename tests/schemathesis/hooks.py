"""What the document cannot say: cases that are not valid although each part of them is; and requests
that are there, for where Schemathesis would make up ids that name nothing."""

import itertools
import json
import os
import re
import unicodedata
from decimal import Decimal

import schemathesis

# Requests in all states: [{"id": …, "k": …}].
REQUESTS = itertools.cycle(json.loads(os.environ["REQUESTS"]))
LONG = set(map(str, range(2, 101)))
ID = re.compile(r"[A-Za-z0-9_-]{2,227}\.[A-Za-z0-9._-]{1,64}")


@schemathesis.hook
def filter_case(context, case):
    body = case.body if isinstance(case.body, dict) else {}
    agent = body.get("agentName")
    return not (
        (isinstance(agent, str) and (len(agent.encode()) > 170 or is_unusual(agent)))
        or ("wait" in case.query and body.get("claimant"))
        # Of the right form, and no request that has ended.
        or ID.fullmatch(str(body.get("supersedes")))
        # Of the right form, and no channel that there is.
        or "callback" in body
        or is_inexact(body)
    )


def is_unusual(name):
    """Not in NFC, or with a character of a kind that is too large for a pattern."""
    kinds = {unicodedata.category(c) for c in name}
    return unicodedata.normalize("NFC", name) != name or bool(kinds & {"Cf", "Cn", "Co"})


def is_inexact(value):
    if isinstance(value, dict):
        return any(map(is_inexact, value.values()))
    if isinstance(value, list):
        return any(map(is_inexact, value))
    return isinstance(value, (int, float)) and abs(value) >= 2**53


@schemathesis.hook
def map_case(context, case):
    # No request is decided here, so a wait of one second ends like a longer one.
    if str(case.query.get("wait")) in LONG:
        del case.query["wait"]
    # In the stateful phase the ids are those that submit answered.
    stateful = case.meta.phase.name.value == "stateful"
    if not stateful and ID.fullmatch(str(case.path_parameters.get("id", ""))):
        request = next(REQUESTS)
        case.path_parameters["id"] = request["id"]
        for place in (case.query, case.body):
            if isinstance(place, dict) and isinstance(place.get("k"), str):
                place["k"] = request["k"]
    return case
