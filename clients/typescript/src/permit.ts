// The right to run an action once, now.

import type { Bodies } from "./client.js";
import type { Connection } from "./connection.js";
import { GateError } from "./errors.js";
import type { Handle } from "./handle.js";
import { toLoggable } from "./logs.js";
import type { Proof } from "./proof.js";

const MAX_ERROR = 2_000;

/** How the error of a report begins where nothing ran. */
export const NOT_RUN = "not run";

/** How it begins where the action may have run. */
export const GIVEN_UP = "given up while it ran";

/** A verified and claimed approval. The gate expects a report of the outcome: `executed` or `failed`, once. */
export class Permit {
  readonly #connection: Connection;
  readonly #handle: Handle;
  #isReported = false;

  constructor(
    connection: Connection,
    handle: Handle,
    readonly proof: Proof,
  ) {
    this.#connection = connection;
    this.#handle = handle;
  }

  /** Reports that the action ran. */
  async executed(): Promise<void> {
    await this.#reportOnce();
  }

  /** Reports that the action failed, with the first 2,000 characters of the error. */
  async failed(error: unknown): Promise<void> {
    await this.#reportOnce(toText(error));
  }

  async #reportOnce(error?: string): Promise<void> {
    if (this.#isReported) return;
    this.#isReported = true;
    await report(this.#connection, this.#handle, error);
  }
}

/** The text of what was thrown, or the name of its type if it has none. */
export function toText(thrown: unknown): string {
  try {
    const text = String(thrown instanceof Error ? thrown.message : thrown);
    if (text.trim() !== "") return text;
    return thrown instanceof Error ? String(thrown.name) || "Error" : typeof thrown;
  } catch {
    return `${typeof thrown} without a text`;
  }
}

/** Reports an outcome, or logs that it could not be reported. */
export async function report(connection: Connection, handle: Handle, error?: string): Promise<void> {
  const body =
    error === undefined
      ? ({ status: "Executed" } as const)
      : ({ status: "ExecutionFailed", error: sanitize(error) } as const);
  await send(connection, handle, body);
}

/** Reports that nothing ran under the claim of this nonce. It is not verified that the gate granted this claim and no
 * other. Reports of a permit go without the nonce, so that gates of earlier versions take them. */
export async function reportNotRun(connection: Connection, handle: Handle, nonce: string, why: string): Promise<void> {
  await send(connection, handle, { status: "ExecutionFailed", error: `${NOT_RUN}: ${why}`, nonce });
}

async function send(connection: Connection, handle: Handle, body: Omit<Bodies["outcome"], "secret">): Promise<void> {
  try {
    await connection.post("outcome", handle, body);
  } catch (unreported) {
    if (!(unreported instanceof GateError)) throw unreported;
    connection.logger.warn(`the outcome of ${handle.id} could not be reported: ${toLoggable(unreported.message)}`);
  }
}

/** Cuts the text to the gate's limit and replaces what a program's output often has and the gate refuses. */
function sanitize(text: string): string {
  const characters = [...text.slice(0, 2 * MAX_ERROR).toWellFormed()];
  return characters
    .slice(0, MAX_ERROR)
    .join("")
    .replace(/(?![\n\t])\p{Cc}/gu, "\ufffd");
}
