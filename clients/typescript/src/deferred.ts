// Results that are still to run, when no one can know any more what was approved.

import { isPlainObject } from "./parameters.js";
import { isObject } from "./strict-json.js";

/** Ends a function's result that would run later, also where an array or a plain object holds it, and throws a `TypeError`:
 * a generator, another iterator that computes its items, a stream, or, in an array or an object, a promise. */
export async function refuseDeferred(result: unknown): Promise<void> {
  const deferred = [result, ...itemsOf(result)].filter((it) => isObject(it)).filter((it) => isDeferred(it));
  if (deferred.length === 0) return;
  await Promise.all(deferred.map(end));
  throw new TypeError(
    "cannot gate a function that returns a generator, an iterator or a stream, or a promise in a list or an object: it " +
      "runs when no one can know any more what was approved",
  );
}

/** What an array or a plain object holds. Getters, which a value may have, are not called. */
function itemsOf(result: unknown): readonly unknown[] {
  if (Array.isArray(result)) return result;
  if (!isPlainObject(result)) return [];
  return Object.values(Object.getOwnPropertyDescriptors(result)).map(({ value }): unknown => value);
}

function isDeferred(value: { [name: string]: unknown }): boolean {
  return isLazy(value) || Symbol.asyncIterator in value || typeof value["then"] === "function";
}

/** By its methods: what a compiler makes of a generator for an older JavaScript has no other mark. The iterators of
 * containers, such as `Map Iterator`, compute nothing. */
function isLazy(result: { [name: string]: unknown }): boolean {
  const isContainers = / Iterator\]$/.test(Object.prototype.toString.call(result));
  return Symbol.iterator in result && typeof result["next"] === "function" && !isContainers;
}

/** Generators return, streams are cancelled or, those of Node, destroyed. That a promise fails later ends no program. */
async function end(result: { [name: string]: unknown }): Promise<void> {
  const name = ["return", "cancel", "destroy"].find((it) => typeof result[it] === "function");
  if (result instanceof Promise) result.catch(() => undefined);
  try {
    if (name !== undefined) await (result[name] as () => unknown).call(result);
  } catch {
    // It is refused all the same.
  }
}
