// Callbacks: by these the gate wakes an agent, so that it looks at a request again. They are webhooks of Standard Webhooks
// 1.0, signed with a secret that the gate's operator shares with the agent. A callback proves no decision: it may come
// twice, late, or after a newer one.

import { createHmac, timingSafeEqual } from "node:crypto";
import { SettingsError } from "./errors.js";
import { approvalId } from "./handle.js";
import { isObject, parseStrict, StrictJsonError } from "./strict-json.js";

const NAMES = ["webhook-id", "webhook-timestamp", "webhook-signature"] as const;
const PREFIX = "whsec_";

/** By how much the time of a callback may differ from this clock. */
const LEEWAY_SECONDS = 300;

/** What came is no callback of the gate's, or was not sent now. Answer it with `401`. */
export class CallbackError extends Error {
  override readonly name = "CallbackError";
}

/** A verified callback: there is news of a request. It says nothing of the decision, which `Action.resume` finds. */
export interface Callback {
  /** The id of the request, which is that of the stored handle. */
  readonly id: string;
  readonly agentName: string;
  /** The agent's own name for the request. */
  readonly correlationId: string;
  /** The agent's own text, as the request had it. */
  readonly state: string | undefined;
}

/** The headers of a call: of the Fetch API, or as Node's `http` has them. */
export type CallbackHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** Verifies a callback as the agent's web server got it: its headers, and its body as it came. `secret` is that of the
 * channel, `whsec_` and 24 to 64 bytes in base64; the default is `HO_CALLBACK_SECRET`.
 *
 * Then resume what is stored for its id: `action.resume(handle, parameters).run(execute, { waitSeconds: 0 })`.
 *
 * Throws a `CallbackError` if it is anything but a callback of the gate's, signed with this secret and sent within five
 * minutes of now; a `SettingsError` if there is no secret, or it is none. */
export function verifyCallback(
  headers: CallbackHeaders,
  body: string | Uint8Array,
  secret = process.env["HO_CALLBACK_SECRET"]?.trim() ?? "",
): Callback {
  const key = readSecret(secret);
  const [id, sent, signatures] = NAMES.map((name) => pick(headers, name)) as [string, string, string];
  if (!/^[0-9]{1,15}$/.test(sent)) throw notOnce("webhook-timestamp");
  if (Math.abs(Date.now() / 1000 - Number(sent)) > LEEWAY_SECONDS)
    throw new CallbackError("the callback was sent at another time than now, by more than five minutes");
  const bytes = Buffer.from(body);
  const expected = Buffer.from(signCallback(key, id, sent, bytes));
  const isExpected = (signature: Buffer) =>
    signature.length === expected.length && timingSafeEqual(signature, expected);
  if (!signatures.split(" ").some((signature) => isExpected(Buffer.from(signature))))
    throw new CallbackError("the callback has no signature of this secret");
  return read(bytes);
}

export function signCallback(key: Buffer, id: string, timestamp: string, body: Buffer): string {
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`;
}

function readSecret(text: string): Buffer {
  const encoded = text.slice(PREFIX.length);
  const key = Buffer.from(encoded, "base64");
  // Node decodes what is no base64 too.
  if (!text.startsWith(PREFIX) || key.toString("base64") !== encoded || key.length < 24 || key.length > 64)
    throw new SettingsError("HO_CALLBACK_SECRET must be `whsec_` and 24 to 64 bytes in base64");
  return key;
}

/** The value of a header that must be there once. */
function pick(headers: CallbackHeaders, name: (typeof NAMES)[number]): string {
  const pairs = headers instanceof Headers ? [...headers] : Object.entries(headers);
  const values = pairs.filter(([other]) => other.toLowerCase() === name).flatMap(([, value]) => value ?? []);
  const [only] = values;
  if (only === undefined || values.length > 1) throw notOnce(name);
  return only;
}

function notOnce(name: string): CallbackError {
  return new CallbackError(`the callback needs the header ${name} once, as the gate sends it`);
}

function read(body: Buffer): Callback {
  const { data } = parse(body);
  if (isObject(data)) {
    const { agentName, correlationId, state = null } = data;
    const isState = state === null || typeof state === "string";
    if (typeof agentName === "string" && typeof correlationId === "string" && isState)
      return { id: approvalId(agentName, correlationId), agentName, correlationId, state: state ?? undefined };
  }
  throw new CallbackError("the callback has another form than the gate's");
}

function parse(body: Buffer): Record<string, unknown> {
  try {
    const message = parseStrict(body);
    return isObject(message) ? message : {};
  } catch (error) {
    if (error instanceof StrictJsonError) return {};
    throw error;
  }
}
