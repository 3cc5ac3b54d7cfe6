// The mock refuses what the gate refuses, and what its policy throws is the test's.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gate, gated, type Refused } from "human-oversight";
import { approve, MockGate, type Answer } from "human-oversight/mock";

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

  const wrong = { undefined: undefined, true: true, text: "Approved", later: Promise.resolve(approve) };
  const odd = { status: { status: "Approve" }, comment: { status: "Rejected", comment: 7 } };
  for (const [name, answer] of Object.entries({ ...wrong, ...odd }))
    it(`ends the call with a TypeError if it returns no answer: ${name}`, async () => {
      const { gate } = new MockGate(() => answer as Answer);
      const call = gated({ ...SETTINGS, gate, onRefusal: () => "DENIED" }, () => "ran")({});
      await assert.rejects(call, { name: "TypeError", message: /^the policy of a MockGate must return approve, / });
    });
});

describe("a mock refuses", () => {
  const onBehalfOf = "approver@example.com";
  const cases: readonly [string, object, object?][] = [
    ["/agentName must have 1 to 128 characters", { agent: "" }],
    ["/agentName must have 1 to 128 characters", { agent: "a".repeat(129) }],
    ["/agentName must have at most 170 bytes of UTF-8", { agent: "ü".repeat(86) }],
    ["/agentName must not contain `://`: a name is no URL", { agent: "https://a" }],
    ["/agentName must be in Unicode's form NFC, without spaces around it", { agent: " A" }],
    ["/agentName must be one line without control characters", { agent: "A\u202eB" }],
    ["/agentName must have only characters that show", { agent: "A\u200bB" }],
    ["/actionDescription must have 1 to 256 characters", { action: "" }],
    ["/actionDescription must have 1 to 256 characters", { action: " " }],
    ["/actionDescription must have 1 to 256 characters", { action: "a".repeat(257) }],
    ["/actionDescription must be one line without control characters", { action: "Delete\nall" }],
    ["/timeoutSeconds must be a whole number from 10 to 2592000", { timeoutSeconds: 5 }],
    ["/timeoutSeconds must be a whole number from 10 to 2592000", { timeoutSeconds: 11.5 }],
    ["/timeoutSeconds must be a whole number from 10 to 2592000", { timeoutSeconds: 2_592_001 }],
    ["/reason must have 0 to 2000 characters", { reason: "a".repeat(20_000) }],
    ["/reason must not have control characters other than line ends and tabs", { reason: "\0" }],
    ["/approverEmails must be an array of 1 to 20 email addresses", { approvers: [] }],
    ["/approverEmails/0 must be a plain email address, such as alice@example.com", { approvers: ["alice"] }],
    ["/approverEmails/0 must be a plain email address, such as alice@example.com", { approvers: ["a@b..com"] }],
    ["/approverEmails/0 must be a plain email address, such as alice@example.com", { approvers: ["a@-b.com"] }],
    ["/approverEmails/1 occurs twice", { approvers: ["a@b.example", "A+x@b.example"] }],
    ["/approverEmails/0 is the person the agent acts for, who cannot approve", { onBehalfOf }],
    ["/onBehalfOf must be a plain email address, such as alice@example.com", { onBehalfOf: "me" }],
    ["/supersedes must be the id of a request", { supersedes: "1" }],
    ["/callback/channel must have 1 to 64 characters", { callback: "" }],
    ["/callback/state must have 0 to 256 characters", { callback: { channel: "a", state: "a".repeat(257) } }],
    ["/parameters must have at most 30720 bytes of canonical JSON", {}, { text: "a".repeat(31_000) }],
    ["The request is larger than the gate takes.", {}, { text: "a".repeat(66_000) }],
  ];
  for (const [why, settings, args = {}] of cases)
    it(`as the gate does: ${why} (${JSON.stringify(settings).slice(0, 40)})`, async () => {
      const mock = new MockGate();
      const options = { ...SETTINGS, gate: mock.gate, onRefusal: (it: Refused) => it, ...settings };
      const refused = await gated(options, () => "ran")(args);
      assert(refused instanceof Error && refused.message.endsWith(why), String(refused));
      assert.equal(refused.reason, "invalid");
      assert.deepEqual(mock.requests, []);
    });

  it("nothing at the limits", async () => {
    const mock = new MockGate();
    const texts = { action: "😀".repeat(256), reason: "a\n\t".repeat(666), onBehalfOf: "me@example.com" };
    const approvers = Array.from({ length: 20 }, (_, number) => ` a${number}+x@bücher.example`);
    const settings = { agent: "ü".repeat(85), approvers, timeoutSeconds: 10, callback: { channel: "a", state: "" } };
    assert.equal(
      await gated({ ...settings, ...texts, gate: mock.gate }, () => "ran")({ text: "a".repeat(30_000) }),
      "ran",
    );
  });
});
