// `gated`: a function that runs only after a person approved exactly its arguments.

import { ACTION_OPTIONS, toExact, type Action, type NewCallback } from "./action.js";
import { currentCorrelationId, proofScope } from "./context.js";
import { SettingsError } from "./errors.js";
import { Gate } from "./gate.js";
import { logRefusal } from "./logs.js";
import { executeUnder, type OnPending } from "./pending.js";
import { checkCallback, checkFunction, checkNames, checkSeconds, checkText, TEXTS, toList } from "./options.js";
import { isPlainObject } from "./parameters.js";
import { toText } from "./permit.js";
import { fromError, invalid, Refused } from "./refusal.js";
import { isObject } from "./strict-json.js";

/** A setting, or a function of the call's arguments that gives it. */
type Setting<Args, Context extends unknown[], T> = T | ((args: Args, ...context: OfExecute<Context>) => T);

/** The context, of which a setting need not take all: TypeScript infers it from what is not conditional first. */
type OfExecute<Context extends unknown[]> = Context extends unknown[] ? Context : never;

export interface GatedOptions<Args extends object, Context extends unknown[]> {
  /** The agent's name. */
  readonly agent: string;
  /** One line that tells people what the action is. */
  readonly action: Setting<Args, Context, string>;
  /** The approvers; the default is the gate's (`APPROVER_EMAILS`). */
  readonly approvers?: readonly string[] | undefined;
  /** The time for a decision in seconds; the default is the gate's. */
  readonly timeoutSeconds?: number | undefined;
  /** Why the agent wants this, shown as not verified. */
  readonly reason?: Setting<Args, Context, string | undefined>;
  /** The address of the person the agent acts for, who cannot be an approver. */
  readonly onBehalfOf?: Setting<Args, Context, string | undefined>;
  /** A name of your own for each call; the default is that of `toolCall`, or a fresh one. */
  readonly correlationId?: Setting<Args, Context, string | undefined>;
  /** The id of the earlier request whose place the call takes, such as `Refused.id`: the approvers see what changed. */
  readonly supersedes?: Setting<Args, Context, string | undefined>;
  /** Where the gate calls when there is news of the request. With `waitSeconds`, the same call again then goes on. */
  readonly callback?: Setting<Args, Context, string | NewCallback | undefined>;
  /** Members of the arguments that are not part of the decision, such as a connection. */
  readonly skip?: readonly (keyof Args & string)[] | undefined;
  /** Seconds: without a decision by then, the call throws an `Undecided`. The same call again, under the same
   * `correlationId`, goes on waiting. */
  readonly waitSeconds?: number | undefined;
  /** Called when the request was submitted, and while it is pending. */
  readonly onPending?: OnPending | undefined;
  /** The gate; the default is that of `Gate.scope`, or of the environment (`HO_URL`, `HO_KEY`). */
  readonly gate?: Gate | undefined;
}

export interface ParsedOptions<Given extends object, Args extends object> {
  /** Makes of the arguments of a call those that people see and the function gets: checks them, and completes them with
   * their defaults. Such as `schema.parse`. */
  readonly parse: (args: Given) => Args | Promise<Args>;
}

export interface RefusalOptions<Word extends RefusalWord, Value> {
  /** What a refused call does: `return` its words for a model, which is the default, or what a function makes of the
   * `Refused`; or `throw` the `Refused`. */
  readonly onRefusal?: Word | ((refused: Refused) => Value) | undefined;
}

export type RefusalWord = "return" | "throw";

/** A function behind the gate. */
export type Gated<Given extends object, Context extends unknown[], Result, Word extends RefusalWord, Value> = (
  args: Given,
  ...context: Context
) => Promise<Awaited<Result> | (Word extends "throw" ? never : Value)>;

/** Gates a function of one object with named arguments. What a framework passes behind it is context: no one is shown
 * it, and an `AbortSignal` in it ends the wait and withdraws the request.
 *
 * A call waits until a person has decided. With a verified approval of exactly these arguments the function runs on a
 * copy of them, once, and the outcome is reported to the gate. Everything else is a refusal. */
export function gated<
  Given extends object,
  Args extends object,
  Context extends unknown[],
  Result,
  Word extends RefusalWord = "return",
  Value = string,
>(
  options: GatedOptions<Args, Context> & ParsedOptions<Given, Args> & RefusalOptions<Word, Value>,
  execute: (args: Args, ...context: Context) => Result,
): Gated<Given, Context, Result, Word, Value>;
export function gated<
  Args extends object,
  Context extends unknown[],
  Result,
  Word extends RefusalWord = "return",
  Value = string,
>(
  options: GatedOptions<Args, Context> & RefusalOptions<Word, Value>,
  execute: (args: Args, ...context: Context) => Result,
): Gated<Args, Context, Result, Word, Value>;
export function gated<Args extends object, Context extends unknown[], Result>(
  options: GatedOptions<Args, Context> & Partial<ParsedOptions<object, Args>> & RefusalOptions<RefusalWord, unknown>,
  execute: (args: Args, ...context: Context) => Result,
): Gated<object, Context, Result, RefusalWord, unknown> {
  checkExecute(execute);
  checkOptions(options);
  checkNames(options, OPTIONS);
  checkSeconds("waitSeconds", options.waitSeconds);
  checkSeconds("timeoutSeconds", options.timeoutSeconds);
  const { onRefusal = "return" } = options;
  const refuse = (refused: Refused): unknown => {
    logRefusal(options.gate?.logger ?? loggerOfScope(), refused);
    if (onRefusal === "throw") throw refused;
    return onRefusal === "return" ? refused.message : onRefusal(refused);
  };

  async function gatedFunction(this: unknown, args: object, ...context: Context): Promise<unknown> {
    const signal = findSignal(context);
    let prepared: Prepared<Args>;
    let permit;
    try {
      prepared = await prepare(options, args, context);
      permit = await prepared.action.claim(prepared.exact, { waitSeconds: options.waitSeconds, signal });
    } catch (error) {
      if (error instanceof Refused) return refuse(error);
      throw error;
    }
    const run = () => execute.call(this, prepared.approved, ...context);
    return proofScope(permit.proof, () => executeUnder(permit, run, signal));
  }
  return Object.defineProperties(gatedFunction, {
    name: { value: execute.name },
    length: { value: execute.length },
  });
}

interface Prepared<Args> {
  readonly action: Action;
  readonly exact: ReturnType<typeof toExact>;
  /** What the function gets. */
  readonly approved: Args;
}

async function prepare<Args extends object, Context extends unknown[]>(
  options: GatedOptions<Args, Context> & Partial<ParsedOptions<object, Args>>,
  args: object,
  context: Context,
): Promise<Prepared<Args>> {
  const completed = complete(options.parse, args);
  // Within the call, unless `parse` takes longer: afterwards the caller may change them.
  const { exact, skipped } = readArguments(completed instanceof Promise ? await completed : completed, options.skip);
  // Each function has a copy of its own, so that none changes what people see.
  const copy = () => ({ ...structuredClone(exact.object), ...skipped }) as Args;
  const value = <T>(name: string, setting: Setting<Args, Context, T>): T =>
    typeof setting === "function"
      ? present(name, (setting as (...given: [Args, ...Context]) => T)(copy(), ...context))
      : setting;
  const action = currentGate(options.gate).action({
    agent: options.agent,
    action: value("action", options.action),
    approvers: options.approvers,
    timeoutSeconds: options.timeoutSeconds,
    reason: value("reason", options.reason),
    onBehalfOf: value("onBehalfOf", options.onBehalfOf),
    supersedes: value("supersedes", options.supersedes),
    callback: value("callback", options.callback),
    correlationId: value("correlationId", options.correlationId) ?? currentCorrelationId(),
    onPending: options.onPending,
  });
  return { action, exact, approved: copy() };
}

/** What a function gave as a setting, or throws a `TypeError` if it gives it later. */
function present<T>(name: string, given: T): T {
  if (!isObject(given) || typeof given["then"] !== "function") return given;
  Promise.resolve(given).catch(() => undefined);
  throw new TypeError(`${name} must not be asynchronous`);
}

/** What people see, and the members that they do not see. */
function readArguments<Args extends object>(
  args: Args,
  skip: readonly (keyof Args & string)[] = [],
): { readonly exact: Prepared<Args>["exact"]; readonly skipped: Partial<Args> } {
  if (skip.length === 0 || !isPlainObject(args)) return { exact: toExact(args), skipped: {} };
  const shown: Partial<Args> = { ...args };
  for (const name of skip) delete shown[name];
  const skipped = skip.filter((name) => name in args).map((name) => [name, args[name]]);
  return { exact: toExact(shown), skipped: Object.fromEntries(skipped) as Partial<Args> };
}

/** The arguments that `parse` gives; a function that is called without arguments has none. */
function complete<Args extends object>(
  parse: ParsedOptions<object, Args>["parse"] | undefined,
  args: object = {},
): Args | Promise<Args> {
  if (parse === undefined) return args as Args;
  const refuse = (error: unknown): never => {
    throw error instanceof Refused ? error : invalid(toText(error));
  };
  try {
    const parsed = parse(args);
    return "then" in parsed && typeof parsed.then === "function" ? Promise.resolve(parsed).catch(refuse) : parsed;
  } catch (error) {
    return refuse(error);
  }
}

function currentGate(gate: Gate | undefined): Gate {
  try {
    return gate ?? Gate.current();
  } catch (error) {
    throw error instanceof SettingsError ? fromError(error) : error;
  }
}

function loggerOfScope() {
  try {
    return Gate.current().logger;
  } catch {
    return console;
  }
}

/** The first signal in what a framework passes: an argument of its own, or its `abortSignal` or `signal`. */
function findSignal(context: readonly unknown[]): AbortSignal | undefined {
  const members = context.map((it) => (isObject(it) ? [it, it["abortSignal"], it["signal"]] : []));
  return members.flat().find((it): it is AbortSignal => it instanceof AbortSignal);
}

type AnyOptions = GatedOptions<object, unknown[]> &
  ParsedOptions<object, object> &
  RefusalOptions<RefusalWord, unknown>;

const OPTIONS: Readonly<Record<keyof AnyOptions, true>> = {
  ...ACTION_OPTIONS,
  skip: true,
  waitSeconds: true,
  gate: true,
  parse: true,
  onRefusal: true,
};

/** What the types say, for programs without types. */
function checkOptions(options: Partial<Record<keyof AnyOptions, unknown>>): void {
  const { agent, action, approvers, skip, gate, parse, callback, onPending, onRefusal } = options;
  if (typeof agent !== "string" || !["string", "function"].includes(typeof action))
    throw new TypeError("gated needs the options agent and action");
  if (approvers !== undefined) toList("approvers", approvers as readonly string[]);
  if (skip !== undefined) toList("skip", skip as readonly string[]);
  if (gate !== undefined && !(gate instanceof Gate)) throw new TypeError("gate must be a Gate");
  for (const name of TEXTS) if (typeof options[name] !== "function") checkText(name, options[name]);
  if (typeof callback !== "function") checkCallback(callback);
  checkFunction("parse", parse);
  checkFunction("onPending", onPending);
  if (![undefined, "return", "throw"].includes(onRefusal as undefined) && typeof onRefusal !== "function")
    throw new TypeError('onRefusal must be "return", "throw" or a function');
}

function checkExecute(execute: unknown): void {
  if (typeof execute !== "function")
    throw new TypeError("gated gates functions: wrap the function, not the tool that a framework makes of it");
  if (/Generator/.test(Object.prototype.toString.call(execute)))
    throw new TypeError("gated cannot gate a generator: it runs when no one can know any more what was approved");
}
