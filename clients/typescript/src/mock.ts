// A gate for the tests of agents: no person is asked, a policy of the test decides.
//
//     const mock = new MockGate(() => reject("Not this one."));
//     await mock.gate.scope(() => deleteUser({ user_id: "1" }));
//
// The client is the real one: it waits, verifies signed receipts and permits (each mock has a key of its own), claims and
// reports. Only the network is missing.

import { createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from "node:crypto";
import type { NewCallback } from "./action.js";
import { signCallback } from "./callback.js";
import type { Fetch } from "./client.js";
import { MockError } from "./errors.js";
import { Gate, type GateOptions } from "./gate.js";
import { approvalId } from "./handle.js";
import type { Logger } from "./logs.js";
import { findFaults, isTooLarge, type Fault, type MockRequest } from "./mock-limits.js";
import { checkFunction } from "./options.js";
import { ExactParameters, sha256, toCanonical } from "./parameters.js";
import { PERMIT, RECEIPT } from "./receipts.js";
import { isObject, parseStrict, StrictJsonError, type JsonObject } from "./strict-json.js";

export type { MockRequest } from "./mock-limits.js";

const ISSUER = "https://mock.invalid";
const OPEN_SECONDS = 3600;
const STATUSES: readonly unknown[] = ["Approved", "Rejected", "Timeout", "Paused"];

/** How a mock answers a request: `approve`, `expire`, `pause`, `reject(comment)`, or
 * `askForChanges(question)`. */
export interface Answer {
  readonly status: "Approved" | "Rejected" | "Timeout" | "Paused";
  readonly comment?: string;
  readonly question?: string;
}

/** The first of the approvers approves. */
export const approve: Answer = { status: "Approved" };

/** The request expires without a decision, long before its deadline: the call takes a second. */
export const expire: Answer = { status: "Timeout" };

/** The gate takes no requests: the operator has paused operations. */
export const pause: Answer = { status: "Paused" };

/** The first of the approvers rejects, with this comment. */
export function reject(comment?: string): Answer {
  return { status: "Rejected", ...(comment === undefined ? {} : { comment }) };
}

/** The first of the approvers rejects, and asks for changes in these words. */
export function askForChanges(question: string): Answer {
  return { status: "Rejected", question };
}

/** A call that the gate would make. */
export interface MockCallback {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Stored {
  readonly id: string;
  readonly parametersDigest: string;
  readonly status: string;
  readonly expiresAt: string;
  readonly approver: string | null;
  readonly comment: string | null;
  readonly revise?: { readonly question: string };
  readonly deliverable: string;
  execution: { status: string } | null;
  receipt: string | null;
}

/** A gate without people. What its policy throws ends the call, and the scope of its gate. */
export class MockGate {
  /** The gate, for the agent under test. */
  readonly gate: Gate;
  readonly #failures: unknown[] = [];
  /** The requests that were accepted, in order. */
  readonly requests: MockRequest[] = [];
  readonly #policy: (request: MockRequest) => Answer;
  readonly #key = makeKey();
  readonly #callbackKey = randomBytes(32);
  readonly #approvals = new Map<string, Stored>();
  readonly #nonces = new Map<string, string>();
  readonly #claims = new Map<string, JsonObject>();

  constructor(policy: (request: MockRequest) => Answer = () => approve, logger?: Logger) {
    checkFunction("the policy of a MockGate", policy);
    this.#policy = policy;
    const options = { url: ISSUER, approvers: ["approver@example.com"], logger, fetch: this.fetch };
    this.gate = new MockedGate(options, this.#failures);
  }

  /** The mock in the place of a network, for a `Gate` of the test's own. */
  readonly fetch: Fetch = async (url, init) => {
    try {
      return this.#respond(new URL(String(url)).pathname, init?.body);
    } catch (error) {
      this.#failures.push(error);
      throw new MockError(error);
    }
  };

  /** What became of each request: `Executed`, `ExecutionFailed`, or nothing. */
  get outcomes(): (string | undefined)[] {
    return [...this.#approvals.values()].map(({ execution }) => execution?.status);
  }

  /** The secret of the channels, for `verifyCallback`. */
  get callbackSecret(): string {
    return `whsec_${this.#callbackKey.toString("base64")}`;
  }

  /** The callbacks of those requests that name a channel, in order, signed now. Each call is another delivery of all of
   * them. */
  callbacks(): MockCallback[] {
    return this.requests.flatMap((request) => (request.callback ? [this.#callback(request, request.callback)] : []));
  }

  #callback({ agentName, correlationId }: MockRequest, { state }: NewCallback): MockCallback {
    const status = this.#approvals.get(approvalId(agentName, correlationId))?.status;
    const data = { agentName, correlationId, sequence: 1, status, state };
    const type = status === "Timeout" ? "request.expired" : "request.decided";
    const now = new Date();
    const body = JSON.stringify({ type, timestamp: now.toISOString(), data });
    const [id, sent] = [`${correlationId}-1`, String(Math.floor(now.getTime() / 1000))];
    const signature = signCallback(this.#callbackKey, id, sent, Buffer.from(body));
    return { headers: { "webhook-id": id, "webhook-timestamp": sent, "webhook-signature": signature }, body };
  }

  #respond(path: string, sent: unknown): Response {
    const [, , route, id = ""] = path.split("/");
    let body: unknown;
    try {
      body = typeof sent === "string" ? parseStrict(sent) : {};
    } catch (error) {
      if (!(error instanceof StrictJsonError)) throw error;
      return problem(400, "bad-request", `The body is refused: ${error.message}`);
    }
    if (route === "keys") return Response.json(this.keys);
    if (route === "submit") return this.#submit(body as MockRequest);
    const approval = this.#approvals.get(decodeURIComponent(id));
    if (approval === undefined) return problem(404, "not-found", "The mock has no such request.");
    if (route === "status") return Response.json(approval);
    return this.#change(route, approval, body as { nonce?: string; status: string });
  }

  #submit(request: MockRequest): Response {
    const id = idOf(request);
    if (isTooLarge(request)) return problem(413, "too-large", "The request is larger than the gate takes.");
    const faults = findFaults(request);
    if (faults.length > 0) return problem(422, "invalid", "The gate refuses the request.", faults);
    const { digest } = new ExactParameters(request.parameters);
    const stored = this.#approvals.get(id);
    const isOther = (it: MockRequest) => idOf(it) === id && toCanonical(it) !== toCanonical(request);
    if (this.requests.some(isOther))
      return problem(409, "conflict", "The correlationId is taken by another request for this agent. Use a new one.");
    if (stored) return Response.json(stored, { status: 202 });
    const { supersedes } = request;
    if (supersedes !== undefined && !["Rejected", "Timeout"].includes(this.#approvals.get(supersedes)?.status ?? ""))
      return problem(422, "invalid", "The gate refuses the request.", [
        { pointer: "/supersedes", detail: "must be the id of a request that ended without approval" },
      ]);
    const answer = checkAnswer(this.#policy(request));
    if (answer.status === "Paused") return problem(403, "paused", "The mock is paused.");
    const isDecided = answer.status !== "Timeout";
    const approval: Stored = {
      id,
      parametersDigest: digest,
      status: answer.status,
      expiresAt: new Date(Date.now() + OPEN_SECONDS * 1000).toISOString(),
      approver: (isDecided && request.approverEmails?.[0]) || null,
      comment: answer.comment ?? null,
      ...(answer.question === undefined ? {} : { revise: { question: answer.question } }),
      execution: null,
      deliverable: "ok",
      receipt: null,
    };
    if (isDecided) approval.receipt = this.#receipt(request, approval);
    this.requests.push(request);
    this.#approvals.set(id, approval);
    return Response.json(approval, { status: 202 });
  }

  #change(route: string | undefined, approval: Stored, body: { nonce?: string; status: string }): Response {
    if (route === "claim" && approval.status === "Approved" && approval.execution === null) {
      approval.execution = { status: "Executing" };
      const nonce = body.nonce ?? "";
      this.#nonces.set(approval.id, nonce);
      return Response.json({ ...approval, permit: this.#permit(approval, nonce) });
    }
    if (route === "outcome" && approval.execution) {
      if (body.nonce !== undefined && body.nonce !== this.#nonces.get(approval.id))
        return problem(409, "conflict", "The approval was granted to another claim.");
      approval.execution = { status: body.status };
      return Response.json(approval);
    }
    return problem(409, "conflict", "The request's state does not allow it.");
  }

  #receipt(request: MockRequest, approval: Stored): string {
    const now = Math.floor(Date.now() / 1000);
    const claims: JsonObject = {
      iss: ISSUER,
      aud: request.agentName,
      sub: approval.id,
      iat: now,
      exp: now + OPEN_SECONDS,
      correlationId: request.correlationId,
      actionDescription: request.actionDescription,
      parametersDigest: approval.parametersDigest,
      claimant: request.claimant,
      decision: approval.status,
      approver: approval.approver,
      assurance: "link",
      ...(approval.comment === null ? {} : { commentDigest: sha256(approval.comment) }),
    };
    this.#claims.set(approval.id, claims);
    return this.#sign(RECEIPT, claims);
  }

  #permit({ id, receipt }: Stored, nonce: string): string {
    const { iss, aud, sub, claimant, parametersDigest, iat, exp } = this.#claims.get(id) ?? {};
    const claims = { iss, aud, sub, claimant, parametersDigest, iat, exp };
    return this.#sign(PERMIT, { ...claims, jti: nonce, receiptDigest: sha256(receipt ?? "") });
  }

  #sign(typ: string, claims: object): string {
    const parts = [{ alg: "EdDSA", kid: "mock", typ }, claims];
    const signed = parts.map((part) => Buffer.from(toCanonical(part)).toString("base64url")).join(".");
    return `${signed}.${sign(null, Buffer.from(signed), this.#key).toString("base64url")}`;
  }

  /** What the gate publishes, to verify a proof with. */
  get keys(): { keys: unknown[]; issuers: string[] } {
    return { keys: [{ ...createPublicKey(this.#key).export({ format: "jwk" }), kid: "mock" }], issuers: [ISSUER] };
  }
}

/** Throws what the policy threw: in the call, and again at the end of its scope, since many frameworks make a text for
 * the model of what a tool throws. */
class MockedGate extends Gate {
  readonly #failures: unknown[];

  constructor(options: GateOptions, failures: unknown[]) {
    super(options);
    this.#failures = failures;
  }

  override scope<T>(within: () => T): T {
    const outcome = super.scope(within);
    if (outcome instanceof Promise) return outcome.then((it: unknown) => this.#unlessFailed(it)) as T;
    return this.#unlessFailed(outcome);
  }

  #unlessFailed<T>(outcome: T): T {
    const [failed] = this.#failures.splice(0);
    if (failed === undefined) return outcome;
    throw failed;
  }
}

function idOf({ agentName, correlationId }: MockRequest): string {
  return approvalId(agentName, correlationId);
}

/** What comes before the 32 bytes of a private key of Ed25519 in PKCS #8 (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** Node hangs if the job of its `generateKeyPairSync` is collected as garbage while the key is exported: both lock it. */
function makeKey(): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, randomBytes(32)]), format: "der", type: "pkcs8" });
}

/** For policies without types, and those that await. */
function checkAnswer(answer: unknown): Answer {
  const { status, comment = "", question = "" } = isObject(answer) ? answer : {};
  if (STATUSES.includes(status) && typeof comment === "string" && typeof question === "string") return answer as Answer;
  throw new TypeError(
    "the policy of a MockGate must return approve, expire, pause, reject(comment) or askForChanges(question), and not " +
      "later",
  );
}

function problem(status: number, kind: string, detail: string, errors: Fault[] = []): Response {
  const type = `urn:human-oversight:problem:${kind}`;
  return Response.json({ type, title: "Refused by the mock", status, detail, errors }, { status });
}
