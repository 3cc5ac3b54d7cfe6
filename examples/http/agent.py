"""An agent that deletes a user only after a person has approved it, with the standard library alone.

    HO_URL=http://127.0.0.1:7071 APPROVER_EMAILS=approver@example.com python3 agent.py 1
"""
import base64, hashlib, json, os, secrets, sys, time, urllib.error, urllib.parse, urllib.request, uuid

GATE, KEY = os.environ["HO_URL"].rstrip("/").removesuffix("/api"), os.environ.get("HO_KEY", "")
APPROVERS = [address.strip() for address in os.environ["APPROVER_EMAILS"].split(",") if address.strip()]
IS_LOCAL = urllib.parse.urlsplit(GATE).hostname in ("localhost", "127.0.0.1", "::1")
if not IS_LOCAL and not GATE.lower().startswith("https://"):  # the function key must not cross a network in the clear
    sys.exit("HO_URL must begin with https://, unless the gate is on this machine.")

class Refused(Exception):
    """Anything other than an approval of exactly these parameters."""

class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):  # the function key is for the gate only
        return None

PROXIES = [urllib.request.ProxyHandler({})] if IS_LOCAL else []  # no proxy stands before this machine

def call(path, body=None, seconds=60):
    """The gate's response, and how long to wait before the next call. Every call is safe to repeat, so it is retried."""
    end, pause = time.monotonic() + seconds, 1
    headers = {"content-type": "application/json", "x-functions-key": KEY}
    request = urllib.request.Request(f"{GATE}/api/{path}", body and json.dumps(body).encode(), headers)
    while True:
        try:
            with urllib.request.build_opener(NoRedirects, *PROXIES).open(request, timeout=min(60, seconds)) as answer:
                return json.load(answer), int(answer.headers.get("retry-after", 1))
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
                raise RuntimeError(f"{error.code}: HO_KEY is missing, invalid or another agent's") from None
            if isinstance(error, urllib.error.HTTPError) and error.code == 404 and path in ("keys", "submit"):
                raise RuntimeError("404: there is no gate at this address (HO_URL)") from None
            if isinstance(error, urllib.error.HTTPError) and error.code not in (408, 429, 500, 502, 503, 504):
                raise Refused(error.read().decode()) from None  # a problem document: its detail says why
            left = end - time.monotonic()
            if left <= 0:
                raise
            time.sleep(min(pause, left))
            pause *= 2

def check_writable(value):
    """Refuses, before a person is asked, what json.dumps writes otherwise than RFC 8785: other digests approve nothing."""
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > 2**53 - 1):
        raise Refused("a parameter is a fraction or a large number: pass it as a string")
    if isinstance(value, dict) and not all(isinstance(name, str) and name.isascii() for name in value):
        raise Refused("the name of a parameter is not ASCII")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        check_writable(item)

def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()

# Ed25519, of which verifying is enough (RFC 8032, section 5.1).
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def add(one, other):
    (x1, y1), (x2, y2) = one, other
    k = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P

def multiply(factor, point):
    product = 0, 1
    for bit in f"{factor:b}":
        product = add(product, product)
        if bit == "1":
            product = add(product, point)
    return product

def point(encoded):
    y = int.from_bytes(encoded, "little")
    is_odd, y = y >> 255, y % 2**255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if len(encoded) != 32 or y >= P or x * x % P != square or (x == 0 and is_odd):
        raise ValueError("no point of the curve")
    return (x, y) if x % 2 == is_odd else (P - x, y)

BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))

def is_signed(key, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    digest = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little")
    return len(signature) == 64 and s < ORDER and \
        multiply(s, BASE) == add(point(r), multiply(digest % ORDER, point(key)))

def prove(jws, kind, published, expected):
    """The claims of a receipt or permit (`kind`), if the gate signed what is expected, and it is still in time."""
    try:
        header, payload, signature = jws.split(".")
        read = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        head, claims = json.loads(read(header)), json.loads(read(payload))
        wanted = head["kid"], "OKP", "Ed25519"
        [key] = [read(key["x"]) for key in published["keys"] if (key["kid"], key["kty"], key["crv"]) == wanted]
        if (head["alg"], head["typ"]) != ("EdDSA", f"oversight-{kind}+jwt") \
                or not is_signed(key, f"{header}.{payload}".encode(), read(signature)):
            raise Refused(f"the {kind} is not signed by the gate")
        other = [name for name, value in expected.items() if claims.get(name) != value]
        if other or claims["iss"] not in published["issuers"]:
            raise Refused(f"the {kind} is not for this: {other or 'iss'}")
        if not claims["iat"] - 60 <= time.time() < claims["exp"] + 60:  # clocks may differ by a minute
            raise Refused(f"the {kind} is not for now")
        return claims
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Refused(f"the response has no {kind}") from None

def gated(agent, action, parameters, run):
    """Runs `run(**parameters)` once, if a person approves these parameters; else raises Refused."""
    check_writable(parameters)
    digest = sha256(json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    state = f"request-{sha256(agent + action + digest)[:16]}.json"  # holds a secret: readable by the owner only
    if not os.path.exists(state):  # saved before the call: after a crash it is still the same request
        with open(os.open(f"{state}.new", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"correlationId": str(uuid.uuid4()), "secret": secrets.token_hex(32)}, file)
        os.replace(f"{state}.new", state)
    saved = json.load(open(state))
    id = base64.urlsafe_b64encode(agent.encode()).decode().rstrip("=") + "." + saved["correlationId"]
    about = {"sub": id, "aud": agent, "claimant": sha256(saved["secret"]), "parametersDigest": digest}
    def prove_receipt(approval):
        decided = about | {"decision": "Approved", "actionDescription": action}
        approver = prove(approval["receipt"], "receipt", published, decided)["approver"]
        if approver.lower() not in (address.lower() for address in APPROVERS):
            raise Refused("the receipt names a person who is not an approver")
    try:
        published, _ = call("keys", seconds=30)
    except OSError as error:  # the stored request stays: an earlier run may have submitted it
        print("no one was asked: the gate could not be reached:", error, file=sys.stderr)
        raise Refused("No one was asked now, because the gate could not be reached.") from None
    try:
        if not published.get("issuers"):
            raise Refused("the gate makes no permits: upgrade it, and set its HO_ROWS to 2")
        approval, pause = call("submit", {
            "agentName": agent, "actionDescription": action, "parameters": parameters,
            "approverEmails": APPROVERS, "correlationId": saved["correlationId"],
            "timeoutSeconds": 86_400, "claimant": sha256(saved["secret"])})
        if approval["parametersDigest"] != digest:  # before an approval is used up
            raise Refused("the gate has different parameters")
        while approval["status"] == "Pending":
            time.sleep(pause)
            hold = "?wait=25" if pause <= 1 else ""  # the gate allows it
            approval, pause = call(f"status/{id}{hold}")
        if approval["status"] not in ("Approved", "Timeout"):  # only the claim makes a Timeout final
            by, why = approval["approver"], approval["comment"]  # each is None if there is none
            raise Refused(approval["status"] + (f" by {by}" if by else "") + (f": {why}" if why else ""))
        if approval["status"] == "Approved":
            prove_receipt(approval)  # before the approval is used up
        nonce = secrets.token_hex(16)  # fresh and never stored: an answer that was recorded earlier has another
        granted, _ = call(f"claim/{id}", {"nonce": nonce, "secret": saved["secret"]})
    except Refused:
        os.remove(state)
        raise
    try:
        if (granted["correlationId"], granted["parametersDigest"], granted["status"]) \
                != (saved["correlationId"], digest, "Approved") or granted["execution"]["status"] != "Executing":
            raise Refused("the response is not an approval of this")
        prove_receipt(granted)
        prove(granted.get("permit"), "permit", published,
              about | {"jti": nonce, "receiptDigest": sha256(granted["receipt"])})
        result, report = run(**parameters), {"status": "Executed"}
    except Exception as error:
        message = "".join(c if c.isprintable() else " " for c in str(error))[:2000]
        result, report = error, {"status": "ExecutionFailed", "error": message}
    try:
        call(f"outcome/{id}", report | {"secret": saved["secret"]})
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
