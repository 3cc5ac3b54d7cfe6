// An agent that deletes a user only after a person has approved it, with Node alone.
//
//     HO_URL=http://127.0.0.1:7071 APPROVER_EMAILS=approver@example.com node agent.ts 1
import { createHash, createPublicKey, randomBytes, randomUUID, verify, type JsonWebKey } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const { HO_URL = "", HO_KEY: key = "", APPROVER_EMAILS = "" } = process.env;
const gate = HO_URL.replace(/\/+$/, "").replace(/\/api$/, "");
const approvers = APPROVER_EMAILS.split(",").map((address) => address.trim()).filter(Boolean);

const { protocol, hostname } = new URL(gate);
if (protocol !== "https:" && !["localhost", "127.0.0.1", "[::1]"].includes(hostname))
  throw new Error("HO_URL must begin with https://, unless the gate is on this machine."); // the key stays secret

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
type Approval = {
  id: string; status: string; approver: string | null; comment: string | null;
  execution: { status: string } | null; receipt: string | null; permit?: string;
};
type Jwk = JsonWebKey & { kid: string; nbf?: number | null; exp?: number | null; revoked?: boolean };
type Published = { keys: Jwk[]; issuers?: string[] };
type Claims = { [claim: string]: unknown };

/** Anything other than an approval of exactly these parameters. */
class Refused extends Error {}

/** The request stays as it is, and so does its stored file: a later call with the same arguments goes on with it. */
class NotNow extends Refused {}

/** The settings are wrong, so nothing was submitted. */
class Misconfigured extends Error {}

/** The type and detail of the gate's problem document; what stands before the gate may answer with another text. */
function readProblem(status: number, text: string): { kind: string; why: string } {
  try {
    const { type, detail } = JSON.parse(text);
    return { kind: String(type).replace("urn:human-oversight:problem:", ""), why: String(detail ?? text) };
  } catch {
    return { kind: "", why: `The gate answered ${status}.` };
  }
}

/** The gate's response, and how long to wait before the next call. Every call is safe to repeat, so it is retried. */
async function call<T = Approval>(path: string, body?: Json, seconds = 60): Promise<[T, number]> {
  const end = Date.now() + seconds * 1000;
  for (let pause = 1; ; pause = Math.min(2 * pause, 30)) {
    let why: string;
    try {
      const answer = await fetch(`${gate}/api/${path}`, {
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
        headers: { "content-type": "application/json", "x-functions-key": key },
        redirect: "error", // the function key is for the gate only
        signal: AbortSignal.timeout(Math.min(60, seconds) * 1000),
      });
      const text = await answer.text();
      if (answer.ok) return [JSON.parse(text) as T, Number(answer.headers.get("retry-after")) || 1];
      const problem = readProblem(answer.status, text);
      if (["paused", "approver_not_allowed", "too-many", "budget"].includes(problem.kind)) // a later call may pass
        throw new NotNow(problem.why);
      if ([401, 403].includes(answer.status))
        throw new Misconfigured(problem.kind ? problem.why : `${answer.status}: HO_KEY is missing or invalid`);
      if (answer.status === 404 && ["keys", "submit"].includes(path))
        throw new Misconfigured("404: there is no gate at this address (HO_URL)");
      if (problem.kind === "integrity" || ![408, 429, 500, 502, 503, 504].includes(answer.status))
        throw new Refused(problem.why);
      why = problem.why;
    } catch (error) {
      if (error instanceof Refused || error instanceof Misconfigured) throw error;
      why = `The gate could not be reached: ${error}.`;
    }
    const left = end - Date.now();
    if (left <= 0) throw new NotNow(why);
    await sleep(Math.min(pause * 1000, left));
  }
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** RFC 8785: the canonical text, whose SHA-256 people approve. */
function canonical(value: Json): string {
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)))
    throw new Refused("JSON cannot represent this number");
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name]!)}`).join(",")}}`;
}

const base64url = (part: string) => {
  const read = Buffer.from(part, "base64url");
  if (read.toString("base64url") !== part) throw new Refused("not base64url as RFC 7515 has it");
  return read;
};

function readJson(part: string) {
  const text = base64url(part).toString();
  const value = JSON.parse(text || "{}");
  if (text && JSON.stringify(value) !== text) throw new Refused("not as the gate writes it"); // such as a name twice
  return value;
}

const ALGORITHMS: { [type: string]: [alg: string, hash: string | null] } = {
  "OKP Ed25519": ["EdDSA", null],
  "EC P-256": ["ES256", "sha256"],
};

/** What the gate signed as a receipt or permit, if it says what is expected, and is still in time. */
function prove(
  jws: string | null | undefined, kind: "receipt" | "permit", published: Published, expected: Claims,
): Claims {
  const [header = "", payload = "", signature = "", ...more] = (jws ?? "").split(".");
  const { alg, typ, kid, ...others } = readJson(header);
  const named = published.keys.filter((one) => one.kid === kid);
  const jwk = named.length === 1 ? named[0] : undefined; // a name of two keys names neither
  const [algorithm, hash] = ALGORITHMS[`${jwk?.kty} ${jwk?.crv}`] ?? []; // the key's type decides, never the header
  const rest = Object.keys(others).length + more.length;
  const known = jwk && algorithm && alg === algorithm && typ === `oversight-${kind}+jwt` && rest === 0;
  const signed = Buffer.from(`${header}.${payload}`);
  const bytes = base64url(signature);
  const key = known && { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" as const };
  if (!key || !verify(hash, signed, key, bytes)) throw new Refused(`the ${kind} is not signed by the gate`);
  const claims: Claims = readJson(payload);
  const [nbf, exp] = [jwk.nbf ?? 0, jwk.exp ?? Number.MAX_SAFE_INTEGER];
  const { revoked = false } = jwk;
  if (revoked !== false || ![nbf, exp].every(Number.isSafeInteger)
    || !(nbf <= Number(claims.iat) && Number(claims.iat) < exp))
    throw new Refused(`the key of the ${kind} was not in force, or is revoked`);
  const other = Object.keys(expected).filter((name) => claims[name] !== expected[name]);
  if (other.length > 0 || !published.issuers?.includes(String(claims.iss)))
    throw new Refused(`the ${kind} is not for this: ${other.join(", ") || "iss"}`);
  if (kind === "receipt" && !["link", "entra", "policy", "grant"].includes(String(claims.assurance))) // the link alone rejects
    throw new Refused("the receipt does not say who approved");
  if (!Number.isSafeInteger(claims.iat) || !Number.isSafeInteger(claims.exp))
    throw new Refused("a time is not in whole seconds");
  const now = Date.now() / 1000; // clocks may differ by a minute
  if (!(Number(claims.iat) - 60 <= now && now < Number(claims.exp) + 60))
    throw new Refused(`the ${kind} is not for now`);
  return claims;
}

type Saved = { correlationId: string; secret: string };

const isError = (error: unknown, code: string) => error instanceof Error && "code" in error && error.code === code;

/** Id and secret of the request, stored before the first call: after a crash it is still the same request. Calls with
 * the same arguments at the same time share it: one of them gets the permit. */
function loadRequest(path: string): Saved {
  for (;;) {
    try {
      return JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
      if (!isError(error, "ENOENT")) throw error;
    }
    const fresh = `${path}.${randomUUID()}`; // holds a secret: readable by the owner only
    const made: Saved = { correlationId: randomUUID(), secret: randomBytes(32).toString("hex") };
    writeFileSync(fresh, JSON.stringify(made), { mode: 0o600, flag: "wx" });
    try {
      linkSync(fresh, path); // unless another call was first
    } catch (error) {
      if (!isError(error, "EEXIST")) throw error;
    } finally {
      rmSync(fresh);
    }
  }
}

function forgetRequest(path: string, { correlationId }: Saved) {
  try {
    const stored: Saved = JSON.parse(readFileSync(path, "utf8"));
    if (stored.correlationId === correlationId) rmSync(path, { force: true }); // not of a call that came later
  } catch (error) {
    if (!isError(error, "ENOENT")) throw error; // another call of this request was first
  }
}

/** Runs `run(parameters)` once, if a person approves these parameters; else throws Refused. */
async function gated<P extends { [name: string]: Json }, T>(
  agent: string, action: string, parameters: P, run: (parameters: P) => T | Promise<T>,
): Promise<T> {
  const digest = sha256(canonical(parameters));
  const state = `request-${sha256(agent + action + digest).slice(0, 16)}.json`;
  const saved = loadRequest(state);
  const { correlationId, secret } = saved;
  const id = `${Buffer.from(agent).toString("base64url")}.${correlationId}`;
  const about = { sub: id, aud: agent, claimant: sha256(secret), parametersDigest: digest };
  const nonce = randomBytes(16).toString("hex"); // fresh and never stored: a recorded answer has another
  let granted: Approval, published: Published;
  const proveReceipt = ({ receipt }: Approval) => {
    const decided = { ...about, decision: "Approved", actionDescription: action };
    const { approver, policy, handedOver } = prove(receipt, "receipt", published, decided);
    let person = String(approver);
    const steps = (handedOver ?? []) as unknown as { from: string; to: string }[];
    for (const { from, to } of steps.reverse()) // who handed the place over, back to its first person
      if (to === person) person = from;
    const isNamed = approvers.some((address) => address.toLowerCase() === person.toLowerCase());
    if (!isNamed && !policy) // by which the operator says who must agree
      throw new Refused("the receipt names a person who is not an approver");
  };
  try {
    [published] = await call<Published>("keys", undefined, 30);
  } catch (error) { // an earlier run may have submitted the request
    if (!(error instanceof NotNow)) throw error;
    console.error(`no one was asked: ${error.message}`);
    throw new NotNow("No one was asked now, because the gate could not be reached.");
  }
  try {
    if (!published.issuers) throw new Refused("the gate makes no permits: upgrade it, and set its HO_ROWS to 2");
    let [approval, pause] = await call("submit", {
      agentName: agent, actionDescription: action, parameters, approverEmails: approvers,
      correlationId, timeoutSeconds: 86_400, claimant: sha256(secret),
    });
    while (approval.status === "Pending") {
      await sleep(pause * 1000);
      const hold = pause <= 1 ? "?wait=25" : ""; // the gate allows it
      [approval, pause] = await call(`status/${id}${hold}`, undefined, 86_400); // an outage does not end the wait
    }
    if (!["Approved", "Timeout"].includes(approval.status)) // only the claim makes a Timeout final
      throw new Refused([approval.status, approval.approver && ` by ${approval.approver}`,
        approval.comment && `: ${approval.comment}`].filter(Boolean).join("")); // both are null if there are none
    [published] = await call<Published>("keys"); // again: a key may have been replaced while people decided
    if (approval.status === "Approved") proveReceipt(approval); // before the approval is used up
    [granted] = await call(`claim/${id}`, { nonce, secret });
  } catch (error) {
    if (error instanceof Refused && !(error instanceof NotNow)) forgetRequest(state, saved);
    throw error;
  }
  let end: () => T, report: { [name: string]: Json };
  try {
    const approved = granted.id === id && granted.status === "Approved" && granted.execution?.status === "Executing";
    if (!approved) throw new Refused("the response is not an approval of this");
    proveReceipt(granted);
    prove(granted.permit, "permit", published, { ...about, jti: nonce, receiptDigest: sha256(granted.receipt ?? "") });
    const result = await run(parameters);
    [end, report] = [() => result, { status: "Executed" }];
  } catch (error) {
    const message = [...String(error).replace(/\p{C}/gu, " ")].slice(0, 2000).join("");
    [end, report] = [() => { throw error; }, { status: "ExecutionFailed", error: message }];
  }
  await call(`outcome/${id}`, { ...report, secret })
    .catch((error) => console.error("the outcome could not be reported:", error));
  forgetRequest(state, saved);
  return end();
}

const deleteUser = ({ user_id }: { user_id: string }) => `User ${user_id} deleted.`;

gated("UserManagerAgent", "Delete User Account", { user_id: process.argv[2] ?? "" }, deleteUser)
  .then(console.log, (error) => {
    if (!(error instanceof Refused)) throw error;
    console.log(`DENIED: This call deleted no user. ${error.message}`);
  });
