// `examples/typescript`: the demo without accounts against a real gate, and the smallest tool.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, it } from "node:test";
import { MockGate, reject, approve } from "human-oversight/mock";
import { read } from "../repository.js";
import { RealGate } from "./desk.js";

const REJECTED = "Not run: rejected by alice@example.com. Their reason: Ask Legal first";
const BUILT = new URL("../examples/", import.meta.url);

describe("a chat model deletes a user", () => {
  for (const [verdict, words, users] of [
    ["approve", "User 1 (former-contractor@example.com) deleted.", 2],
    ["reject", REJECTED, 3],
  ] as const)
    it(verdict, async () => {
      const real = await RealGate.start();
      const env = { ...process.env, HO_URL: real.url, APPROVER_EMAILS: "alice@example.com" };
      const demo = fileURLToPath(new URL("user-manager.js", BUILT));
      const child = spawn(process.execPath, [demo, "--offline"], { env, stdio: ["ignore", "pipe", "inherit"] });
      let output = "";
      child.stdout.on("data", (chunk) => (output += String(chunk)));
      const closed = once(child, "close"); // the program may end before the decision's answer is read
      await real.decide(verdict, "Ask Legal first");
      const [code] = (await closed) as [number];
      await real.stop();
      assert.equal(code, 0);
      assert(output.includes(`Agent: I asked for the deletion. ${words}\n`), output);
      assert.equal(output.trimEnd().split("\n").at(-1)?.match(/@/g)?.length, users);
    });
});

describe("the smallest tool of a framework", () => {
  for (const [answer, words] of [
    [approve, "User 1 deleted."],
    [reject("Ask Legal."), "Not run: rejected by approver@example.com. Their reason: Ask Legal."],
  ] as const)
    it(answer.status, async () => {
      const mock = new MockGate(() => answer);
      const { delete_user } = (await import(new URL("with-ai-sdk.js", BUILT).href)) as {
        delete_user: { execute: (input: object, call: object) => Promise<string> };
      };
      assert.equal(await mock.gate.scope(() => delete_user.execute({ user_id: "1" }, { toolCallId: "1" })), words);
      assert.deepEqual(mock.requests[0]?.parameters, { user_id: "1" });
    });

  it("a gate costs at most five lines from its installation on", () => {
    const lines = read("examples/typescript/with-ai-sdk.ts").split("\n");
    const costs = lines.filter((line) => /human-oversight|gated/.test(line));
    assert(costs.length >= 3 && costs.length <= 5, costs.join("\n"));
    assert(costs[0]?.startsWith("// npm install "));
  });
});
