// Checks of options, for programs without types.

import { isObject } from "./strict-json.js";

/** The options of an action that are texts, if there are any. */
export const TEXTS = ["reason", "onBehalfOf", "correlationId", "supersedes"] as const;

/** Throws a `TypeError` if an option is none of these. */
export function checkNames(options: object, names: Readonly<Record<string, true>>): void {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(names, name));
  if (unknown !== undefined) throw new TypeError(`there is no option ${unknown}`);
}

/** Throws a `TypeError` if seconds are given that are none, or `others` are options that there are not. */
export function checkSeconds(name: string, seconds: unknown, others: object = {}): void {
  checkNames(others, {});
  if (seconds !== undefined && (typeof seconds !== "number" || Number.isNaN(seconds)))
    throw new TypeError(`${name} must be a number`);
  if (seconds !== undefined && seconds < 0) throw new TypeError(`${name} must be a number that is not negative`);
}

/** Throws a `TypeError` if a text is given that is none. */
export function checkText(name: string, text: unknown): void {
  if (text !== undefined && typeof text !== "string") throw new TypeError(`${name} must be a text`);
}

/** Throws a `TypeError` if a function is given that is none. */
export function checkFunction(name: string, given: unknown): void {
  if (given !== undefined && typeof given !== "function") throw new TypeError(`${name} must be a function`);
}

/** Throws a `TypeError` if an object is given that lacks one of these methods. */
export function checkMethods(name: string, given: unknown, methods: readonly string[]): void {
  if (given === undefined) return;
  const found = (given ?? {}) as Readonly<Record<string, unknown>>;
  const missing = methods.find((method) => typeof found[method] !== "function");
  if (missing !== undefined) throw new TypeError(`${name} must have the method ${missing}`);
}

/** Throws a `TypeError` if a callback is given that names no channel. */
export function checkCallback(callback: unknown): void {
  if (callback === undefined || typeof callback === "string") return;
  const { channel, state = "" } = isObject(callback) ? callback : {};
  if (typeof channel !== "string" || typeof state !== "string")
    throw new TypeError("callback must be a text, or an object with the text channel and, perhaps, the text state");
}

/** A copy of the list, or throws a `TypeError` if it is none of texts. */
export function toList(name: string, values: readonly string[]): readonly string[] {
  if (!Array.isArray(values)) throw new TypeError(`${name} must be a list`);
  if (!values.every((value) => typeof value === "string")) throw new TypeError(`${name} must be a list of texts`);
  return [...(values as readonly string[])];
}
