// The exact arguments of an action: their canonical form and its digest.

import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import {
  checkName,
  checkUnicode,
  isObject,
  MAX_DEPTH,
  StrictJsonError,
  type Json,
  type JsonObject,
} from "./strict-json.js";

/** A value cannot be the parameters of a request: JSON cannot carry it, or would change it. */
export class ParametersError extends Error {
  override readonly name = "ParametersError";
}

/** Parameters in canonical form (RFC 8785), whose digest people approve. */
export class ExactParameters {
  /** A copy in plain JSON values, to which nothing else has a reference. */
  readonly object: JsonObject;
  readonly canonical: string;
  readonly digest: string;

  /** Throws a `ParametersError` if JSON would change the value. */
  constructor(value: unknown) {
    if (!isPlainObject(value)) throw new ParametersError("parameters must be a JSON object: a plain object");
    this.object = copyObject(value, "", 0);
    this.canonical = toCanonical(this.object);
    this.digest = sha256(this.canonical);
  }
}

/** The one text of a plain JSON value (RFC 8785). */
export function toCanonical(value: unknown): string {
  return canonicalize(value) ?? "";
}

/** The SHA-256 of a text, in hexadecimal digits. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function copy(value: unknown, at: string, depth: number): Json {
  if (depth > MAX_DEPTH)
    throw new ParametersError(`parameters have more than ${MAX_DEPTH} levels of nesting, or contain themselves`);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return check(at, value, checkUnicode);
  if (typeof value === "number") return copyNumber(value, at);
  if (Array.isArray(value)) return copyList(value, at, depth);
  if (isPlainObject(value)) return copyObject(value, at, depth);
  if (value === undefined)
    throw new ParametersError(`${at} is undefined, which JSON cannot carry: leave the member out, or send null`);
  const kind = typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;
  throw new ParametersError(
    `${at} is of the type ${kind}, which cannot be shown to people: pass what JSON can carry, or name the member in skip`,
  );
}

function copyObject(value: object, at: string, depth: number): JsonObject {
  if (Object.getOwnPropertySymbols(value).length > 0)
    throw new ParametersError(`${at || "the parameters"} have a symbol as a member's name: use texts`);
  // fromEntries defines members, so that one with the name __proto__ is one like others.
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      const pointer = `${at}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      return [check(pointer, name, checkName), copy(item, pointer, depth + 1)];
    }),
  );
}

function copyList(value: unknown[], at: string, depth: number): Json[] {
  if (Object.keys(value).length !== value.length)
    throw new ParametersError(`${at} is a list with gaps or named members, which JSON cannot carry`);
  // A list whatever its class, which could have a `map` or a `toJSON` of its own.
  return Array.from({ length: value.length }, (_, index) => copy(value[index], `${at}/${index}`, depth + 1));
}

function copyNumber(value: number, at: string): number {
  if (!Number.isFinite(value)) throw new ParametersError(`${at} is ${value}, no number in JSON: send it as a string`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new ParametersError(`${at} is ${value}, beyond ±(2^53 - 1): send it as a string`);
  if (Object.is(value, -0)) throw new ParametersError(`${at} is -0, which would be shown as 0: send 0, or a string`);
  return value;
}

function check(at: string, text: string, rule: (text: string) => void): string {
  try {
    rule(text);
  } catch (error) {
    if (error instanceof StrictJsonError) throw new ParametersError(`${at.toWellFormed()}: ${error.message}`);
    throw error;
  }
  return text;
}

/** Whether it is made of members alone: an object literal, also one of another realm, or without a prototype. */
export function isPlainObject(value: unknown): value is object {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isLiteral = prototype === null || Object.getPrototypeOf(prototype) === null;
  return (
    isLiteral && Object.prototype.toString.call(value) === "[object Object]" && typeof value["toJSON"] !== "function"
  );
}
