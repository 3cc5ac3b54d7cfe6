// The agent of `conformance/run.py`: see `conformance/README.md`.

import { createInterface } from "node:readline";
import { flush, Gate, Handle, Refused } from "human-oversight";

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
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const order = JSON.parse(String((await lines.next()).value)) as Order;
const aborting = new AbortController();
void lines.next().then(({ done }) => done || aborting.abort());

function tell(event: string, members: object): void {
  process.stdout.write(`${JSON.stringify({ event, ...members })}\n`);
}

async function run(gate: Gate): Promise<void> {
  const handle = order.handle && Handle.parse(JSON.stringify(order.handle));
  let isTold = false;
  let votes = "";
  const action = gate.action({
    agent: order.agentName,
    action: order.actionDescription,
    approvers: order.approverEmails,
    timeoutSeconds: order.timeoutSeconds,
    supersedes: order.supersedes,
    onPending: ({ progress }) => {
      if (!isTold) tell("pending", { handle: JSON.parse(prepared.serialize()) as object });
      isTold = true;
      const { given, needed } = progress ?? {};
      if (progress && votes !== (votes = `${given} of ${needed}`)) tell("progress", { given, needed });
    },
  });
  const prepared = handle ?? action.prepare();
  try {
    const options = { handle: prepared, detached: handle !== undefined, signal: aborting.signal };
    const permit = await action.claim(order.parameters, options);
    tell("ran", { parameters: order.parameters });
    if (order.fails === null) await permit.executed();
    else await permit.failed(order.fails);
    tell("end", order.fails === null ? { outcome: "executed", comment: permit.proof.comment } : { outcome: "failed" });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { reason, message, question, id } = error;
    tell("end", { outcome: "refused", reason, text: message, question, id });
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
