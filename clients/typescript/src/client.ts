// The gate's HTTP interface, one method for each route. No method retries; all are safe to retry.

import { parseGate } from "./address.js";
import { readApproval, type Approval } from "./approval.js";
import type { Tokens } from "./entra.js";
import {
  GateError,
  InvalidResponseError,
  MockError,
  ProblemError,
  SettingsError,
  TlsError,
  UnavailableError,
  UnreachableError,
} from "./errors.js";
import { toCanonical } from "./parameters.js";
import { parseStrict, StrictJsonError, type Json, type JsonObject } from "./strict-json.js";
import type { components } from "./wire.js";

type Wire = components["schemas"];
type Optional<T, Name extends keyof T> = Omit<T, Name> & { [N in Name]?: T[N] | undefined };

/** What is submitted. Where the operator's policy names the approvers, they may be left out. */
export type NewApproval = Optional<Omit<Wire["NewApproval"], "parameters">, "approverEmails"> & {
  parameters: JsonObject;
};

/** What is sent to each function about a request. */
export interface Bodies {
  readonly claim: Wire["Claim"];
  readonly outcome: Wire["Report"];
  readonly withdraw: Wire["Withdrawal"];
}

/** The time for a response, in addition to the requested wait. */
const RESPONSE_SECONDS = 30;
/** The time for the keys, which no mail server and no person delays. */
const KEYS_SECONDS = 10;
const MAX_RETRY_AFTER = 900;
const MAX_RESPONSE_BYTES = 256 * 1024;

/** Problems that a retry does not mend, in spite of their status. */
const FINAL_KINDS = ["integrity", "too-many", "budget"];

/** Codes of connections that never were. */
const NOT_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/;
const TLS = /^(CERT_|DEPTH_ZERO_|ERR_SSL_|ERR_TLS_|HOSTNAME_MISMATCH|INVALID_|SELF_SIGNED_|UNABLE_TO_|EPROTO$)/;

const NO_KEYS =
  "the gate does not take requests with a function key (404 Not Found): if it takes identities of Entra alone, " +
  "HO_AUDIENCE must name its app registration, and HO_KEY must not be set";

export type Fetch = typeof globalThis.fetch;

interface Call {
  readonly path: string;
  readonly body?: object;
  readonly seconds?: number;
  readonly signal?: AbortSignal | undefined;
  /** No gate has accepted a request so far. */
  readonly isFirst?: boolean;
}

interface Answer {
  readonly json: Json;
  readonly retryAfter: number | undefined;
}

export interface ClientOptions {
  readonly url: string;
  readonly key?: string | undefined;
  readonly tokens?: Tokens | undefined;
  readonly fetch?: Fetch | undefined;
}

/** Calls of one gate. */
export class Client {
  readonly base: string;
  readonly #headers: { [name: string]: string } = { "content-type": "application/json" };
  readonly #tokens: Tokens | undefined;
  readonly #fetch: Fetch;

  constructor({ url, key, tokens, fetch }: ClientOptions) {
    this.base = parseGate(url);
    this.#tokens = tokens;
    const trimmed = key?.trim();
    if (trimmed) {
      if (!/^[\x20-\x7e]+$/.test(trimmed)) throw new SettingsError("the Functions key has invalid characters");
      this.#headers["x-functions-key"] = trimmed;
    }
    this.#fetch = fetch ?? ((input, init) => globalThis.fetch(input, init));
  }

  /** `GET /api/keys`: the public keys of receipts and permits, and the addresses that sign. */
  async keys(signal?: AbortSignal): Promise<Json> {
    return (await this.#call({ path: "keys", seconds: KEYS_SECONDS, signal, isFirst: true })).json;
  }

  /** `POST /api/submit`: submits a request. */
  async submit(request: NewApproval): Promise<Approval> {
    return readApproval((await this.#call({ path: "submit", body: request, isFirst: true })).json);
  }

  /** `GET /api/status/{id}`: the request's state, after up to `wait` seconds (at most 100) for a change. `isFirst` if no
   * gate has accepted a request so far. */
  async status(
    id: string,
    wait = 0,
    signal?: AbortSignal,
    isFirst = false,
  ): Promise<{ approval: Approval; retryAfter: number | undefined }> {
    const path = `status/${encodeURIComponent(id)}${wait > 0 ? `?wait=${wait}` : ""}`;
    const { json, retryAfter } = await this.#call({ path, seconds: wait + RESPONSE_SECONDS, signal, isFirst });
    return { approval: readApproval(json), retryAfter };
  }

  /** `POST /api/claim/{id}`, `outcome` or `withdraw`. */
  async post<F extends keyof Bodies>(path: F, id: string, body: Bodies[F]): Promise<Approval> {
    return readApproval((await this.#call({ path: `${path}/${encodeURIComponent(id)}`, body })).json);
  }

  async #call({ path, body, seconds = RESPONSE_SECONDS, signal, isFirst = false }: Call): Promise<Answer> {
    const isOfIdentity = this.#tokens !== undefined && path !== "keys"; // which anyone reads
    const headers = isOfIdentity
      ? { ...this.#headers, authorization: `Bearer ${await this.#tokens.get()}` }
      : this.#headers;
    const routes = isOfIdentity ? "api/agent" : "api";
    const timeout = AbortSignal.timeout(seconds * 1000);
    const request: RequestInit = {
      // As it is digested.
      ...(body ? { method: "POST", body: toCanonical(body) } : {}),
      headers,
      redirect: "manual", // the key is for the gate alone
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    };
    let response: Response;
    let content: Uint8Array;
    try {
      response = await this.#fetch(`${this.base}/${routes}/${path}`, request);
      content = await readBody(response);
    } catch (error) {
      if (error instanceof MockError) throw error.thrown;
      signal?.throwIfAborted();
      throw timeout.aborted ? new UnreachableError("no response in time", true) : fromTransport(error);
    }
    try {
      return readAnswer(response.status, content, { path, isFirst }, readRetryAfter(response));
    } catch (error) {
      if (this.#tokens === undefined || !(error instanceof SettingsError)) throw error;
      throw new SettingsError(
        "the gate is not at this address (HO_URL), takes no identity of Entra (its HO_AGENT_IDENTITY), or its platform " +
          "does not accept the access token (HO_AUDIENCE)",
      );
    }
  }
}

async function readBody(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > MAX_RESPONSE_BYTES) throw new InvalidResponseError(`more than ${MAX_RESPONSE_BYTES / 1024} KiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readAnswer(status: number, body: Uint8Array, call: Call, retryAfter: number | undefined): Answer {
  const isSuccess = status >= 200 && status < 300;
  try {
    const json = parseStrict(body);
    if (isSuccess) return { json, retryAfter };
    throw fromStatus(status, ProblemError.parse(json), call, retryAfter);
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    if (isSuccess) throw new InvalidResponseError(`status ${status}, ${error.message}`);
    throw fromStatus(status, undefined, call, retryAfter);
  }
}

function fromStatus(
  status: number,
  problem: ProblemError | undefined,
  { path, isFirst = false }: Call,
  retryAfter: number | undefined,
): GateError {
  const isFinal = FINAL_KINDS.some((kind) => problem?.says(kind));
  if ((status === 408 || status === 429 || status >= 500) && !isFinal) return new UnavailableError(status, retryAfter);
  // The calls that come first find a wrong address or key. Later, such an answer is from what stands before the gate.
  const isRoute = path === "keys" || path === "submit"; // which every gate has
  if (isFirst && status === 401)
    return new SettingsError("the gate's host does not accept the Functions key: HO_KEY is missing or wrong");
  if (status === 404 && path === "submit" && problem !== undefined) return new SettingsError(NO_KEYS);
  if (status === 404 && (isRoute || (isFirst && problem === undefined)))
    return new SettingsError("there is no gate at this address (HO_URL): the answer is 404 Not Found");
  return problem ?? new InvalidResponseError(`status ${status} without a problem document`);
}

/** A failure of `fetch`, whose cause has a code, perhaps deep inside. */
function fromTransport(error: unknown): GateError {
  if (error instanceof GateError) return error;
  let why = String(error);
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = "code" in cause ? String(cause.code) : "";
    why = cause.message.includes(code) ? cause.message : `${code} ${cause.message}`.trim();
    if (code.startsWith("Z_")) return new InvalidResponseError(`it cannot be decoded: ${why}`);
    if (TLS.test(code)) return new TlsError(why);
    if (code !== "") return new UnreachableError(why, !NOT_SENT.test(code));
  }
  return new UnreachableError(why, true);
}

/** None as well for 0: the pauses of the client keep it from calling without end. */
function readRetryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after") ?? "";
  return /^\d+$/.test(text) ? Math.min(Number(text), MAX_RETRY_AFTER) || undefined : undefined;
}
