"""What the document cannot say: cases that are not valid although each part of them is; and requests
that are there, for where Schemathesis would make up ids that name nothing."""

import itertools
import json
import os
import re
import unicodedata
from decimal import Decimal

import schemathesis
from hypothesis import strategies as st

# Requests in all states: [{"id": …, "k": …}].
REQUESTS = itertools.cycle(json.loads(os.environ["REQUESTS"]))
# The channel that takes callbacks for every agent.
CHANNEL = os.environ["CHANNEL"]
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


@schemathesis.hook.apply_to(path="/api/submit")
def flatmap_body(context, body):
    """Most requests get a callback, since the generator adds hardly any of its own accord."""
    state = st.text(max_size=256) | st.none()
    callback = st.fixed_dictionaries({"channel": st.just(CHANNEL)}, optional={"state": state})
    return (callback | st.none()).map(lambda callback: with_callback(body, callback))


def with_callback(body, callback):
    if not isinstance(body, dict) or callback is None or "callback" in body:
        return body
    # Without the name of the document's example, under which another request was stored.
    named = {name: value for name, value in body.items() if (name, value) != ("correlationId", "run-42")}
    return {**named, "callback": callback}


@schemathesis.hook
def map_case(context, case):
    # Of the right form, and so the one channel that there is.
    callback = case.body.get("callback") if isinstance(case.body, dict) else None
    name = callback.get("channel") if isinstance(callback, dict) else None
    if isinstance(name, str) and 1 <= len(name) <= 64:
        callback["channel"] = CHANNEL
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


@schemathesis.hook
def after_call(context, case, response):
    """Keeps the id of each request with a callback that was accepted, a line each."""
    body = case.body if isinstance(case.body, dict) else {}
    if body.get("callback") and response.status_code == 202:
        with open(os.environ["CALLBACKS"], "a") as answers:
            answers.write(f"{response.json()['id']}\n")
