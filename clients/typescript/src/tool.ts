// What a tool of the Vercel AI SDK consists of, and what it gives.

import type { Tool } from "ai";
import { isRefusalText } from "./refusal.js";
import { isObject } from "./strict-json.js";

type ToModelOutput = NonNullable<Tool["toModelOutput"]>;

/** A tool's members, also those of its class. `this` in its methods stays the tool; a schema, which may be a function
 * with members of its own, stays as it is. */
export function members(tool: object): object {
  const found: Record<string, unknown> = {};
  for (let at = tool; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const name of Object.getOwnPropertyNames(at)) {
      if (name in found) continue; // also the constructor
      const value: unknown = Reflect.get(tool, name);
      found[name] = typeof value === "function" && !name.endsWith("Schema") ? value.bind(tool) : value;
    }
  return found;
}

/** What a model reads: a refusal as it is, everything else as the tool puts it. A stored refusal is known by its words,
 * since nothing else of it is stored. */
export function ofResults(toModelOutput: ToModelOutput): ToModelOutput {
  return (given) => {
    const output: unknown = isObject(given) && "toolCallId" in given ? given.output : given; // 5.0 gives the output alone
    return isRefusalText(output) ? { type: "text", value: output } : toModelOutput(given);
  };
}

/** The result of a tool that may stream preliminary ones: the last. */
export async function last(output: unknown): Promise<unknown> {
  if (typeof output !== "object" || output === null || !(Symbol.asyncIterator in output)) return output;
  let result: unknown;
  for await (result of output as AsyncIterable<unknown>);
  return result;
}
