"""An agent that deletes a user only after a person has approved it, with the standard library alone.

    HO_URL=http://127.0.0.1:7071 APPROVER_EMAILS=approver@example.com python3 agent.py 1
"""
import hashlib, json, os, secrets, sys, time, urllib.error, urllib.request, uuid

GATE, KEY = os.environ["HO_URL"], os.environ.get("HO_KEY", "")
APPROVERS = os.environ["APPROVER_EMAILS"].split(",")

class Refused(Exception):
    """Anything other than an approval of exactly these parameters."""

class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):  # the function key is for the gate only
        return None

def call(path, body=None):
    """The gate's response, and how long to wait before the next call. Every call is safe to repeat, so it is retried."""
    headers = {"content-type": "application/json", "x-functions-key": KEY}
    request = urllib.request.Request(f"{GATE}/api/{path}", body and json.dumps(body).encode(), headers)
    for pause in (1, 2, 4, 8, 16, 30, None):
        try:
            with urllib.request.build_opener(NoRedirects).open(request, timeout=60) as answer:
                return json.load(answer), int(answer.headers.get("retry-after", 1))
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
                raise RuntimeError(f"{error.code}: HO_KEY is missing, invalid or another agent's") from None
            if isinstance(error, urllib.error.HTTPError) and error.code not in (408, 429, 500, 502, 503, 504):
                raise Refused(error.read().decode()) from None  # a problem document: its detail says why
            if pause is None:
                raise
            time.sleep(pause)

def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()

def gated(agent, action, parameters, run):
    """Runs `run(**parameters)` once, if a person approves these parameters; else raises Refused."""
    digest = sha256(json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    state = f"request-{sha256(agent + action + digest)[:16]}.json"  # holds a secret: readable by the owner only
    if not os.path.exists(state):  # saved before the call: after a crash it is still the same request
        with open(os.open(f"{state}.new", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"correlationId": str(uuid.uuid4()), "secret": secrets.token_hex(32)}, file)
        os.replace(f"{state}.new", state)
    saved = json.load(open(state))
    try:
        approval, pause = call("submit", {
            "agentName": agent, "actionDescription": action, "parameters": parameters,
            "approverEmails": APPROVERS, "correlationId": saved["correlationId"],
            "timeoutSeconds": 86_400, "claimant": sha256(saved["secret"])})
        if approval["parametersDigest"] != digest:  # before an approval is used up
            raise Refused("the gate has different parameters")
        while approval["status"] == "Pending":
            time.sleep(pause)
            hold = "?wait=25" if pause <= 1 else ""  # the gate allows it
            approval, pause = call(f"status/{approval['id']}{hold}")
        if approval["status"] not in ("Approved", "Timeout"):  # only the claim makes a Timeout final
            raise Refused(f"{approval['status']} by {approval['approver']}: {approval['comment']}")
        claim = {"nonce": secrets.token_hex(16), "secret": saved["secret"]}  # a fresh one is granted once
        granted, _ = call(f"claim/{approval['id']}", claim)
    except Refused:
        os.remove(state)
        raise
    try:
        if (granted["correlationId"], granted["parametersDigest"], granted["status"]) \
                != (saved["correlationId"], digest, "Approved") or granted["execution"]["status"] != "Executing":
            raise Refused("the response is not an approval of this")
        result, report = run(**parameters), {"status": "Executed"}
    except Exception as error:
        message = "".join(c if c.isprintable() else " " for c in str(error))[:2000]
        result, report = error, {"status": "ExecutionFailed", "error": message}
    try:
        call(f"outcome/{approval['id']}", report | {"secret": saved["secret"]})
    except (OSError, Refused) as error:
        print("the outcome could not be reported:", error, file=sys.stderr)
    os.remove(state)
    if isinstance(result, Exception):
        raise result
    return result

def delete_user(user_id):
    return f"User {user_id} deleted."

if __name__ == "__main__":
    try:
        print(gated("UserManagerAgent", "Delete User Account", {"user_id": sys.argv[1]}, delete_user))
    except Refused as refusal:
        print(f"DENIED: User deletion was not approved. {refusal}")
