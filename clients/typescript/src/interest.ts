// Which requests the calls of this process wait for. One that no call waits for any more needs no decision.

import { background } from "./background.js";
import type { Connection } from "./connection.js";
import { GateError, ProblemError } from "./errors.js";
import type { Handle } from "./handle.js";
import { toLoggable } from "./logs.js";

interface Waiting {
  calls: number;
  /** Whether the gate may have the request, without a decision. */
  mayBeOpen: boolean;
}

/** By the gate's address and the request's id. */
const waitedFor = new Map<string, Waiting>();

/** The interest of one call in a request. When the last one ends, the request is withdrawn, if it may be open. */
export class Interest {
  readonly #connection: Connection;
  readonly #handle: Handle;
  readonly #key: string;
  readonly #waiting: Waiting;

  constructor(
    connection: Connection,
    handle: Handle,
    /** Whether the request is not withdrawn after this call. */
    public staysOpen: boolean,
  ) {
    this.#connection = connection;
    this.#handle = handle;
    this.#key = `${connection.client.base} ${handle.id}`;
    this.#waiting = waitedFor.get(this.#key) ?? { calls: 0, mayBeOpen: false };
    this.#waiting.calls += 1;
    waitedFor.set(this.#key, this.#waiting);
  }

  share(): Interest {
    return new Interest(this.#connection, this.#handle, this.staysOpen);
  }

  /** The gate has the request, or may have it. */
  markOpen(): void {
    this.#waiting.mayBeOpen = true;
  }

  /** There is a decision, so that no call need withdraw the request. */
  settle(): void {
    this.#waiting.mayBeOpen = false;
  }

  end(): void {
    this.#waiting.calls -= 1;
    if (this.#waiting.calls > 0) return;
    waitedFor.delete(this.#key);
    if (this.#waiting.mayBeOpen && !this.staysOpen) background(withdraw(this.#connection, this.#handle));
  }
}

/** Withdraws a request, if there is one, or logs that it could not be withdrawn. */
async function withdraw(connection: Connection, handle: Handle): Promise<void> {
  try {
    await connection.post("withdraw", handle, {});
  } catch (error) {
    if (!(error instanceof GateError)) throw error;
    if (error instanceof ProblemError && error.status === 404) return;
    connection.logger.warn(`the request ${handle.id} could not be withdrawn: ${toLoggable(error.message)}`);
  }
}
