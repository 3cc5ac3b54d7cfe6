// The lines that the client logs. No line has a key, a secret or an address.

import type { Refused } from "./refusal.js";

/** What the client logs to: `console`, or a logger of the program's. */
export interface Logger {
  warn(message: string): void;
  error(message: string): void;
}

const DECIDED = ["rejected", "denied", "timeout", "cancelled"];

/** Writes one line, unless a person, the policy or the deadline decided: the caller may get nothing but a value that
 * looks like a rejection. */
export function logRefusal(logger: Logger, { reason, detail = "", noOneWasAsked }: Refused): void {
  if (DECIDED.includes(reason)) return;
  if (noOneWasAsked) logger.error(`not run, and no one was asked: ${reason}: ${toLoggable(detail)}`);
  else logger.warn(`not run: ${reason}: ${toLoggable(detail)}`);
}

/** In one line, and without email addresses, of which problem documents name some. */
export function toLoggable(detail: string): string {
  const words = detail.split(/\s+/).filter((word) => word !== "");
  return words.map((word) => (word.includes("@") ? "…" : word)).join(" ");
}
