// Which requests the calls of this process wait for. One that no call waits for any more needs no decision.

import { background } from "./background.js";
import type { Connection } from "./connection.js";
import { GateError, ProblemError } from "./errors.js";
import type { Handle } from "./handle.js";
import { toLoggable } from "./logs.js";
import { retryTransient } from "./retry.js";

interface Waiting {
  calls: number;
  /** Whether the gate may have the request, without a decision. */
  mayBeOpen: boolean;
  /** Whether a call has left it open, for another process or a later call. */
  staysOpen: boolean;
}

/** By the gate's address, the request's id and the digest of its secret. */
const waitedFor = new Map<string, Waiting>();

/** The interest of one call in a request. When the last one ends, the request is withdrawn, if it may be open. */
export class Interest {
  readonly #connection: Connection;
  readonly #handle: Handle;
  readonly #key: string;
  readonly #waiting: Waiting;
  #isReleased = false;

  constructor(
    connection: Connection,
    handle: Handle,
    /** Whether the request stays open after this call, and so after the others. */
    public staysOpen: boolean,
  ) {
    this.#connection = connection;
    this.#handle = handle;
    this.#key = `${connection.client.base} ${handle.id} ${handle.claimant}`;
    this.#waiting = waitedFor.get(this.#key) ?? { calls: 0, mayBeOpen: false, staysOpen: false };
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

  /** Leaves it to others to withdraw the request: to the wait that follows, or because it is that of another call. */
  release(): void {
    this.#isReleased = true;
  }

  /** There is a decision, so that no call need withdraw the request. */
  settle(): void {
    this.#waiting.mayBeOpen = false;
  }

  end(): void {
    const waiting = this.#waiting;
    waiting.staysOpen ||= this.staysOpen;
    waiting.calls -= 1;
    if (waiting.calls > 0) return;
    waitedFor.delete(this.#key);
    if (waiting.mayBeOpen && !waiting.staysOpen && !this.#isReleased) background(this.#withdraw());
  }

  /** Withdraws the request, if there is one and no call waits for it meanwhile, or logs that it could not. */
  async #withdraw(): Promise<void> {
    const { client, logger } = this.#connection;
    const { id, secret } = this.#handle;
    const attempt = async () => {
      if (!waitedFor.has(this.#key)) await client.post("withdraw", id, { secret });
    };
    try {
      await retryTransient(attempt, logger);
    } catch (error) {
      if (!(error instanceof GateError)) throw error;
      if (error instanceof ProblemError && error.status === 404) return;
      logger.warn(`the request ${id} could not be withdrawn: ${toLoggable(error.message)}`);
    }
  }
}
