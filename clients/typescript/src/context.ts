// What belongs to a call: the framework's name for it, and the proof that it may run.

import { AsyncLocalStorage } from "node:async_hooks";
import { toCorrelationId } from "./handle.js";
import type { Proof } from "./proof.js";

const calls = new AsyncLocalStorage<string | undefined>();
const proofs = new AsyncLocalStorage<Proof>();

/** Names the requests of gated functions that are called within after a tool call of the model.
 *
 * The same call again is the same request, and asks no one again. So two gated functions in one tool call, one beside the
 * other, need a `correlationId` each; a gated function that another one calls has a name of its own. Ids of tool calls are
 * not unique everywhere: name the run, or the thread of the conversation, too. If the last name is empty, as with servers of
 * models that give calls no ids, each gated call within is a request of its own.
 *
 *     await toolCall([runId, callId], () => deleteUser({ user_id: "1" })); */
export function toolCall<T>(names: string | readonly string[], within: () => T): T {
  return calls.run(toCorrelationId(...(typeof names === "string" ? [names] : names)), within);
}

export function currentCorrelationId(): string | undefined {
  return calls.getStore();
}

/** Receipt and permit of the gated function that is running, for a service that demands them. */
export function currentProof(): Proof | undefined {
  return proofs.getStore();
}

/** While a gated function runs. The name of the tool call is that of its request, and of no other within. */
export function proofScope<T>(proof: Proof, within: () => T): T {
  return proofs.run(proof, () => calls.run(undefined, within));
}
