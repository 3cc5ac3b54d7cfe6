// The gate's response about one request.

import { InvalidResponseError } from "./errors.js";
import { isObject } from "./strict-json.js";
import type { components } from "./wire.js";

type Wire = components["schemas"];

/** A word of this version, or one of a later version of the gate. */
type OrLater<Word extends string> = Word | (string & Record<never, never>);

/** How many votes of the open stage are there, where the operator's policy asks for several. */
export interface Progress {
  /** The number of the open stage, from 1. */
  readonly stage: number;
  readonly stages: number;
  readonly needed: number;
  readonly given: number;
  /** The groups whose approval is missing. */
  readonly awaiting: readonly string[];
}

/** A request as the gate has it. Only what the gate signed proves anything: see `human-oversight/receipts`. */
export interface Approval {
  readonly id: string;
  readonly parametersDigest: string;
  readonly status: OrLater<Wire["Status"]>;
  readonly expiresAt: Date;
  readonly approver: string | null;
  readonly comment: string | null;
  /** Where the person who rejected asks for a changed request: what they ask. */
  readonly question: string | null;
  /** What became of an approval. */
  readonly execution: OrLater<Wire["ExecutionStatus"]> | null;
  readonly deliverable: OrLater<Wire["Deliverable"]> | null;
  readonly receipt: string | null;
  readonly permit: string | null;
  /** `person`, `policy` or `grant`, if one decided. */
  readonly decider: OrLater<NonNullable<Wire["Approval"]["decider"]>> | null;
  /** The rules of the operator's policy that applied. */
  readonly rules: readonly string[];
  /** How many votes there are, where the policy asks for several and the request is open. */
  readonly progress: Progress | null;
}

/** Reads a response of submit, status, claim, outcome or withdraw, or throws an `InvalidResponseError`. */
export function readApproval(answer: unknown): Approval {
  if (!isObject(answer)) throw new InvalidResponseError("it is no object");
  const [execution, policy, progress, revise] = ["execution", "policy", "progress", "revise"].map((name) =>
    object(answer, name),
  );
  const expiresAt = new Date(text(answer, "expiresAt"));
  if (Number.isNaN(expiresAt.getTime())) throw new InvalidResponseError("its expiresAt is no time");
  return {
    id: text(answer, "id"),
    parametersDigest: text(answer, "parametersDigest"),
    status: text(answer, "status"),
    expiresAt,
    approver: optional(answer, "approver"),
    comment: optional(answer, "comment"),
    question: revise ? text(revise, "question") : null,
    execution: execution ? text(execution, "status") : null,
    deliverable: optional(answer, "deliverable"),
    receipt: optional(answer, "receipt"),
    permit: optional(answer, "permit"),
    decider: optional(answer, "decider"),
    rules: policy ? texts(policy, "rules") : [],
    progress: progress ? readProgress(progress) : null,
  };
}

function readProgress(answer: Members): Progress {
  const [stage = 0, stages = 0, needed = 0, given = 0] = ["stage", "stages", "needed", "given"].map((member) => {
    const value = answer[member];
    if (typeof value !== "number") throw new InvalidResponseError(`its ${member} is no number`);
    return value;
  });
  return { stage, stages, needed, given, awaiting: texts(answer, "awaiting") };
}

type Members = { [name: string]: unknown };

function text(answer: Members, member: string): string {
  const value = answer[member];
  if (typeof value !== "string") throw new InvalidResponseError(`its ${member} is no text`);
  return value;
}

function optional(answer: Members, member: string): string | null {
  return answer[member] === undefined || answer[member] === null ? null : text(answer, member);
}

function object(answer: Members, member: string): Members | undefined {
  const value = answer[member] ?? undefined;
  if (value !== undefined && !isObject(value)) throw new InvalidResponseError(`its ${member} is no object`);
  return value;
}

function texts(answer: Members, member: string): string[] {
  const value = answer[member];
  if (!Array.isArray(value)) throw new InvalidResponseError(`its ${member} is no list`);
  return value.map(String);
}
