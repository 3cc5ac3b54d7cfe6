// The mock refuses what the gate refuses, and what its policy throws is the test's.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gate, gated, type Refused } from "human-oversight";
import { approve, MockGate, type Answer } from "human-oversight/mock";
import { read } from "./repository.js";

const SETTINGS = { agent: "UserManagerAgent", action: "Delete User Account" };

describe("the policy of a mock", () => {
  it("ends the call with what it throws, whatever a refused call does", async () => {
    const unexpected = new Error("not expected");
    const mock = new MockGate(() => {
      throw unexpected;
    });
    const ofItsOwn = new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch: mock.fetch });
    for (const onRefusal of ["return", "throw", () => "DENIED"] as const)
      for (const gate of [mock.gate, ofItsOwn]) {
        const call = gated({ ...SETTINGS, gate, onRefusal }, () => "ran")({});
        await assert.rejects(call, (error) => error === unexpected);
      }
    await assert.rejects(mock.gate.action(SETTINGS).submit({}), (error) => error === unexpected);
    assert.deepEqual(mock.requests, []);
  });

  it("ends the scope, too, where a framework makes a text of what a tool throws", async () => {
    const unexpected = new Error("not expected");
    const mock = new MockGate(() => {
      throw unexpected;
    });
    const run = gated(SETTINGS, () => "ran");
    const within = () => mock.gate.scope(() => run({}).catch(() => "a text for the model"));
    await assert.rejects(within, (error) => error === unexpected);
    assert.equal(await mock.gate.scope(() => Promise.resolve("once")), "once");
  });

  it("is a function", () => {
    assert.throws(() => new MockGate(approve as never), {
      name: "TypeError",
      message: /^the policy of a MockGate must be/,
    });
  });

  const wrong = { undefined: undefined, true: true, text: "Approved", later: Promise.resolve(approve) };
  const odd = { status: { status: "Approve" }, comment: { status: "Rejected", comment: 7 } };
  for (const [name, answer] of Object.entries({ ...wrong, ...odd }))
    it(`ends the call with a TypeError if it returns no answer: ${name}`, async () => {
      const { gate } = new MockGate(() => answer as Answer);
      const call = gated({ ...SETTINGS, gate, onRefusal: () => "DENIED" }, () => "ran")({});
      await assert.rejects(call, { name: "TypeError", message: /^the policy of a MockGate must return approve, / });
    });
});

interface Case {
  readonly name: string;
  readonly change: object;
  readonly pointers?: readonly string[];
}

/** The members of a request that are called otherwise as settings. */
const NAMES: Readonly<Record<string, string>> = {
  agentName: "agent",
  actionDescription: "action",
  approverEmails: "approvers",
};

/** A value of a vector, with its long texts written out. */
function writtenOut(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(writtenOut);
  if (typeof value !== "object" || value === null) return value;
  if ("times" in value) {
    const { text, times, end = "" } = value as { text: string; times: number; end?: string };
    return text.repeat(times) + end;
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, writtenOut(member)]));
}

describe("a mock", () => {
  const { request, accepted, refused } = JSON.parse(read("conformance/requests.json")) as {
    request: object;
    accepted: Case[];
    refused: Case[];
  };
  for (const { name, change, pointers } of [...accepted, ...refused])
    it(`${pointers ? "refuses" : "takes"} what every gate does: ${name}`, async () => {
      const mock = new MockGate();
      const { parameters, ...members } = { ...request, ...(writtenOut(change) as object) } as { parameters: object };
      const settings = Object.fromEntries(Object.entries(members).map(([key, value]) => [NAMES[key] ?? key, value]));
      const options = { ...SETTINGS, ...settings, gate: mock.gate, onRefusal: (it: Refused) => it };
      const outcome = await gated(options, () => "ran")(parameters);
      assert.equal(outcome === "ran", pointers === undefined, String(outcome));
      if (pointers === undefined) return;
      assert(outcome instanceof Error && outcome.reason === "invalid", String(outcome));
      // The client refuses some names itself.
      const isNamed = (pointer: string) =>
        outcome.message.includes(`${pointer === "/correlationId" ? "the correlation id" : pointer} `);
      assert(pointers.every(isNamed), String(outcome));
      assert.deepEqual(mock.requests, []);
    });

  it("refuses a request that is larger than the gate takes", async () => {
    const { gate, requests } = new MockGate();
    const refused = await gated(
      { ...SETTINGS, gate, onRefusal: (it: Refused) => it },
      () => "ran",
    )({
      text: "a".repeat(66_000),
    });
    assert.match(String(refused), /The request is larger than the gate takes\.$/);
    assert.deepEqual(requests, []);
  });
});
