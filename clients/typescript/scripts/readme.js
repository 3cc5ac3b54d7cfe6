// Runs the README's examples where the package is installed: `node scripts/readme.js FOLDER`. TypeScript's types are
// taken away first.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const [folder] = process.argv.slice(2);
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, block]) => block);
assert(blocks.length >= 3, "the README has its examples");
for (const [index, block] of blocks.entries()) {
  const { outputText } = ts.transpileModule(block, { compilerOptions: { module: "ESNext", target: "ES2022" } });
  // The gate of the examples is a mock.
  writeFileSync(join(folder, `example-${index}.mjs`), outputText);
  writeFileSync(
    join(folder, "run.mjs"),
    `import { MockGate } from "human-oversight/mock";
     await new MockGate().gate.scope(() => import("./example-${index}.mjs"));`,
  );
  process.stdout.write(
    execFileSync(process.execPath, [join(folder, "run.mjs")], { stdio: ["ignore", "pipe", "inherit"] }),
  );
}
