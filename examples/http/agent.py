"""An agent that deletes a user only after a person has approved it, with the standard library alone.

    HO_URL=http://127.0.0.1:7071 APPROVER_EMAILS=approver@example.com python3 agent.py 1
"""
import base64, hashlib, http.client, json, os, secrets, sys, time, urllib.error, urllib.parse, urllib.request, uuid

GATE, KEY = os.environ["HO_URL"].rstrip("/").removesuffix("/api"), os.environ.get("HO_KEY", "")
APPROVERS = [address.strip() for address in os.environ["APPROVER_EMAILS"].split(",") if address.strip()]
IS_LOCAL = urllib.parse.urlsplit(GATE).hostname in ("localhost", "127.0.0.1", "::1")
if not IS_LOCAL and not GATE.lower().startswith("https://"):  # the function key must not cross a network in the clear
    sys.exit("HO_URL must begin with https://, unless the gate is on this machine.")

class Refused(Exception):
    """Anything other than an approval of exactly these parameters."""

class NotNow(Refused):
    """The request stays as it is, and so does its stored file: a later call with the same arguments goes on with it."""

class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):  # the function key is for the gate only
        return None

PROXIES = [urllib.request.ProxyHandler({})] if IS_LOCAL else []  # no proxy stands before this machine

def read_problem(error):
    """The type and detail of the gate's problem document; what stands before the gate may answer with another text."""
    try:
        problem = json.load(error)
        return problem["type"].removeprefix("urn:human-oversight:problem:"), problem["detail"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, http.client.HTTPException):
        return "", f"The gate answered {error.code}."

def call(path, body=None, seconds=60):
    """The gate's response, and how long to wait before the next call. Every call is safe to repeat, so it is retried."""
    end, pause = time.monotonic() + seconds, 1
    headers = {"content-type": "application/json", "x-functions-key": KEY}
    request = urllib.request.Request(f"{GATE}/api/{path}", body and json.dumps(body).encode(), headers)
    while True:
        try:
            with urllib.request.build_opener(NoRedirects, *PROXIES).open(request, timeout=min(60, seconds)) as answer:
                after = answer.headers.get("retry-after", "")
                return json.load(answer), int(after) or 1 if after.isdecimal() else 1
        except urllib.error.HTTPError as error:
            kind, why = read_problem(error)
            if kind in ("paused", "approver_not_allowed", "too-many", "budget"):  # a later call may pass
                raise NotNow(why) from None
            if error.code in (401, 403):
                raise RuntimeError(why if kind else f"{error.code}: HO_KEY is missing or invalid") from None
            if error.code == 404 and path in ("keys", "submit"):
                raise RuntimeError("404: there is no gate at this address (HO_URL)") from None
            if kind == "integrity" or error.code not in (408, 429, 500, 502, 503, 504):
                raise Refused(why) from None
        except (OSError, ValueError, http.client.HTTPException) as error:  # cut off, or no JSON
            why = f"The gate could not be reached: {error}."
        left = end - time.monotonic()
        if left <= 0:
            raise NotNow(why)
        time.sleep(min(pause, left))
        pause = min(2 * pause, 30)

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

def multiply(factor, point, add=add, zero=(0, 1)):
    product = zero
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

def is_signed_eddsa(key, message, signature):
    key, r, s = read_bytes(key["x"]), signature[:32], int.from_bytes(signature[32:], "little")
    digest = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little")
    return len(signature) == 64 and s < ORDER and \
        multiply(s, BASE) == add(point(r), multiply(digest % ORDER, point(key)))

# P-256 (SP 800-186, section 3.2.1.3) with ECDSA (FIPS 186-5, section 6.4.2).
P2 = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER2 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
B2 = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b
BASE2 = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
         0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)

def add2(one, other):
    if one is None or other is None:  # the point at infinity
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P2 == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P2) if one == other else (y2 - y1) * pow(x2 - x1, -1, P2)
    x = (slope * slope - x1 - x2) % P2
    return x, (slope * (x1 - x) - y1) % P2

def is_signed_es256(key, message, signature):
    parts = read_bytes(key["x"]), read_bytes(key["y"]), signature[:32], signature[32:]
    x, y, r, s = (int.from_bytes(part, "big") for part in parts)
    if [len(part) for part in parts] != [32] * 4 or max(x, y) >= P2 or (y * y - x**3 + 3 * x - B2) % P2 \
            or not (0 < r < ORDER2 and 0 < s < ORDER2):
        return False
    digest, inverse = int.from_bytes(hashlib.sha256(message).digest(), "big"), pow(s, -1, ORDER2)
    sum2 = add2(multiply(digest * inverse % ORDER2, BASE2, add2, None), multiply(r * inverse % ORDER2, (x, y), add2, None))
    return sum2 is not None and sum2[0] % ORDER2 == r

ALGORITHMS = {("OKP", "Ed25519"): ("EdDSA", is_signed_eddsa), ("EC", "P-256"): ("ES256", is_signed_es256)}

def read_bytes(part):
    read = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(read).decode().rstrip("=") != part:
        raise ValueError("not base64url as RFC 7515 has it")
    return read

def read_json(part):
    text = read_bytes(part).decode()
    value = json.loads(text)
    if json.dumps(value, separators=(",", ":"), ensure_ascii=False) != text:  # such as a name that is there twice
        raise ValueError("not as the gate writes it")
    return value

def prove(jws, kind, published, expected):
    """The claims of a receipt or permit (`kind`), if the gate signed what is expected, and it is still in time."""
    try:
        header, payload, signature = jws.split(".")
        head, claims = read_json(header), read_json(payload)
        [key] = [key for key in published["keys"] if key["kid"] == head["kid"]]
        alg, is_signed = ALGORITHMS[key["kty"], key["crv"]]  # the key's type decides, never the header
        if head != {"alg": alg, "kid": head["kid"], "typ": f"oversight-{kind}+jwt"} \
                or not is_signed(key, f"{header}.{payload}".encode(), read_bytes(signature)):
            raise Refused(f"the {kind} is not signed by the gate")
        nbf, exp = ([key[name]] if key.get(name) is not None else [] for name in ("nbf", "exp"))
        if key.get("revoked", False) is not False or any(type(limit) is not int for limit in nbf + exp) \
                or any(claims["iat"] < limit for limit in nbf) or any(claims["iat"] >= limit for limit in exp):
            raise Refused(f"the key of the {kind} was not in force, or is revoked")
        other = [name for name, value in expected.items() if claims.get(name) != value]
        if other or claims["iss"] not in published["issuers"]:
            raise Refused(f"the {kind} is not for this: {other or 'iss'}")
        if kind == "receipt" and claims["assurance"] not in ("link", "entra", "policy", "grant"):  # the link alone rejects
            raise Refused("the receipt does not say who approved")
        if not type(claims["iat"]) is type(claims["exp"]) is int:
            raise ValueError("a time is not in whole seconds")
        if not claims["iat"] - 60 <= time.time() < claims["exp"] + 60:  # clocks may differ by a minute
            raise Refused(f"the {kind} is not for now")
        return claims
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Refused(f"the response has no {kind}") from None

def load_request(path):
    """Id and secret of the request, stored before the first call: after a crash it is still the same request. Calls with
    the same arguments at the same time share it: one of them gets the permit."""
    while True:
        try:
            with open(path) as file:
                return json.load(file)
        except FileNotFoundError:
            fresh = f"{path}.{uuid.uuid4()}"  # holds a secret: readable by the owner only
            with open(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
                json.dump({"correlationId": str(uuid.uuid4()), "secret": secrets.token_hex(32)}, file)
            try:
                os.link(fresh, path)  # unless another call was first
            except FileExistsError:
                pass
            os.remove(fresh)

def forget_request(path, saved):
    try:
        with open(path) as file:
            is_ours = json.load(file) == saved  # not of a call that came later
        if is_ours:
            os.remove(path)
    except FileNotFoundError:  # another call of this request was first
        pass

def gated(agent, action, parameters, run):
    """Runs `run(**parameters)` once, if a person approves these parameters; else raises Refused."""
    check_writable(parameters)
    digest = sha256(json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    state = f"request-{sha256(agent + action + digest)[:16]}.json"
    saved = load_request(state)
    id = base64.urlsafe_b64encode(agent.encode()).decode().rstrip("=") + "." + saved["correlationId"]
    about = {"sub": id, "aud": agent, "claimant": sha256(saved["secret"]), "parametersDigest": digest}
    def prove_receipt(approval):
        decided = about | {"decision": "Approved", "actionDescription": action}
        claims = prove(approval["receipt"], "receipt", published, decided)
        person = claims["approver"]
        for step in reversed(claims.get("handedOver", [])):  # who handed the place over, back to its first person
            person = step["from"] if step["to"] == person else person
        is_named = person.lower() in (address.lower() for address in APPROVERS)
        if not is_named and not claims.get("policy"):  # by which the operator says who must agree
            raise Refused("the receipt names a person who is not an approver")
    try:
        published, _ = call("keys", seconds=30)
    except NotNow as error:  # an earlier run may have submitted the request
        print("no one was asked:", error, file=sys.stderr)
        raise NotNow("No one was asked now, because the gate could not be reached.") from None
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
            approval, pause = call(f"status/{id}{hold}", seconds=86_400)  # an outage does not end the wait
        if approval["status"] not in ("Approved", "Timeout"):  # only the claim makes a Timeout final
            by, why = approval["approver"], approval["comment"]  # each is None if there is none
            raise Refused(approval["status"] + (f" by {by}" if by else "") + (f": {why}" if why else ""))
        published, _ = call("keys")  # again: a key may have been replaced while people decided
        if approval["status"] == "Approved":
            prove_receipt(approval)  # before the approval is used up
        nonce = secrets.token_hex(16)  # fresh and never stored: an answer that was recorded earlier has another
        granted, _ = call(f"claim/{id}", {"nonce": nonce, "secret": saved["secret"]})
    except NotNow:
        raise
    except Refused:
        forget_request(state, saved)
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
    except (Refused, RuntimeError) as error:
        print("the outcome could not be reported:", error, file=sys.stderr)
    forget_request(state, saved)
    if isinstance(result, Exception):
        raise result
    return result

def delete_user(user_id):
    return f"User {user_id} deleted."

if __name__ == "__main__":
    try:
        print(gated("UserManagerAgent", "Delete User Account", {"user_id": sys.argv[1]}, delete_user))
    except Refused as refusal:
        print(f"DENIED: This call deleted no user. {refusal}")
