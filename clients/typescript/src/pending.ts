// A request that waits for its decision.

import { randomBytes } from "node:crypto";
import type { Approval } from "./approval.js";
import { background } from "./background.js";
import type { Connection } from "./connection.js";
import { refuseDeferred } from "./deferred.js";
import { GateError, ProblemError } from "./errors.js";
import type { Handle } from "./handle.js";
import { Interest } from "./interest.js";
import { toLoggable, type Logger } from "./logs.js";
import { checkSeconds } from "./options.js";
import { Permit, reportNotRun, toText } from "./permit.js";
import { CLOCK_LEEWAY_SECONDS, type Run } from "./proof.js";
import { afterConflict, afterSubmit, fromStatus, unverified } from "./refusal.js";
import { monotonic, OUTAGE_SECONDS, OutageLog, pauseFor, retryTransient } from "./retry.js";

/** How many seconds one status call waits for a decision, where the gate lets calls wait. */
const LONG_POLL = 25;

/** The pause between calls that wait. Where the host bills waiting calls, the gate sends a longer `Retry-After`, and the
 * calls do not wait; the first call finds that out. */
const MIN_PAUSE = 1;

const GIVEN_UP = "given up while it ran: it may have run, or a part of it";
const NOT_WAITED_FOR = "not run: nothing waited for the approval any more";

/** Called when the request was submitted, and now and then while it is pending. */
export type OnPending = (approval: Approval) => void | Promise<void>;

export interface WaitOptions {
  /** How long to wait for a decision; without one by then, an `Undecided` is thrown. */
  readonly waitSeconds?: number | undefined;
  /** Ends the wait. The request is withdrawn, unless it was submitted under a stored handle, or under a correlation id
   * with the agent's claim key or `waitSeconds`. */
  readonly signal?: AbortSignal | undefined;
}

/** There is no decision yet. `pending` waits again; its handle can be stored. */
export class Undecided extends Error {
  override readonly name = "Undecided";

  constructor(readonly pending: Pending) {
    super("PENDING: a person must approve first. Call again later with exactly the same arguments.");
  }
}

export interface PendingOptions {
  readonly approval?: Approval;
  readonly onPending: OnPending | undefined;
  /** Whether the request stays open when its caller stops waiting. */
  readonly isDetached: boolean;
}

/** A submitted request. */
export class Pending {
  readonly #connection: Connection;
  readonly #run: Run;
  readonly #options: PendingOptions;
  #approval: Approval | undefined;

  constructor(connection: Connection, run: Run, options: PendingOptions) {
    this.#connection = connection;
    this.#run = run;
    this.#options = options;
    this.#approval = options.approval;
  }

  /** What to store for `Action.resume`. */
  get handle(): Handle {
    return this.#run.handle;
  }

  /** The request in the gate's last response. */
  get approval(): Approval | undefined {
    return this.#approval;
  }

  /** Waits for the decision, verifies it, claims the approval, and verifies the permit. Throws a `Refused` if it is
   * anything but a verified approval of exactly these parameters. */
  async claim({ waitSeconds, signal, ...others }: WaitOptions = {}): Promise<Permit> {
    checkSeconds("waitSeconds", waitSeconds, others);
    const decided = await this.#waitForDecision(waitSeconds, signal);
    if (decided.status === "Approved" && decided.execution !== null) throw fromStatus(decided); // no claim is granted
    // A `Timeout` may be provisional, and a `Pending` past its deadline not stored yet: the claim settles both.
    if (!["Approved", "Timeout", "Pending"].includes(decided.status)) throw fromStatus(decided);
    const known = await orRefuse(this.#connection.keysFor(decided, signal));
    // Before the claim, so that a mistake of this process does not use up the approval.
    if (decided.status === "Approved") await this.#run.verifyReceipt(decided, known);
    signal?.throwIfAborted();
    const claiming = this.#claimVerified();
    if (signal === undefined) return claiming;
    try {
      return await unlessAborted(claiming, signal);
    } catch (error) {
      // Nothing waits for the permit any more, but it is made, and must be reported.
      if (signal.aborted)
        background(
          claiming.then(
            (permit) => permit.failed(NOT_WAITED_FOR),
            () => undefined,
          ),
        );
      throw error;
    }
  }

  /** Waits for the decision, runs the function if it is an approval, and reports the outcome. */
  async run<T>(execute: () => T, options: WaitOptions = {}): Promise<Awaited<T>> {
    return executeUnder(await this.claim(options), execute, options.signal);
  }

  /** Withdraws the request, so that it needs no decision any more. Throws a `GateError` if it is too late, or the gate
   * cannot be reached. */
  async withdraw(): Promise<Approval> {
    return this.#connection.post("withdraw", this.handle, {});
  }

  #interest(): Interest {
    return new Interest(this.#connection, this.handle, this.#options.isDetached);
  }

  async #claimVerified(): Promise<Permit> {
    // In memory alone, and for this claim alone: an answer that was recorded from another is none to it.
    const nonce = randomBytes(16).toString("hex");
    const approval = await this.#callClaim(nonce);
    try {
      const known = await orRefuse(this.#connection.keysFor(approval));
      return new Permit(this.#connection, this.handle, await this.#run.verifyClaim(approval, nonce, known));
    } catch (error) {
      await reportNotRun(this.#connection, this.handle, nonce, "not run: the approval could not be verified");
      throw error;
    }
  }

  async #callClaim(nonce: string): Promise<Approval> {
    let mayBeGranted = false;
    const { client, logger } = this.#connection;
    const claim = async () => {
      try {
        return await client.post("claim", this.handle.id, { nonce, secret: this.handle.secret });
      } catch (error) {
        mayBeGranted ||= error instanceof GateError && error.mayBeAccepted;
        throw error;
      }
    };
    for (let attempt = 1; ; attempt++) {
      let conflict: ProblemError;
      try {
        return await retryTransient(claim, logger);
      } catch (error) {
        if (!(error instanceof GateError)) throw error;
        const refused = error instanceof ProblemError && error.status < 500 ? error : undefined;
        if (refused?.status !== 409) {
          // Without a report a claim that was granted would end as unknown.
          if (mayBeGranted || refused === undefined)
            await reportNotRun(this.#connection, this.handle, nonce, "not run: the answer to the claim was lost");
          throw afterSubmit(error);
        }
        conflict = refused;
      }
      const settled = await orRefuse(this.#connection.status(this.handle));
      // The clocks of two instances of the gate may differ slightly: the first claim made the gate store the state that
      // the second one finds.
      if (attempt === 2 || settled.status !== "Timeout") {
        if (settled.status === "Pending") {
          // This call waits for its decision no more.
          const interest = this.#interest();
          interest.markOpen();
          interest.end();
        }
        throw afterConflict(conflict, settled);
      }
      await pauseFor(1);
    }
  }

  /** Waits until the gate says that the request is no longer pending, or its deadline has passed. */
  async #waitForDecision(waitSeconds?: number, signal?: AbortSignal): Promise<Approval> {
    const interest = this.#interest();
    interest.markOpen();
    try {
      const decided = await this.#poll(waitSeconds, signal);
      interest.settle();
      return decided;
    } catch (error) {
      if (error instanceof Undecided) interest.staysOpen = true; // its caller has it
      throw error;
    } finally {
      // Also after an error: without a waiting agent the request needs no decision.
      interest.end();
    }
  }

  async #poll(waitSeconds = Infinity, signal?: AbortSignal): Promise<Approval> {
    const started = monotonic();
    const outage = new OutageLog(this.#connection.logger);
    let pause = MIN_PAUSE;
    let mayHold = false;
    for (;;) {
      signal?.throwIfAborted();
      const left = waitSeconds - (monotonic() - started);
      try {
        const wasHeld = mayHold;
        const hold = wasHeld ? Math.floor(Math.max(0, Math.min(LONG_POLL, left))) : 0;
        const { approval, retryAfter } = await this.#connection.client.status(this.handle.id, hold, signal);
        this.#approval = approval;
        // Before people decide what could not run.
        if (approval.parametersDigest !== this.#run.parameters.digest)
          throw unverified("the request is for other parameters");
        if (approval.status !== "Pending" || isOver(approval)) return approval;
        notify(this.#options.onPending, approval, this.#connection.logger);
        pause = Math.max(retryAfter ?? MIN_PAUSE, MIN_PAUSE);
        mayHold = pause <= MIN_PAUSE;
        if (mayHold && !wasHeld) continue;
      } catch (error) {
        if (!(error instanceof GateError)) throw error;
        // The deadline of the last response holds during an outage too.
        const isLate = this.#approval === undefined || isOver(this.#approval);
        if (!error.isTransient || (isLate && monotonic() - started > OUTAGE_SECONDS)) throw afterSubmit(error);
        outage.warn(error);
        pause = Math.min(error.retryAfter ?? pause * 2, OUTAGE_SECONDS);
        mayHold = false;
      }
      const remaining = waitSeconds - (monotonic() - started);
      if (remaining <= 0) throw new Undecided(this);
      await pauseFor(Math.min(pause, remaining), signal);
    }
  }
}

/** Runs a function under a permit, and reports the outcome. */
export async function executeUnder<T>(permit: Permit, execute: () => T, signal?: AbortSignal): Promise<Awaited<T>> {
  let result: Awaited<T>;
  try {
    result = await execute();
    await refuseDeferred(result);
  } catch (error) {
    await permit.failed(signal?.aborted ? GIVEN_UP : error);
    throw error;
  }
  await permit.executed();
  return result;
}

/** Calls back; a callback that fails, at once or later, must not end the wait. */
export function notify(callback: OnPending | undefined, approval: Approval, logger: Logger): void {
  const called = (async () => callback?.(approval))();
  called.catch((error: unknown) => logger.warn(`onPending failed: ${toLoggable(toText(error))}`));
}

async function orRefuse<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw error instanceof GateError ? afterSubmit(error) : error;
  }
}

/** What comes of `work`, which goes on if the signal is aborted. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  // Calls may share a signal, and Node warns of one with many listeners.
  const own = AbortSignal.any([signal]);
  return new Promise((resolve, reject) => {
    const abort = () => reject(own.reason as Error);
    own.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => own.removeEventListener("abort", abort));
  });
}

/** Whether the deadline has passed by any clock within the leeway of this one. */
function isOver({ expiresAt }: Approval): boolean {
  return Date.now() - expiresAt.getTime() > CLOCK_LEEWAY_SECONDS * 1000;
}
