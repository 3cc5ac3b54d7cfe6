// What proves the right to run an action, and whether it does.

import { isSameAddress } from "./address.js";
import type { Approval } from "./approval.js";
import type { Handle } from "./handle.js";
import { NotSignedError } from "./jws.js";
import { sha256, type ExactParameters } from "./parameters.js";
import {
  checkPermit,
  checkReceipt,
  findFirstHolder,
  LapsedError,
  NotPermittedError,
  verifyPermit,
  verifyReceipt,
  type Receipt,
} from "./receipts.js";
import { lapsedHere, unverified } from "./refusal.js";
import type { Known } from "./trust.js";

/** By how many seconds the clocks of agent and gate may differ. */
export const CLOCK_LEEWAY_SECONDS = 60;

/** Receipt and permit, for a service that demands them before it acts. */
export interface Proof {
  /** The signed receipt, a compact JWS. */
  readonly receipt: string;
  /** The gate's signed permit, a compact JWS. */
  readonly permit: string;
  /** The approver, as the receipt names them. */
  readonly approver: string;
  /** The approver's comment, if the receipt covers it. */
  readonly comment: string | null;
}

/** What is about to run, and under which request. */
export class Run {
  constructor(
    readonly agent: string,
    readonly action: string,
    readonly approvers: readonly string[],
    readonly handle: Handle,
    readonly parameters: ExactParameters,
  ) {}

  /** The claims of the approval's receipt, if it permits this run now; otherwise throws a `Refused`. */
  async verifyReceipt(approval: Approval, known: Known): Promise<Receipt> {
    const text = approval.receipt;
    if (text === null) throw unverified("the approval has no receipt");
    const receipt = await orRefuse("receipt", async () => {
      const receipt = await verifyReceipt(text, known.keys);
      if (!known.issuers.includes(receipt.iss))
        throw new NotPermittedError(
          "the receipt names another gate as its issuer than this client trusts (HO_ISSUER, or HO_ISSUERS of the gate)",
        );
      if (receipt.sub !== this.handle.id) throw new NotPermittedError("the receipt is for another request");
      if (receipt.claimant !== this.handle.claimant) throw new NotPermittedError("the receipt is for another claimant");
      const now = Date.now() / 1000 - CLOCK_LEEWAY_SECONDS;
      checkReceipt(receipt, { agent: this.agent, action: this.action, parameters: this.parameters, now });
      return receipt;
    });
    // Where the gate's policy says who must agree, the receipt says so, and by which votes.
    // One of them may have handed their place over.
    const first = findFirstHolder(receipt);
    const isApprover = this.approvers.some((approver) => isSameAddress(approver, first));
    if (receipt.rules === undefined && !isApprover)
      throw unverified("the receipt names a person who is not an approver");
    return receipt;
  }

  /** Receipt and permit, if the gate granted the claim of this nonce; otherwise throws a `Refused`. */
  async verifyClaim(approval: Approval, nonce: string, known: Known): Promise<Proof> {
    const { id, status, execution, receipt, permit, comment } = approval;
    if (id !== this.handle.id || status !== "Approved" || execution !== "Executing")
      throw unverified("the gate's response to the claim is not an approval");
    const decided = await this.verifyReceipt(approval, known);
    if (permit === null || receipt === null)
      throw unverified(
        "the gate granted the claim without a permit: an older version of it did, or one with HO_ROWS=1; upgrade " +
          "every instance of the gate before its clients",
      );
    await orRefuse("permit", async () => {
      const claims = await verifyPermit(permit, known.keys);
      checkPermit(claims, {
        issuers: known.issuers,
        agent: this.agent,
        id: this.handle.id,
        nonce,
        claimant: this.handle.claimant,
        parameters: this.parameters,
        receipt,
        // The nonce shows that the permit is fresh, so a clock behind the gate's is no reason to refuse it.
        now: Math.max(Date.now() / 1000, claims.iat),
        leeway: CLOCK_LEEWAY_SECONDS,
      });
    });
    const isSigned = comment !== null && sha256(comment) === decided.commentDigest;
    return { receipt, permit, approver: decided.approver, comment: isSigned ? comment : null };
  }
}

async function orRefuse<T>(kind: "receipt" | "permit", verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch (error) {
    if (error instanceof LapsedError) throw lapsedHere();
    if (error instanceof NotSignedError) throw unverified(`not a ${kind} of the gate: ${error.message}`);
    if (error instanceof NotPermittedError) throw unverified(error.message);
    throw error;
  }
}
