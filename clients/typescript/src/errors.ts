// Why a call to the gate gave no usable response.

import { isObject } from "./strict-json.js";

/** A call to the gate gave no usable response. A gated function makes a refusal of it. */
export class GateError extends Error {
  /** Whether the same call may succeed later. */
  readonly isTransient: boolean = false;
  /** Whether the gate may have accepted the call. */
  readonly mayBeAccepted: boolean = false;
  /** For how many seconds the gate asks to wait. */
  readonly retryAfter: number | undefined = undefined;
}

/** The gate refused the call, and says why (RFC 9457). */
export class ProblemError extends GateError {
  override readonly name = "ProblemError";

  constructor(
    readonly status: number,
    readonly kind: string,
    readonly detail: string,
    readonly errors: readonly { pointer: string; detail: string }[],
    title: string,
  ) {
    super(`${title}: ${detail} (${status})`);
  }

  /** Reads a problem document; `undefined` if it is none. */
  static parse(problem: unknown): ProblemError | undefined {
    if (!isObject(problem)) return undefined;
    const { type, title, status, detail, errors = [] } = problem;
    if (typeof type !== "string" || typeof title !== "string" || typeof detail !== "string") return undefined;
    if (typeof status !== "number" || !Array.isArray(errors)) return undefined;
    const members = (errors as unknown[]).map((it) => (isObject(it) ? it : {}));
    const fields = members.map((it) => ({ pointer: String(it["pointer"]), detail: String(it["detail"]) }));
    return new ProblemError(status, type, detail, fields, title);
  }

  /** Whether the problem is of this kind, the last part of its URI. */
  says(kind: string): boolean {
    return this.kind.endsWith(`:${kind}`);
  }
}

/** The gate could not be reached, or the connection broke. */
export class UnreachableError extends GateError {
  override readonly name = "UnreachableError";
  override readonly isTransient = true;

  constructor(
    why: string,
    override readonly mayBeAccepted: boolean,
  ) {
    super(`the gate could not be reached: ${why}`);
  }
}

/** No TLS connection could be made: the gate's certificate is not accepted, for example. */
export class TlsError extends GateError {
  override readonly name = "TlsError";
  override readonly isTransient = true;

  constructor(why: string) {
    super(
      "no TLS connection to the gate: if a private authority has signed its certificate, NODE_EXTRA_CA_CERTS must " +
        `name the file with the authority's when Node starts: ${why}`,
    );
  }
}

/** No access token could be obtained for the gate: a setting is wrong, or the identity service is not available. */
export class NoTokenError extends GateError {
  override readonly name = "NoTokenError";
  override readonly isTransient = true;

  constructor(why: string) {
    super(`no access token could be obtained: ${why}`);
  }
}

/** The gate cannot respond now. */
export class UnavailableError extends GateError {
  override readonly name = "UnavailableError";
  override readonly isTransient = true;
  override readonly mayBeAccepted = true;

  constructor(
    status: number,
    override readonly retryAfter: number | undefined,
  ) {
    super(`the gate is not available now (status ${status})`);
  }
}

/** The response is not one that the gate sends, but perhaps what stands before it. */
export class InvalidResponseError extends GateError {
  override readonly name = "InvalidResponseError";
  override readonly isTransient = true;
  override readonly mayBeAccepted = true;

  constructor(why: string) {
    super(`not a response of the gate: ${why}`);
  }
}

/** The settings are incomplete or invalid. */
export class SettingsError extends GateError {
  override readonly name = "SettingsError";
}

/** The gate cannot be trusted: it makes no permits, or has none of the keys that the settings name. */
export class UntrustedError extends GateError {
  override readonly name = "UntrustedError";
}

/** The policy of a mock threw: the test is to get that, and nothing is tried again. */
export class MockError extends Error {
  override readonly name = "MockError";

  constructor(readonly thrown: unknown) {
    super("the policy of the mock threw", { cause: thrown });
  }
}
