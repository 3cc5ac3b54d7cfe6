// JSON without ambiguity: what every parser reads as the same value (see the project's `conformance/`).

/** What JSON can carry. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

/** The levels of nesting below the top. */
export const MAX_DEPTH = 64;

/** The gate's parser reads members with such a name as something else. */
export const RESERVED_NAME = "$serde_json::private::";

/** A text is not JSON, or parsers may read it as different values. */
export class StrictJsonError extends Error {
  override readonly name = "StrictJsonError";
}

/** Parses a text that has exactly one reading, or throws a `StrictJsonError`. */
export function parseStrict(text: string | Uint8Array): Json {
  const decoded = typeof text === "string" ? text : decodeUtf8(text);
  let value: Json;
  try {
    value = JSON.parse(decoded, withoutSignOfZero) as Json;
  } catch {
    throw new StrictJsonError("it is not JSON"); // without the parser's message, which quotes the text
  }
  checkTokens(decoded);
  checkValue(value);
  return value;
}

/** In canonical JSON, -0 is 0. */
function withoutSignOfZero(_: string, value: Json): Json {
  return value === 0 ? 0 : value;
}

export function isObject(value: unknown): value is { [name: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function checkUnicode(text: string): void {
  if (!text.isWellFormed()) throw new StrictJsonError("a text has half of a surrogate pair");
}

export function checkName(name: string): void {
  checkUnicode(name);
  if (name.startsWith(RESERVED_NAME)) throw new StrictJsonError(`a member's name begins with ${RESERVED_NAME}`);
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new StrictJsonError("it is not UTF-8");
  }
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*|[{}[\]:]/g;

/** Finds what is lost in the value: names that occur twice, and the spelling of numbers. The text is JSON. */
function checkTokens(text: string): void {
  const names: Set<string>[] = []; // of each open object or list
  let before = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") names.push(new Set());
    else if (token === "}" || token === "]") names.pop();
    else if (token === ":") {
      const name = JSON.parse(before) as string;
      if (names.at(-1)?.has(name)) throw new StrictJsonError("an object has a name twice");
      names.at(-1)?.add(name);
    } else if (!token.startsWith('"')) checkNumber(token);
    before = token;
  }
}

function checkNumber(text: string): void {
  const nearest = Number(text);
  const isWhole = Number.isInteger(nearest) && !Number.isSafeInteger(nearest);
  if (!Number.isFinite(nearest) || isWhole || toDecimal(text) !== toDecimal(String(nearest)))
    throw new StrictJsonError(`the number ${text.slice(0, 40)} would change: send it as a string`);
}

/** One text for each decimal number, however it is spelt. */
function toDecimal(text: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  const shift = Number(exponent) - fraction.length + digits.length - significant.length;
  return significant === "" ? "0" : `${sign}${significant}e${shift}`;
}

function checkValue(value: Json, depth = 0): void {
  if (depth > MAX_DEPTH) throw new StrictJsonError(`it has more than ${MAX_DEPTH} levels below the top`);
  if (typeof value === "string") checkUnicode(value);
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) Object.keys(value).forEach(checkName);
  for (const item of Object.values(value)) checkValue(item, depth + 1);
}
