// Prints the types of what goes over the wire, from the gate's description of its interface: see `npm run wire`.
import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { format } from "prettier";

const ROOTS = ["NewApproval", "Approval", "Claim", "Report", "Withdrawal", "KeySet", "Problem"];
const SOURCE = new URL("../../../src/http/openapi.json", import.meta.url);

// Without the prose, whose changes change no type, and the claims of signed texts, which `src/receipts.ts` reads.
const isLeftOut = (name, value) => name === "contentSchema" || (name === "description" && typeof value === "string");
const description = JSON.parse(readFileSync(SOURCE, "utf8"), (name, value) =>
  isLeftOut(name, value) ? undefined : value,
);

const all = description.components.schemas;
const needed = new Set();

function need(name) {
  if (needed.has(name)) return;
  needed.add(name);
  for (const [, other] of JSON.stringify(all[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g)) need(other);
}

ROOTS.forEach(need);
const schemas = Object.fromEntries(Object.entries(all).filter(([name]) => needed.has(name)));
const types = astToString(
  await openapiTS({ ...description, paths: {}, webhooks: {}, components: { schemas } }, { defaultNonNullable: false }),
);
const begin = types.indexOf("export interface components");
const end = types.indexOf("\nexport ", begin + 1);
const text = `// Generated from src/http/openapi.json by \`npm run wire\`.\n${types.slice(begin, end < 0 ? undefined : end)}`;
process.stdout.write(await format(text, { parser: "typescript", printWidth: 120 }));
