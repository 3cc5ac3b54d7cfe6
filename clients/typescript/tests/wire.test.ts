// The generated types.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { it } from "node:test";
import { read, REPOSITORY } from "./repository.js";

const SOURCES = "clients/typescript/src";

it("the types of what goes over the wire are what the gate's description says", () => {
  const generator = fileURLToPath(new URL("clients/typescript/scripts/wire.js", REPOSITORY));
  assert.equal(read(`${SOURCES}/wire.ts`), execFileSync(process.execPath, [generator], { encoding: "utf8" }));
});

it("no source has a value of any type", () => {
  for (const name of readdirSync(new URL(SOURCES, REPOSITORY)))
    assert.doesNotMatch(read(`${SOURCES}/${name}`), /[:<|,] ?any\b|\bas any\b|@ts-/, name);
});
