// One kind of action behind the gate.

import type { Approval } from "./approval.js";
import { background } from "./background.js";
import type { NewApproval } from "./client.js";
import type { Connection } from "./connection.js";
import { GateError, ProblemError } from "./errors.js";
import { CORRELATION_ID, Handle } from "./handle.js";
import { Interest } from "./interest.js";
import { checkNames, checkSeconds } from "./options.js";
import { ExactParameters, ParametersError, toCanonical } from "./parameters.js";
import { executeUnder, notify, Pending, unlessAborted, type OnPending, type WaitOptions } from "./pending.js";
import { toText, type Permit } from "./permit.js";
import { Run } from "./proof.js";
import { afterSubmit, beforeSubmit, invalid, unverified } from "./refusal.js";
import { retryFirstContact } from "./retry.js";
import type { JsonObject } from "./strict-json.js";

/** Where the gate calls when there is news of a request. */
export interface NewCallback {
  /** The name of a channel of the operator's. */
  readonly channel: string;
  /** A text that the callback repeats, at most 256 characters. */
  readonly state?: string;
}

export interface ActionOptions {
  /** The agent's name, 1 to 128 characters. */
  readonly agent: string;
  /** What the action is, for people: one line of 1 to 256 characters. */
  readonly action: string;
  /** The approvers; the default is the gate's. */
  readonly approvers?: readonly string[] | undefined;
  /** The time for a decision, 10 to 2,592,000 seconds; the default is the gate's. */
  readonly timeoutSeconds?: number | undefined;
  /** Why the agent wants this, shown as not verified. */
  readonly reason?: string | undefined;
  /** The address of the person the agent acts for, who cannot be an approver. */
  readonly onBehalfOf?: string | undefined;
  /** The agent's own name for the request, `[A-Za-z0-9._-]{1,64}`; the default is a fresh one. */
  readonly correlationId?: string | undefined;
  /** The id of an earlier request of this agent that was rejected, withdrawn or not decided in time, such as `Refused.id`:
   * this one takes its place, and the approvers see what changed. */
  readonly supersedes?: string | undefined;
  /** Where the gate calls when there is news of the request: the name of a channel, or with a text that the callback
   * repeats. The agent's web server passes the call to `verifyCallback`. */
  readonly callback?: string | NewCallback | undefined;
  /** Called when the request was submitted, and now and then while it is pending. */
  readonly onPending?: OnPending | undefined;
}

export const ACTION_OPTIONS: Readonly<Record<keyof ActionOptions, true>> = {
  agent: true,
  action: true,
  approvers: true,
  timeoutSeconds: true,
  reason: true,
  onBehalfOf: true,
  correlationId: true,
  supersedes: true,
  callback: true,
  onPending: true,
};

export interface ClaimOptions extends WaitOptions {
  /** A stored handle: it submits the request or resumes it, wherever the program was interrupted. */
  readonly handle?: Handle | undefined;
  /** Whether the request stays open when the caller stops waiting; the default is whether there is a stored handle, or a
   * correlation id with the agent's claim key or `waitSeconds`: another call may wait for it. */
  readonly detached?: boolean | undefined;
}

const SUBMIT_OPTIONS = { handle: true, detached: true, signal: true } as const;
const CLAIM_OPTIONS: Readonly<Record<keyof ClaimOptions, true>> = { ...SUBMIT_OPTIONS, waitSeconds: true };

/** An action of an agent that needs approval, made by `Gate.action`. */
export class Action {
  readonly #connection: Connection;
  readonly #claimKey: string;
  readonly #isClaimKeyShared: boolean;

  constructor(
    connection: Connection,
    claimKey: string,
    isClaimKeyShared: boolean,
    readonly options: ActionOptions & { readonly approvers: readonly string[] },
  ) {
    this.#connection = connection;
    this.#claimKey = claimKey;
    this.#isClaimKeyShared = isClaimKeyShared;
  }

  /** A name and a secret for one request, to be stored before it is submitted: `submit` under it and `resume` find the
   * same request after a restart. Throws a `Refused` if the correlation id is none. */
  prepare(): Handle {
    if (this.options.correlationId !== undefined && !CORRELATION_ID.test(this.options.correlationId))
      throw invalid("the correlation id must be 1 to 64 letters, digits, dots, dashes or underscores");
    return Handle.create(this.options.agent, this.options.correlationId, this.#claimKey);
  }

  /** Submits a request without waiting for the decision. Under the same handle with the same parameters, it is the same
   * request. Throws a `Refused` if the gate does not accept it. */
  async submit(parameters: object, options: Omit<ClaimOptions, "waitSeconds"> = {}): Promise<Pending> {
    checkNames(options, SUBMIT_OPTIONS);
    const { pending, interest } = await this.#submit(parameters, options);
    interest.end();
    return pending;
  }

  async #submit(
    parameters: object,
    { handle, signal, detached = this.#isShared(handle) }: Omit<ClaimOptions, "waitSeconds">,
  ): Promise<{ readonly pending: Pending; readonly interest: Interest }> {
    signal?.throwIfAborted();
    const run = this.#run(handle ?? this.prepare(), parameters);
    const interest = new Interest(this.#connection, run.handle, detached);
    try {
      const approval = await this.#submitRun(run, interest, signal);
      interest.release();
      return { pending: this.#pending(run, detached, approval), interest };
    } catch (error) {
      interest.end();
      throw error;
    }
  }

  /** A request that this or another process submitted.
   *
   * If that process had claimed the approval when it died, the action may have run: then it is refused, and not run
   * again. */
  resume(handle: Handle, parameters: object): Pending {
    return this.#pending(this.#run(handle, parameters), true);
  }

  /** Requests approval of exactly these parameters, waits, and claims the approval: see `Pending.claim`. With
   * `waitSeconds` and a correlation id, the request stays open when the caller stops waiting. */
  async claim(parameters: object, options: ClaimOptions = {}): Promise<Permit> {
    checkNames(options, CLAIM_OPTIONS);
    const { waitSeconds, signal } = options;
    checkSeconds("waitSeconds", waitSeconds); // before anyone is asked
    // The same call again goes on with it.
    const mayComeBack = waitSeconds !== undefined && this.options.correlationId !== undefined;
    const detached = options.detached ?? (mayComeBack || undefined);
    const { pending, interest } = await this.#submit(parameters, { ...options, detached });
    const claiming = pending.claim({ waitSeconds, signal });
    // Only now, when the wait has begun: no other call withdraws the request before it.
    interest.end();
    return claiming;
  }

  /** Requests approval of exactly these parameters, waits, and calls `execute` with a copy of them only after a person
   * approved: once, and before the approval lapses. Then reports to the gate whether it failed. Throws a `Refused` if it
   * is anything but a verified approval. */
  async run<T>(
    parameters: object,
    execute: (approved: JsonObject) => T,
    options: ClaimOptions = {},
  ): Promise<Awaited<T>> {
    const exact = toExact(parameters);
    return executeUnder(await this.claim(exact, options), () => execute(exact.object), options.signal);
  }

  /** Whether another process can have the handle, and wait for the same request. */
  #isShared(stored: Handle | undefined): boolean {
    return stored !== undefined || (this.#isClaimKeyShared && this.options.correlationId !== undefined);
  }

  #run(handle: Handle, parameters: object): Run {
    const { agent, action, approvers } = this.options;
    if (!(handle instanceof Handle)) throw new TypeError("handle must be a Handle");
    if (!handle.isOf(agent)) throw invalid("the handle is of another agent");
    return new Run(agent, action, approvers, handle, toExact(parameters));
  }

  #pending(run: Run, isDetached: boolean, approval?: Approval): Pending {
    const { onPending } = this.options;
    return new Pending(this.#connection, run, { onPending, isDetached, ...(approval ? { approval } : {}) });
  }

  async #submitRun(run: Run, interest: Interest, signal?: AbortSignal): Promise<Approval> {
    const request = this.#request(run);
    try {
      // First, so that no person decides what could not run.
      await this.#connection.keys(signal);
    } catch (error) {
      throw error instanceof GateError ? beforeSubmit(error) : error;
    }
    const approval = await this.#callSubmit(request, interest, signal);
    if (approval.id !== run.handle.id || approval.parametersDigest !== run.parameters.digest)
      throw unverified("the gate accepted another request than was submitted");
    if (approval.status === "Pending") notify(this.options.onPending, approval, this.#connection.logger);
    return approval;
  }

  async #callSubmit(request: NewApproval, interest: Interest, signal?: AbortSignal): Promise<Approval> {
    const { client, logger } = this.#connection;
    let mayBeAccepted = false;
    const attempt = async (shared: Interest) => {
      try {
        const approval = await client.submit(request);
        shared.markOpen();
        return approval;
      } catch (error) {
        mayBeAccepted ||= error instanceof GateError && error.mayBeAccepted;
        if (!(error instanceof GateError) || error.mayBeAccepted) shared.markOpen();
        throw error;
      } finally {
        shared.end();
      }
    };
    const call = async () => {
      signal?.throwIfAborted();
      // It goes on if the caller has aborted: the withdrawal must not overtake the request.
      const answer = attempt(interest.share());
      background(answer.then(ignore, ignore));
      return unlessAborted(answer, signal);
    };
    try {
      return await retryFirstContact(call, logger, signal);
    } catch (error) {
      if (!(error instanceof GateError)) throw error;
      if (error instanceof ProblemError && error.status === 409) interest.release(); // the name is that of another request
      throw mayBeAccepted ? afterSubmit(error) : beforeSubmit(error);
    }
  }

  #request({ handle, parameters }: Run): NewApproval {
    const { agent, action, approvers, timeoutSeconds, reason, onBehalfOf, supersedes } = this.options;
    const callback = toCallback(this.options.callback);
    const settings = {
      agentName: agent,
      actionDescription: action,
      // Chosen here, so that a retry after a lost response finds the same request.
      correlationId: handle.correlationId,
      claimant: handle.claimant,
      ...(approvers.length > 0 ? { approverEmails: [...approvers] } : {}), // the operator's policy may name them
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      ...(reason === undefined ? {} : { reason }),
      ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
      ...(supersedes === undefined ? {} : { supersedes }),
      ...(callback === undefined ? {} : { callback }),
    };
    checkJson(settings);
    return { ...settings, parameters: parameters.object };
  }
}

function ignore(): void {}

function toCallback(callback: string | NewCallback | undefined): NewCallback | undefined {
  return typeof callback === "string" ? { channel: callback } : callback;
}

/** Throws a `Refused` if JSON cannot carry the settings: Infinity, or half of a surrogate pair, in one of them. */
function checkJson(settings: object): void {
  try {
    toCanonical(settings);
  } catch (error) {
    throw invalid(`a setting cannot be written as JSON: ${toText(error)}`);
  }
}

/** The exact parameters, or throws a `Refused`. */
export function toExact(parameters: object): ExactParameters {
  if (parameters instanceof ExactParameters) return parameters;
  try {
    return new ExactParameters(parameters);
  } catch (error) {
    throw error instanceof ParametersError ? invalid(error.message) : error;
  }
}
