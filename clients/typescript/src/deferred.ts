// Results that are still to run, when no one can know any more what was approved.

import { isObject } from "./strict-json.js";

/** Ends a function's result that would run later, and throws a `TypeError`: a generator, also an asynchronous one. */
export async function refuseDeferred(result: unknown): Promise<void> {
  if (!isGenerator(result)) return;
  await result.return(undefined);
  throw new TypeError(
    "cannot gate a function that returns a generator: it runs when no one can know any more what was approved",
  );
}

/** By its methods: what a compiler makes of a generator for an older JavaScript has no other mark. */
function isGenerator(result: unknown): result is Generator | AsyncGenerator {
  if (!isObject(result)) return false;
  const isIterable = Symbol.iterator in result || Symbol.asyncIterator in result;
  return isIterable && ["next", "return", "throw"].every((method) => typeof result[method] === "function");
}
