// A request is withdrawn when the last call of this process that waits for it goes, and not before.

import assert from "node:assert/strict";
import { it } from "node:test";
import { flush, Gate, gated, Undecided } from "human-oversight";
import { MockGate } from "human-oversight/mock";

const SETTINGS = { agent: "UserManagerAgent", action: "Delete User Account", correlationId: "call-1" };
const UNREADABLE = () => new Response("<html>");

/** A gate whose requests stay pending, and which answers some calls later, or otherwise. */
function slow() {
  const mock = new MockGate();
  const calls: string[] = [];
  const held = new Map<string, Promise<void>>();
  const answers = new Map<string, () => Response>();
  let arrived: (call: string) => void = () => undefined;
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const call = String(url).split("/")[4] ?? "";
    calls.push(call);
    arrived(call);
    await held.get(call);
    const answer = answers.get(call);
    if (answer) return answer();
    const response = await mock.fetch(url, init);
    if (call !== "submit" && call !== "status") return response;
    return Response.json({ ...((await response.json()) as object), status: "Pending", receipt: null, approver: null });
  };
  const logger = { warn: () => undefined, error: () => undefined };
  const gate = new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch, logger });
  const withdrawals = async () => {
    await flush();
    return calls.filter((call) => call === "withdraw").length;
  };
  const waitFor = (call: string) => new Promise<void>((resolve) => (arrived = (it) => void (it === call && resolve())));
  return { gate, calls, held, answers, withdrawals, waitFor };
}

/** A call that waits for a decision. */
async function waiting(gate: Gate) {
  const aborting = new AbortController();
  let call: Promise<unknown> = Promise.resolve();
  await new Promise<void>((resolve) => {
    call = gate.action({ ...SETTINGS, onPending: () => resolve() }).claim({}, { signal: aborting.signal });
  });
  return async () => {
    aborting.abort();
    await assert.rejects(call, { name: "AbortError" });
  };
}

for (const [call, expected] of [
  ["keys", ["keys"]],
  ["submit", ["keys", "submit", "withdraw"]],
] as const)
  it(`a call that is aborted while its ${call} is on the way ${call === "keys" ? "withdraws nothing" : "withdraws it"}`, async () => {
    const { gate, calls, held, waitFor } = slow();
    let forward = () => undefined as void;
    held.set(call, new Promise((resolve) => (forward = resolve)));
    const aborting = new AbortController();
    const isThere = waitFor(call);
    const claiming = gate.action(SETTINGS).claim({}, { signal: aborting.signal });
    await isThere;
    aborting.abort();
    if (call === "keys") forward();
    await assert.rejects(claiming, { name: "AbortError" });
    assert(!calls.includes("withdraw"));
    forward();
    await flush();
    assert.deepEqual(calls, expected);
  });

it("the last call under a name that is aborted withdraws the request", async () => {
  const { gate, withdrawals } = slow();
  const [abortFirst, abortSecond] = [await waiting(gate), await waiting(gate)];
  await abortFirst();
  assert.equal(await withdrawals(), 0);
  await abortSecond();
  assert.equal(await withdrawals(), 1);
});

it("a call that is aborted as another begins to wait leaves the request to it", async () => {
  const { gate, withdrawals } = slow();
  const abortFirst = await waiting(gate);
  const aborting = new AbortController();
  let first: Promise<void> | undefined;
  const onPending = () => void (first ??= abortFirst());
  const second = gate.action({ ...SETTINGS, onPending }).claim({}, { signal: aborting.signal });
  second.catch(() => undefined);
  while (first === undefined) await new Promise(setImmediate);
  await first;
  assert.equal(await withdrawals(), 0);
  aborting.abort();
  await assert.rejects(second, { name: "AbortError" });
  assert.equal(await withdrawals(), 1);
});

it("a call under the same name that fails leaves the request to the first", async () => {
  const { gate, answers, withdrawals } = slow();
  const abortFirst = await waiting(gate);
  answers.set("submit", UNREADABLE);
  await assert.rejects(gate.action(SETTINGS).claim({}), { name: "Refused", reason: "unavailable" });
  assert.equal(await withdrawals(), 0);
  await abortFirst();
  assert.equal(await withdrawals(), 1);
});

it("a call that comes back and fails leaves its request open", async () => {
  const { gate, answers, withdrawals } = slow();
  const call = gated({ ...SETTINGS, gate, waitSeconds: 0 }, () => "ran");
  await assert.rejects(call({}), Undecided);
  answers.set("submit", UNREADABLE);
  await call({});
  assert.equal(await withdrawals(), 0);
});

for (const [correlationId, expected] of [
  [undefined, 1],
  ["call-1", 0],
] as const)
  it(`a call with waitSeconds that is aborted ${correlationId ? "leaves a request with a name open" : "withdraws one without a name"}`, async () => {
    const { gate, withdrawals } = slow();
    const aborting = new AbortController();
    const onPending = () => aborting.abort();
    const run = (_: object, _signal: AbortSignal) => "ran";
    const call = gated({ ...SETTINGS, correlationId, gate, waitSeconds: 30, onPending }, run);
    await assert.rejects(call({}, aborting.signal), { name: "AbortError" });
    assert.equal(await withdrawals(), expected);
  });

it("a request without a name is open after an Undecided, until its next wait is aborted", async () => {
  const { gate, withdrawals } = slow();
  const action = gate.action({ ...SETTINGS, correlationId: undefined });
  const undecided: unknown = await action.claim({}, { waitSeconds: 0 }).catch((error: unknown) => error);
  assert(undecided instanceof Undecided);
  assert.equal(await withdrawals(), 0);
  const again = undecided.pending.claim({ waitSeconds: 30, signal: AbortSignal.abort() });
  await assert.rejects(again, { name: "AbortError" });
  assert.equal(await withdrawals(), 1);
});
