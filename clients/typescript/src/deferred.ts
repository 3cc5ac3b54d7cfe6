// Results that are still to run, when no one can know any more what was approved.

import { isObject } from "./strict-json.js";

/** Ends a function's result that would run later, and throws a `TypeError`: a generator, another iterator that computes its
 * items, or a stream. */
export async function refuseDeferred(result: unknown): Promise<void> {
  if (!isObject(result) || !(isLazy(result) || Symbol.asyncIterator in result)) return;
  await end(result);
  throw new TypeError(
    "cannot gate a function that returns a generator, an iterator or a stream: it runs when no one can know any more " +
      "what was approved",
  );
}

/** By its methods: what a compiler makes of a generator for an older JavaScript has no other mark. The iterators of
 * containers, such as `Map Iterator`, compute nothing. */
function isLazy(result: { [name: string]: unknown }): boolean {
  const isContainers = / Iterator\]$/.test(Object.prototype.toString.call(result));
  return Symbol.iterator in result && typeof result["next"] === "function" && !isContainers;
}

/** Generators return, streams are cancelled or, those of Node, destroyed. */
async function end(result: { [name: string]: unknown }): Promise<void> {
  const name = ["return", "cancel", "destroy"].find((it) => typeof result[it] === "function");
  try {
    if (name !== undefined) await (result[name] as () => unknown).call(result);
  } catch {
    // It is refused all the same.
  }
}
