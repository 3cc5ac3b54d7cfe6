// Receipts and permits: the gate's signed records of a decision, and of the one claim of it.
//
// A service that does not trust the agent verifies both, with the keys of the gate's operator: see the project's
// `docs/receipts.md`.

import { toPerson } from "./address.js";
import { NotSignedError, verify, type Key } from "./jws.js";
import { checkNames, checkSeconds, toList } from "./options.js";
import { ExactParameters, sha256 } from "./parameters.js";
import { isObject } from "./strict-json.js";

export { NotSignedError, readKeys, type Key } from "./jws.js";
export { ExactParameters, ParametersError } from "./parameters.js";

export const RECEIPT = "oversight-receipt+jwt";
export const PERMIT = "oversight-permit+jwt";

const DECISIONS = ["Approved", "Rejected"] as const;
const ASSURANCES = ["link", "link-only", "entra", "policy", "grant"] as const;

/** A receipt or permit is genuine, but not for this run. */
export class NotPermittedError extends Error {
  override readonly name: string = "NotPermittedError";
}

/** The approval was not used in time. */
export class LapsedError extends NotPermittedError {
  override readonly name = "LapsedError";
}

/** One of several votes. */
export interface Vote {
  readonly approver: string;
  readonly approverObjectId: string | undefined;
  readonly decision: (typeof DECISIONS)[number];
}

/** An approver handed their place to another person, who decides instead. */
export interface HandOver {
  readonly from: string;
  readonly to: string;
}

/** The claims of a receipt. */
export interface Receipt {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly iat: number;
  readonly exp: number | undefined;
  readonly actionDescription: string;
  readonly parametersDigest: string;
  readonly decision: (typeof DECISIONS)[number];
  readonly approver: string;
  /** How the approver was identified; `policy` where a rule of the operator's policy decided, `grant` where a standing grant did. */
  readonly assurance: (typeof ASSURANCES)[number];
  readonly claimant: string | undefined;
  readonly commentDigest: string | undefined;
  readonly approverObjectId: string | undefined;
  /** Where the policy asked for votes: all of them, in order. The last one of a person counts. */
  readonly votes: readonly Vote[];
  /** The rules of the operator's policy that said who must agree, if there is one. */
  readonly rules: readonly string[] | undefined;
  /** The hand-overs through which a person who voted, or decided, came to do so, in order. */
  readonly handedOver: readonly HandOver[];
}

/** The claims of a permit. */
export interface PermitClaims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly jti: string;
  readonly claimant: string | undefined;
  readonly parametersDigest: string;
  readonly receiptDigest: string;
  readonly iat: number;
  readonly exp: number;
}

/** The claims of a receipt that the gate made, or throws a `NotSignedError`; `checkReceipt` says whether they permit a
 * run. The keys must come from the gate's operator, never from the party that presents the receipt. */
export async function verifyReceipt(text: string, keys: readonly Key[]): Promise<Receipt> {
  const claims = new Claims(await verify(RECEIPT, text, keys));
  claims.text("correlationId");
  return {
    iss: claims.text("iss"),
    aud: claims.text("aud"),
    sub: claims.text("sub"),
    iat: claims.time("iat"),
    exp: claims.has("exp") ? claims.time("exp") : undefined,
    actionDescription: claims.text("actionDescription"),
    parametersDigest: claims.text("parametersDigest"),
    decision: claims.word("decision", DECISIONS),
    approver: claims.text("approver"),
    assurance: claims.word("assurance", ASSURANCES),
    claimant: claims.optional("claimant"),
    commentDigest: claims.optional("commentDigest"),
    approverObjectId: claims.optional("approverObjectId"),
    votes: claims.has("votes") ? claims.list("votes").map(readVote) : [],
    rules: claims.has("policy") ? claims.object("policy").list("rules").map(String) : undefined,
    handedOver: claims.has("handedOver") ? claims.list("handedOver").map(readHandOver) : [],
  };
}

/** The claims of a permit that the gate made, or throws a `NotSignedError`; `checkPermit` says whether they are those
 * expected. */
export async function verifyPermit(text: string, keys: readonly Key[]): Promise<PermitClaims> {
  const claims = new Claims(await verify(PERMIT, text, keys));
  return {
    iss: claims.text("iss"),
    aud: claims.text("aud"),
    sub: claims.text("sub"),
    jti: claims.text("jti"),
    claimant: claims.optional("claimant"),
    parametersDigest: claims.text("parametersDigest"),
    receiptDigest: claims.text("receiptDigest"),
    iat: claims.time("iat"),
    exp: claims.time("exp"),
  };
}

/** What a receipt must be an approval of. A service can demand more of people than the gate did. */
export interface Demand {
  readonly agent: string;
  readonly action: string;
  readonly parameters: ExactParameters;
  /** In seconds since 1970. */
  readonly now: number;
  /** How many people approved, at least; 0 by default. */
  readonly atLeast?: number;
  /** The rules of the operator's policy that applied, each of them; none by default. */
  readonly rules?: readonly string[];
}

const OF_DEMAND = {
  agent: true,
  action: true,
  parameters: true,
  now: true,
  atLeast: true,
  rules: true,
} as const satisfies Record<keyof Demand, true>;

/** Checks that a receipt is an approval of exactly this run that has not lapsed, and meets the demands, or throws a
 * `NotPermittedError`; a `TypeError` if the demands are none. It does not say whether the approval was claimed or
 * revoked: only a permit does. */
export function checkReceipt(receipt: Receipt, run: Demand): void {
  const { atLeast = 0, rules: named = [] } = run;
  const rules = toList("rules", named);
  checkNames(run, OF_DEMAND);
  checkRun(run);
  if (!Number.isSafeInteger(atLeast) || atLeast < 0)
    throw new TypeError("atLeast must be a whole number that is not negative");
  demand(receipt.aud === run.agent, "the receipt is for another agent");
  demand(receipt.actionDescription === run.action, "the receipt is for another action");
  demand(
    receipt.parametersDigest === run.parameters.digest,
    "the receipt is for other parameters than those about to be run",
  );
  demand(receipt.decision === "Approved", "the receipt is for a rejection");
  // The link alone is enough for a rejection only. No gate signs this.
  demand(receipt.assurance !== "link-only", "the receipt is for an approval without the code");
  if (receipt.exp === undefined || run.now >= receipt.exp) throw new LapsedError("the approval has lapsed");
  const approvals = countApprovals(receipt);
  demand(approvals >= atLeast, `the receipt is for an approval by ${approvals} people, and this takes ${atLeast}`);
  demand(
    rules.every((rule) => receipt.rules?.includes(rule)),
    "the receipt is for an approval to which another rule of the policy applied, or none",
  );
}

/** What a permit must say. A service made no claim: it takes `jti` as the nonce, and stores `sub` to recognise a permit
 * that is presented again. */
export interface Claim {
  readonly issuers: readonly string[];
  readonly agent: string;
  readonly id: string;
  readonly nonce: string;
  readonly claimant: string | undefined;
  readonly parameters: ExactParameters;
  readonly receipt: string;
  /** In seconds since 1970. */
  readonly now: number;
  /** By how many seconds clocks may differ; 60 by default. */
  readonly leeway?: number;
}

/** Checks that the gate granted exactly this claim, and that it still counts, or throws a `NotPermittedError`; a
 * `TypeError` if the claim is none. */
export function checkPermit(permit: PermitClaims, claim: Claim): void {
  const { now, leeway = 60 } = claim;
  checkRun(claim);
  checkSeconds("leeway", leeway);
  demand(toList("issuers", claim.issuers).includes(permit.iss), "the permit is of a gate that is not trusted");
  demand(permit.aud === claim.agent, "the permit is for another agent");
  demand(permit.sub === claim.id, "the permit is for another request");
  demand(permit.jti === claim.nonce, "the permit is the answer to another claim");
  demand(permit.claimant === claim.claimant, "the permit is for another claimant");
  demand(
    permit.parametersDigest === claim.parameters.digest,
    "the permit is for other parameters than those about to be run",
  );
  demand(permit.receiptDigest === sha256(claim.receipt), "the permit is for another receipt");
  demand(permit.iat <= now + leeway, "the permit is dated in the future");
  if (now - leeway >= permit.exp) throw new LapsedError("the permit has expired");
}

/** The number of people who approved; 0 where a rule of the policy did. */
export function countApprovals({ decision, assurance, votes }: Receipt): number {
  if (decision !== "Approved" || assurance === "policy" || assurance === "grant") return 0;
  if (votes.length === 0) return 1;
  const lasts = votes.filter((vote, index) => !votes.slice(index + 1).some((later) => isByTheSame(vote, later)));
  return lasts.filter((vote) => vote.decision === "Approved").length;
}

/** The person in whose place the approver decided, back over all hand-overs: often the approver. */
export function findFirstHolder({ approver, handedOver }: Pick<Receipt, "approver" | "handedOver">): string {
  // A hand-over comes after the one by which its giver came to the place.
  return handedOver.reduceRight((first, { from, to }) => (to === first ? from : first), approver);
}

function isByTheSame(vote: Vote, other: Vote): boolean {
  const isSameId = vote.approverObjectId !== undefined && vote.approverObjectId === other.approverObjectId;
  return isSameId || toPerson(vote.approver) === toPerson(other.approver);
}

/** For programs without types, where a time that is no number would never be over. */
function checkRun({ parameters, now }: { parameters: unknown; now: unknown }): void {
  if (!(parameters instanceof ExactParameters)) throw new TypeError("parameters must be ExactParameters");
  if (typeof now !== "number" || !Number.isFinite(now))
    throw new TypeError("now must be a number: the seconds since 1970");
}

function demand(isMet: boolean, why: string): void {
  if (!isMet) throw new NotPermittedError(why);
}

function readVote(vote: unknown): Vote {
  const claims = new Claims(vote);
  return {
    approver: claims.text("approver"),
    approverObjectId: claims.optional("approverObjectId"),
    decision: claims.word("decision", DECISIONS),
  };
}

function readHandOver(handOver: unknown): HandOver {
  const claims = new Claims(handOver);
  return { from: claims.text("from"), to: claims.text("to") };
}

/** Members of a signed object, each of the type that it must have. */
class Claims {
  readonly #claims: { [name: string]: unknown };

  constructor(claims: unknown) {
    if (!isObject(claims)) throw new NotSignedError("a claim is no object");
    this.#claims = claims;
  }

  has(name: string): boolean {
    return this.#claims[name] !== undefined && this.#claims[name] !== null;
  }

  text(name: string): string {
    const value = this.#claims[name];
    if (typeof value !== "string") throw new NotSignedError(`it has no ${name}`);
    return value;
  }

  optional(name: string): string | undefined {
    return this.has(name) ? this.text(name) : undefined;
  }

  word<Word extends string>(name: string, words: readonly Word[]): Word {
    const found = words.find((word) => word === this.#claims[name]);
    if (found === undefined) throw new NotSignedError(`its ${name} is unknown`);
    return found;
  }

  time(name: string): number {
    const value = this.#claims[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new NotSignedError(`it has no ${name}`);
    return value;
  }

  list(name: string): unknown[] {
    const value = this.#claims[name];
    if (!Array.isArray(value)) throw new NotSignedError(`its ${name} are no list`);
    return value;
  }

  object(name: string): Claims {
    return new Claims(this.#claims[name]);
  }
}
