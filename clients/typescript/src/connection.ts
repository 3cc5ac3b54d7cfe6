// A gate's client, and whom to trust about it.

import type { Approval } from "./approval.js";
import type { Bodies, Client } from "./client.js";
import { SettingsError, UntrustedError } from "./errors.js";
import type { Handle } from "./handle.js";
import { NotSignedError } from "./jws.js";
import type { Logger } from "./logs.js";
import { verifyPermit, verifyReceipt } from "./receipts.js";
import { retryFirstContact, retryTransient } from "./retry.js";
import type { Known, Trust } from "./trust.js";

export class Connection {
  constructor(
    readonly client: Client,
    readonly trust: Trust,
    readonly logger: Logger,
  ) {}

  /** The keys and issuers to verify with, before anything is submitted. */
  async keys(signal?: AbortSignal): Promise<Known> {
    try {
      return this.trust.known();
    } catch (error) {
      if (!isUntrusted(error)) throw error;
    }
    await this.trust.learn(await retryFirstContact(() => this.client.keys(signal), this.logger, signal));
    return this.trust.known();
  }

  /** The keys and issuers to verify this request with. What the gate publishes changes rarely: it is fetched again only
   * when the keys known do not verify what the gate signed of it. */
  async keysFor({ receipt, permit }: Approval, signal?: AbortSignal): Promise<Known> {
    try {
      const known = this.trust.known();
      // A rotation of the key may lie between receipt and permit.
      if (receipt !== null) await verifyReceipt(receipt, known.keys);
      if (permit !== null) await verifyPermit(permit, known.keys);
      return known;
    } catch (error) {
      if (!(isUntrusted(error) || error instanceof NotSignedError)) throw error;
    }
    await this.trust.learn(await retryTransient(() => this.client.keys(signal), this.logger, signal));
    return this.trust.known();
  }

  /** Claims, reports or withdraws, as the holder of the handle. */
  post<F extends keyof Bodies>(path: F, handle: Handle, body: Omit<Bodies[F], "secret">): Promise<Approval> {
    const whole = { ...body, secret: handle.secret } as Bodies[F];
    return retryTransient(() => this.client.post(path, handle.id, whole), this.logger);
  }

  /** The request's state, without waiting for a change. */
  async status(handle: Handle): Promise<Approval> {
    return (await retryTransient(() => this.client.status(handle.id), this.logger)).approval;
  }
}

/** Whether what the gate published before is nothing to verify with. */
function isUntrusted(error: unknown): boolean {
  return error instanceof UntrustedError || error instanceof SettingsError;
}
