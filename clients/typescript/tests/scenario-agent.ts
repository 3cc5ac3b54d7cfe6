// The agent of `conformance/run.py`: see `conformance/README.md`.

import { createInterface } from "node:readline";
import { CallbackError, flush, Gate, Handle, Refused, Undecided, verifyCallback } from "human-oversight";
import type { Action, Permit } from "human-oversight";

interface Order {
  agentName: string;
  actionDescription: string;
  parameters: object;
  approverEmails: string[];
  timeoutSeconds: number;
  copies: number;
  fails: string | null;
  handle?: { id: string; secret: string };
  supersedes?: string;
  callback?: { channel: string; state?: string };
}

/** A further line, where the request names a callback: what the agent's web server gets. */
interface Line {
  callback: { headers: [string, string][]; body: string };
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const order = JSON.parse(String((await lines.next()).value)) as Order;
const aborting = new AbortController();
if (!order.callback) void lines.next().then(({ done }) => done || aborting.abort());

function tell(event: string, members: object): void {
  process.stdout.write(`${JSON.stringify({ event, ...members })}\n`);
}

async function run(gate: Gate): Promise<void> {
  const handle = order.handle && Handle.parse(JSON.stringify(order.handle));
  let isTold = order.callback !== undefined;
  let votes = "";
  const action = gate.action({
    agent: order.agentName,
    action: order.actionDescription,
    approvers: order.approverEmails,
    timeoutSeconds: order.timeoutSeconds,
    supersedes: order.supersedes,
    callback: order.callback,
    onPending: ({ progress }) => {
      if (!isTold) tell("pending", { handle: JSON.parse(prepared.serialize()) as object });
      isTold = true;
      const { given, needed } = progress ?? {};
      if (progress && votes !== (votes = `${given} of ${needed}`)) tell("progress", { given, needed });
    },
  });
  const prepared = handle ?? action.prepare();
  try {
    if (order.callback) return await awaitCallback(action, prepared);
    const options = { handle: prepared, detached: handle !== undefined, signal: aborting.signal };
    await runUnder(await action.claim(order.parameters, options));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { reason, message, question, id } = error;
    tell("end", { outcome: "refused", reason, text: message, question, id });
  }
}

async function runUnder(permit: Permit): Promise<void> {
  tell("ran", { parameters: order.parameters });
  if (order.fails === null) await permit.executed();
  else await permit.failed(order.fails);
  tell("end", order.fails === null ? { outcome: "executed", comment: permit.proof.comment } : { outcome: "failed" });
}

/** Submits the request, unless it was before, and claims when a callback about it finds a decision. */
async function awaitCallback(action: Action, handle: Handle): Promise<void> {
  if (!order.handle) {
    await action.submit(order.parameters, { handle });
    tell("pending", { handle: JSON.parse(handle.serialize()) as object });
  }
  for (;;) {
    const { callback } = JSON.parse(String((await lines.next()).value)) as Line;
    const result = await look(action, handle, callback);
    if (result instanceof Refused || typeof result !== "string") {
      tell("callback", { result: "settled" });
      if (result instanceof Refused) throw result;
      return runUnder(result);
    }
    tell("callback", { result });
  }
}

/** What a callback leads to: a permit, a refusal, or why neither. */
async function look(action: Action, handle: Handle, call: Line["callback"]): Promise<Permit | Refused | string> {
  try {
    if (verifyCallback(new Headers(call.headers), call.body).id !== handle.id) return "unknown";
    return await action.resume(handle, order.parameters).claim({ waitSeconds: 0 });
  } catch (error) {
    if (error instanceof CallbackError) return "not-verified";
    if (error instanceof Undecided) return "undecided";
    if (error instanceof Refused) return error;
    throw error;
  }
}

try {
  const gate = Gate.fromEnv();
  await Promise.all(Array.from({ length: order.copies }, () => run(gate)));
} catch (error) {
  if (!aborting.signal.aborted) throw error;
  tell("end", { outcome: "cancelled" });
}
await flush();
process.exit();
