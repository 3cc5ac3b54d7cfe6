// The mock publishes its key however often garbage is collected meanwhile.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { it } from "node:test";

const PROGRAM = `
  import { MockGate } from ${JSON.stringify(new URL("../dist/mock.js", import.meta.url).href)};
  for (let mocks = 0; mocks < 6_000; mocks += 1) {
    const { fetch } = new MockGate();
    for (let calls = 0; calls < 5; calls += 1) await fetch("https://mock.invalid/api/keys");
  }
  console.log("done");`;

it("a collection of garbage while the key is published does not hang the process", () => {
  const collecting = ["--max-semi-space-size=1", "--input-type=module", "--eval", PROGRAM];
  const said = execFileSync(process.execPath, collecting, { timeout: 30_000, encoding: "utf8" });
  assert.equal(said, "done\n");
});
