// What the scenarios leave out, against a real gate: decisions are made by the page's form.

import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { flush, Gate, gated, Handle, Refused, toolCall, Undecided, type GateOptions } from "human-oversight";
import { RealGate } from "./desk.js";

let real: RealGate;

beforeEach(async () => {
  real = await RealGate.start();
});
afterEach(() => real.stop());

function connect(options: Partial<GateOptions> = {}): Gate {
  return new Gate({ url: real.url, approvers: ["alice@example.com"], ...options });
}

const settings = { agent: "A", action: "Delete" };

it("a function that does not wait is called again", async () => {
  const ran: string[] = [];
  // A gate of its own for each call, as after a restart: the claim key gives the same handle.
  const call = () => {
    const gate = connect({ claimKey: "5a".repeat(32) });
    const run = gated({ ...settings, waitSeconds: 0, gate }, ({ id }: { id: string }) => ran.push(id));
    return toolCall(["thread 7", "call_1"], () => run({ id: "1" }));
  };
  for (let time = 1; time <= 2; time++)
    await assert.rejects(call, (error) => error instanceof Undecided && /^PENDING: a person must/.test(error.message));
  await real.decide("approve");
  assert.equal(await call(), 1);
  assert.equal(await call(), "Not run again: the approval was used before, and the action ran.");
  assert.deepEqual([ran, (await real.questions()).length], [["1"], 1]);
});

it("a wait is waited out where the gate asks for a longer pause", async () => {
  let looks = 0;
  const inProduction: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).includes("/status/")) return response;
    looks += 1;
    return new Response(response.body, { status: response.status, headers: { "retry-after": "15" } });
  };
  const pending = await connect({ fetch: inProduction }).action(settings).submit({});
  const began = performance.now();
  await assert.rejects(pending.claim({ waitSeconds: 1 }), (error) => error instanceof Undecided);
  assert.equal(looks, 2);
  assert.ok(performance.now() - began >= 990);
});

it("a stored handle outlives its process", async () => {
  const action = connect().action(settings);
  const handle = action.prepare();
  const stored = handle.serialize();
  await action.submit({ user: 1 }, { handle });
  await real.decide("approve");
  const again = Handle.parse(stored);
  const later = connect().action(settings);
  assert.equal(await later.run({ user: 1 }, ({ user }) => `ran on ${String(user)}`, { handle: again }), "ran on 1");
  await assert.rejects(
    later.resume(again, { user: 1 }).run(() => "ran again"),
    { reason: "used" },
  );
});

it("other parameters than the approved ones do not run", async () => {
  const action = connect().action(settings);
  const pending = await action.submit({ user: 1 });
  const id = await real.decide("approve");
  await assert.rejects(action.resume(pending.handle, { user: 2 }).claim(), { reason: "unverified" });
  assert.equal((await real.status(id)).execution, null);
});

it("a signal in the framework's context withdraws the request", async () => {
  const aborting = new AbortController();
  const run = gated({ ...settings, gate: connect() }, (_: object, _call: { abortSignal: AbortSignal }) => "ran");
  const call = run({}, { abortSignal: aborting.signal });
  const id = await real.asked();
  aborting.abort(new Error("the user has gone"));
  await assert.rejects(call, /the user has gone/);
  await flush();
  assert.equal((await real.status(id)).status, "Cancelled");
});

it("an action that is aborted while it runs is reported as given up", async () => {
  const aborting = new AbortController();
  const begun = new EventTarget();
  const run = gated({ ...settings, gate: connect() }, async (_: object, signal: AbortSignal) => {
    begun.dispatchEvent(new Event("begun"));
    await sleep(60_000, undefined, { signal });
  });
  const call = run({}, aborting.signal);
  const [id] = await Promise.all([real.decide("approve"), once(begun, "begun")]);
  aborting.abort();
  await assert.rejects(call, { name: "AbortError" });
  const { execution } = await real.status(id);
  assert.equal(execution?.status, "ExecutionFailed");
  assert.equal(execution.error, "given up while it ran: it may have run, or a part of it");
});

it("a permit that comes when nothing waits any more runs nothing, and is reported", async () => {
  const aborting = new AbortController();
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const response = await globalThis.fetch(input, init);
    if (String(input).includes("/claim/")) aborting.abort();
    return response;
  };
  const ran: string[] = [];
  const run = gated({ ...settings, gate: connect({ fetch }) }, (_: object, _signal: AbortSignal) => ran.push("ran"));
  const aborted = assert.rejects(run({}, aborting.signal), { name: "AbortError" });
  const id = await real.decide("approve");
  await aborted;
  await flush();
  const { execution } = await real.status(id);
  assert.deepEqual(ran, []);
  assert.equal(execution?.error, "not run: nothing waited for the approval any more");
});

it("a program checks its settings", async () => {
  await connect().check();
  assert.deepEqual(await real.questions(), []);
});

it("a gate of identities says that it takes no function keys", async () => {
  const ofIdentities = await RealGate.start({ identity: {} });
  const gate = connect({ url: ofIdentities.url, key: "the-function-key" });
  await assert.rejects(gate.check(), /no function keys .* set HO_AUDIENCE/);
  await assert.rejects(gate.action(settings).submit({}), { reason: "misconfigured" });
  await ofIdentities.stop();
});

it("a person who rejects is named", async () => {
  const call = gated({ ...settings, gate: connect(), onRefusal: (refused) => refused }, () => "ran")({});
  await real.decide("reject", "Ask Legal");
  const refused = await call;
  assert(refused instanceof Refused);
  assert.deepEqual([refused.by, refused.comment], ["alice@example.com", "Ask Legal"]);
});

it("no line of the log has a secret", async () => {
  const lines: string[] = [];
  const logger = { warn: (line: string) => void lines.push(line), error: (line: string) => void lines.push(line) };
  const gate = connect({ key: "the-function-key", logger });
  const onPending = () => {
    throw new Error("no terminal");
  };
  const action = gate.action({ ...settings, onPending });
  const handle = action.prepare();
  const call = action.run({ user: "the-user" }, () => "ran", { handle });
  await real.decide("approve");
  assert.equal(await call, "ran");
  const bad = gated({ ...settings, approvers: ["not an address"], gate }, () => "ran"); // the gate's answer names it
  assert.match(await bad({}), /^Not run: the request is invalid/);
  assert.match(lines.join("\n"), /onPending failed/);
  for (const secret of ["the-function-key", handle.secret, "the-user", "alice@"])
    assert(!lines.join("\n").includes(secret), secret);
});
