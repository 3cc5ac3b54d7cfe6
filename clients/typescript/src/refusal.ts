// Why an action did not run, in words for a model.

import type { Approval } from "./approval.js";
import {
  InvalidResponseError,
  NoTokenError,
  ProblemError,
  SettingsError,
  TlsError,
  UnavailableError,
  UnreachableError,
  UntrustedError,
  type GateError,
} from "./errors.js";

/** The kinds of refusal. */
export type Reason =
  /** A person rejected. */
  | "rejected"
  /** The operator's policy denies the action. No person was asked. */
  | "denied"
  /** An approver rejected the same before, and the operator's policy refuses what was rejected. */
  | "rejected-before"
  /** No decision in time, or the approval was not claimed in time. */
  | "timeout"
  /** No approver can be reached by mail. */
  | "undeliverable"
  /** The request was withdrawn. */
  | "cancelled"
  /** The approval was claimed before, by this process or another. */
  | "used"
  /** The approval was revoked before it was claimed. */
  | "revoked"
  /** The operator has paused operations. After the operator resumes, the same request can be claimed. */
  | "paused"
  /** No one was asked: the gate did not respond, for 30 seconds, or was not available. */
  | "unreachable"
  /** No one was asked: the settings of client or gate are wrong (the address, the key, the certificate). */
  | "misconfigured"
  /** The gate became unavailable, or takes no more requests now. People may have been asked. */
  | "unavailable"
  /** The request is invalid: the gate or this client does not accept it. */
  | "invalid"
  /** The gate responded, but without proof of an approval of exactly this. */
  | "unverified";

const WORDS = {
  "rejected-before": "Not run: an approver rejected the same before. Do not try again.",
  timeout: "Not run: not approved, or not used, in time. Try again only if it is still needed.",
  undeliverable: "Not run: no approver could be reached by mail. Do not try again: tell the operator.",
  cancelled: "Not run: the request was withdrawn. Try again only if it is still needed.",
  revoked: "Not run: the approval was revoked. Do not try again.",
  paused: "Not run: the operator has paused operations. Try again later.",
  unreachable: "Not run: no one was asked, because the gate could not be reached. Try again later.",
  misconfigured:
    "Not run: no one was asked, because the connection to the gate is set up wrongly. " +
    "Do not try again: tell the operator.",
  unavailable: "Not run: no approval could be obtained from the gate. Try again later.",
  unverified: "Not run: the approval could not be verified. Do not try again: tell the operator.",
} as const;

const USED: { readonly [execution: string]: string } = {
  Executed: "Not run again: the approval was used before, and the action ran.",
  ExecutionFailed: "Not run again: the approval was used before, and the action failed.",
};
const USED_UNKNOWN =
  "Not run again: the approval was used before, and the action may have run. Do not try again: find out first.";

const INVALID_STATUSES = [400, 409, 413, 415, 422];

/** What is known about a refusal. */
export interface RefusalDetails {
  /** For developers and logs: what happened, where it was not a rejection. */
  readonly detail?: string | undefined;
  /** The comment of the person who rejected, or the reason of the policy that denies. */
  readonly comment?: string | null;
  /** The address of the person who rejected. */
  readonly by?: string | null;
  /** What the person who rejected asks for: a request that is changed so may be approved. */
  readonly question?: string | null;
  /** The id of the request that ended so. */
  readonly id?: string | null;
  /** For `used`: what became of the action, as far as the gate knows. */
  readonly execution?: string | null;
  /** For `denied`: the rules of the operator's policy that applied. */
  readonly rules?: readonly string[];
  /** The gate was not asked at all, because of what it is, or of how it can be reached. */
  readonly noOneWasAsked?: boolean;
}

/** An action did not run. Its `message` is for a model, and says whether to try again. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly detail: string | undefined;
  readonly comment: string | null;
  readonly by: string | null;
  /** What the person who rejected asks for: a request that is changed so may be approved. Submit it with the option
   * `supersedes: refused.id`. */
  readonly question: string | null;
  /** The id of the request that ended so, if there is one. */
  readonly id: string | null;
  readonly execution: string | null;
  readonly rules: readonly string[];
  /** Whether the gate was not asked at all, because of what it is, or of how it can be reached. */
  readonly noOneWasAsked: boolean;

  constructor(
    readonly reason: Reason,
    details: RefusalDetails = {},
  ) {
    super(toWords(reason, details));
    this.detail = details.detail;
    this.comment = details.comment ?? null;
    this.by = details.by ?? null;
    this.question = details.question ?? null;
    this.id = details.id ?? null;
    this.execution = details.execution ?? null;
    this.rules = details.rules ?? [];
    this.noOneWasAsked = details.noOneWasAsked ?? ["misconfigured", "unreachable"].includes(reason);
  }
}

/** Whether a text is the `message` of a `Refused`. */
export function isRefusalText(value: unknown): value is string {
  return typeof value === "string" && /^Not run(?: again)?: /.test(value);
}

function toWords(reason: Reason, details: RefusalDetails): string {
  const { detail, comment, by, question, execution, rules = [] } = details;
  switch (reason) {
    case "rejected": {
      const changes = question
        ? `, who asks for changes. Change the request accordingly, and try again: ${question}`
        : ".";
      return `Not run: rejected by ${by ?? "an approver"}${changes}${comment ? ` Their reason: ${comment}` : ""}`;
    }
    case "denied": {
      const rule = rules[0] === undefined ? "" : ` (rule ${rules[0]})`;
      const why = comment ? ` The policy's reason: ${comment}` : "";
      return `Not run: the operator's policy denies this${rule}. Do not try again.${why}`;
    }
    case "invalid":
      return `Not run: the request is invalid. Correct it before you try again.${detail ? ` ${detail}` : ""}`;
    case "used":
      return USED[execution ?? ""] ?? USED_UNKNOWN;
    default:
      return WORDS[reason];
  }
}

export function unverified(detail: string): Refused {
  return new Refused("unverified", { detail });
}

export function invalid(detail: string): Refused {
  return new Refused("invalid", { detail });
}

function lapsed(id: string | null): Refused {
  return new Refused("timeout", { id, detail: "the approval lapsed before it was claimed" });
}

/** The gate still takes the approval for valid. */
export function lapsedHere(): Refused {
  const detail = "the approval has lapsed by this machine's clock, which may be ahead of the gate's";
  return unverified(detail);
}

/** Why a request that is over permits nothing. */
export function fromStatus(approval: Approval): Refused {
  const { id, status, comment, question } = approval;
  switch (status) {
    case "Rejected":
      return approval.decider === "policy"
        ? new Refused("denied", { id, comment, rules: approval.rules })
        : new Refused("rejected", { id, comment, question, by: approval.approver });
    case "Timeout":
      return approval.deliverable === "none"
        ? new Refused("undeliverable", { id, detail: "no mail could be sent before the deadline" })
        : new Refused("timeout", { id });
    case "Undeliverable":
      return new Refused("undeliverable", { id });
    case "Cancelled":
      return new Refused("cancelled", { id });
    case "Approved":
      return fromExecution(id, approval.execution);
    case "Pending": {
      const detail = "the gate's status is Pending after the deadline: this machine's clock may be ahead of the gate's";
      return new Refused("unavailable", { id, detail });
    }
    default: // one that this version does not know
      return new Refused("unavailable", { id, detail: `the gate's status is ${status}` });
  }
}

function fromExecution(id: string, execution: string | null): Refused {
  if (execution === "Lapsed") return lapsed(id);
  if (execution === "Revoked") return new Refused("revoked", { id });
  return new Refused("used", { id, detail: `its execution: ${execution}`, execution });
}

/** A call failed before the gate can have accepted a request. */
export function beforeSubmit(error: GateError): Refused {
  if (error instanceof UnreachableError || error instanceof UnavailableError)
    return new Refused("unreachable", { detail: error.message });
  if (error instanceof TlsError || error instanceof NoTokenError || error instanceof InvalidResponseError)
    return new Refused("misconfigured", { detail: error.message });
  if (error instanceof UntrustedError) return new Refused("unverified", { detail: error.message, noOneWasAsked: true });
  return fromError(error);
}

/** A call failed when the gate had accepted a request, or may have. */
export function afterSubmit(error: GateError): Refused {
  const refused = fromError(error);
  return refused.reason === "misconfigured" ? new Refused("unavailable", { detail: refused.detail }) : refused;
}

/** The gate refused a claim with a 409, and the request's state after it is this. */
export function afterConflict(problem: ProblemError, approval: Approval): Refused {
  const { id, status, execution } = approval;
  if (status !== "Approved" || execution !== null) return fromStatus(approval);
  // Nothing was claimed, and the gate's own words say what is amiss: the standing grant was ended, for example.
  const { reason, detail } = fromProblem(problem);
  return new Refused(reason, { id, detail });
}

export function fromError(error: GateError): Refused {
  if (error instanceof ProblemError) return fromProblem(error);
  if (error instanceof SettingsError) return new Refused("misconfigured", { detail: error.message });
  if (error instanceof UntrustedError) return unverified(error.message);
  return new Refused("unavailable", { detail: error.message });
}

function fromProblem(problem: ProblemError): Refused {
  const isInvalid = INVALID_STATUSES.includes(problem.status);
  let detail = isInvalid ? problem.detail : problem.message;
  for (const error of problem.errors) {
    const field = `${error.pointer} ${error.detail}`;
    if (!detail.includes(field)) detail += `; ${field}`;
  }
  if (problem.says("rejected-before")) return new Refused("rejected-before", { detail });
  if (isInvalid) return invalid(detail);
  // No later call finds it.
  if (problem.says("not-found"))
    return invalid(
      "the gate has no such request of this caller: submit it first, with the key or identity that resumes it",
    );
  if (problem.says("paused")) return new Refused("paused", { detail });
  if (problem.says("forbidden")) return new Refused("misconfigured", { detail });
  return new Refused("unavailable", { detail });
}
