// What a process stores to resume a request later.

import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { sha256 } from "./parameters.js";
import { isObject } from "./strict-json.js";

export const CORRELATION_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** The name and the secret of one request.
 *
 * With it the approval can be used, so keep it as you keep a password. `id` is no secret. */
export class Handle {
  readonly #secret: string;

  private constructor(
    readonly id: string,
    secret: string,
  ) {
    this.#secret = secret;
  }

  /** The handle that belongs to the correlation id, or a fresh one. */
  static create(agent: string, correlationId: string | undefined, claimKey: string): Handle {
    if (correlationId === undefined)
      return new Handle(approvalId(agent, randomUUID()), randomBytes(32).toString("hex"));
    const secret = createHmac("sha256", claimKey).update(`${agent}\0${correlationId}`).digest("hex");
    return new Handle(approvalId(agent, correlationId), secret);
  }

  /** Reads a text of `serialize`, or throws a `TypeError`. */
  static parse(stored: string): Handle {
    let read: unknown;
    try {
      read = JSON.parse(stored);
    } catch {
      throw new TypeError("not a stored handle");
    }
    if (!isObject(read) || typeof read["id"] !== "string" || typeof read["secret"] !== "string")
      throw new TypeError("not a stored handle");
    return new Handle(read["id"], read["secret"]);
  }

  /** The text to store, with the secret. Not `toJSON`, which loggers call. */
  serialize(): string {
    return JSON.stringify({ id: this.id, secret: this.#secret });
  }

  /** Whether it is of a request of this agent. */
  isOf(agent: string): boolean {
    return this.id === approvalId(agent, this.correlationId);
  }

  get secret(): string {
    return this.#secret;
  }

  get correlationId(): string {
    return this.id.slice(this.id.indexOf(".") + 1);
  }

  /** The SHA-256 of the secret, which the request names. */
  get claimant(): string {
    return sha256(this.#secret);
  }
}

export function approvalId(agent: string, correlationId: string): string {
  return `${Buffer.from(agent).toString("base64url")}.${correlationId}`;
}

/** A correlation id for names of a framework, such as those of a run and of a tool call. There is none if the last, that
 * of the call, is empty: it would be the same for all calls. */
export function toCorrelationId(...names: string[]): string | undefined {
  if (!names.at(-1)) return undefined;
  const [only] = names;
  if (names.length === 1 && only !== undefined && CORRELATION_ID.test(only)) return only;
  return sha256(JSON.stringify(names)).slice(0, 32);
}
