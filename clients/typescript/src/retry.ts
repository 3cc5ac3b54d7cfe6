// Repeating calls that fail for a while. All routes of the gate are idempotent.

import { setTimeout as sleep } from "node:timers/promises";
import { GateError, InvalidResponseError, NoTokenError, TlsError, UnreachableError } from "./errors.js";
import { toLoggable, type Logger } from "./logs.js";

/** How long a call is retried while the gate is unavailable, where the call has no deadline of its own. */
export const OUTAGE_SECONDS = 60;

/** How long a gate is called that has never responded. */
const FIRST_CONTACT_SECONDS = 30;

const LOG_SECONDS = 30;
const FIRST_PAUSE = 0.25;
const MAX_PAUSE = 10;

type Call<T> = () => Promise<T>;

export function retryTransient<T>(call: Call<T>, logger: Logger, signal?: AbortSignal): Promise<T> {
  return retry(call, () => OUTAGE_SECONDS, logger, signal);
}

/** The same before anything was submitted: a gate that does not respond is given up earlier, and at once what is no gate,
 * or has a certificate that is not accepted. */
export function retryFirstContact<T>(call: Call<T>, logger: Logger, signal?: AbortSignal): Promise<T> {
  return retry(call, firstContactWindow, logger, signal);
}

/** Seconds of a clock that is never set. */
export function monotonic(): number {
  return performance.now() / 1000;
}

/** Waits, or throws the signal's reason. */
export async function pauseFor(seconds: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(seconds * 1000, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

function firstContactWindow(error: GateError): number {
  if (error instanceof TlsError || error instanceof NoTokenError || error instanceof InvalidResponseError) return 0;
  return error instanceof UnreachableError ? FIRST_CONTACT_SECONDS : OUTAGE_SECONDS;
}

async function retry<T>(
  call: Call<T>,
  window: (error: GateError) => number,
  logger: Logger,
  signal?: AbortSignal,
): Promise<T> {
  const started = monotonic();
  const outage = new OutageLog(logger);
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, MAX_PAUSE)) {
    let wait: number;
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof GateError)) throw error;
      const left = window(error) - (monotonic() - started);
      if (!error.isTransient || left <= 0) throw error;
      // Whatever the gate asks for, it is called once more at the end.
      wait = Math.min(error.retryAfter ?? pause, left);
      outage.warn(error);
    }
    await pauseFor(wait, signal);
  }
}

/** Logs that the gate does not answer: at the first call that fails, and later once in an interval. */
export class OutageLog {
  #warned: number | undefined;

  constructor(private readonly logger: Logger) {}

  warn(error: GateError): void {
    const now = monotonic();
    if (this.#warned !== undefined && now - this.#warned < LOG_SECONDS) return;
    this.#warned = now;
    this.logger.warn(`the gate does not answer: ${toLoggable(error.message)}; trying again`);
  }
}
