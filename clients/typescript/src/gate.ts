// A gate as an agent uses it.

import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import { Action, ACTION_OPTIONS, type ActionOptions } from "./action.js";
import { Client, type Fetch } from "./client.js";
import { Connection } from "./connection.js";
import { Tokens, type TokenCredential } from "./entra.js";
import { InvalidResponseError, ProblemError, SettingsError } from "./errors.js";
import { approvalId } from "./handle.js";
import type { Logger } from "./logs.js";
import {
  checkCallback,
  checkFunction,
  checkMethods,
  checkNames,
  checkSeconds,
  checkText,
  TEXTS,
  toList,
} from "./options.js";
import { retryFirstContact } from "./retry.js";
import { readSettings } from "./settings.js";
import { Trust } from "./trust.js";

export interface GateOptions {
  /** The gate's address, `https` unless the gate is on this machine. */
  readonly url: string;
  /** The Functions key, if the host requires one. */
  readonly key?: string | undefined;
  /** In its place, for access tokens of Microsoft Entra ID: the application id URI of the gate's app registration, or its
   * client id. */
  readonly audience?: string | undefined;
  /** What the tokens come from, a credential of `@azure/identity`; the default is that which the environment names, and
   * needs that package. */
  readonly credential?: TokenCredential | undefined;
  /** The approvers of actions that name none of their own. */
  readonly approvers?: readonly string[] | undefined;
  /** The only keys to trust: thumbprints (RFC 7638), separated by commas, or the file of a JWK set. */
  readonly keys?: string | undefined;
  /** The gate's public addresses; required with thumbprints. */
  readonly issuers?: readonly string[] | undefined;
  /** A secret of the agent's, 64 hexadecimal digits. With it, a request with a correlation id has the same handle in every
   * process, so that nothing need be stored to resume it. */
  readonly claimKey?: string | undefined;
  /** How to call the gate; the default is Node's `fetch`. */
  readonly fetch?: Fetch | undefined;
  /** What to log to; the default is `console`. */
  readonly logger?: Logger | undefined;
}

const OF_TEXT = ["url", "key", "audience", "keys", "claimKey"] as const;
const OPTIONS: Readonly<Record<keyof GateOptions, true>> = {
  url: true,
  key: true,
  audience: true,
  credential: true,
  approvers: true,
  keys: true,
  issuers: true,
  claimKey: true,
  fetch: true,
  logger: true,
};

const CLAIM_KEY = /^[0-9A-Fa-f]{64}$/;

const scope = new AsyncLocalStorage<Gate>();
let ofEnvironment: Gate | undefined;

/** A gate. One object serves a whole process. */
export class Gate {
  readonly approvers: readonly string[];
  readonly logger: Logger;
  readonly #connection: Connection;
  readonly #claimKey: string;
  readonly #isClaimKeyShared: boolean;

  /** Connects to nothing yet. Throws a `SettingsError` if a setting cannot be used. */
  constructor(options: GateOptions) {
    checkNames(options, OPTIONS);
    for (const name of OF_TEXT) checkText(name, options[name]);
    checkFunction("fetch", options.fetch);
    checkMethods("logger", options.logger, ["warn", "error"]);
    checkMethods("credential", options.credential, ["getToken"]);
    this.approvers = toList("approvers", options.approvers ?? []);
    this.logger = options.logger ?? console;
    if (options.key && options.audience)
      throw new SettingsError("HO_KEY and HO_AUDIENCE are two proofs of who the agent is: set one");
    if (options.claimKey && !CLAIM_KEY.test(options.claimKey))
      throw new SettingsError("HO_CLAIM_KEY must be 64 hexadecimal digits, as `openssl rand -hex 32` prints them");
    const tokens = options.audience ? new Tokens(options.audience, options.credential) : undefined;
    const client = new Client({ url: options.url, key: options.key, tokens, fetch: options.fetch });
    this.#connection = new Connection(
      client,
      new Trust(options.keys, toList("issuers", options.issuers ?? [])),
      this.logger,
    );
    // Without one, a repeated call is the same request within this process alone.
    this.#isClaimKeyShared = Boolean(options.claimKey);
    this.#claimKey = options.claimKey || randomBytes(32).toString("hex");
  }

  /** The gate that the environment names: `HO_URL`, `HO_KEY` or `HO_AUDIENCE`, `APPROVER_EMAILS` (separated by commas),
   * `HO_KEYS`, `HO_ISSUER` and `HO_CLAIM_KEY`. All but the first are optional. */
  static fromEnv(options: Omit<GateOptions, "url"> = {}): Gate {
    return new Gate({ ...readSettings(), ...options });
  }

  /** The gate of the scope, or that of the environment, made once. */
  static current(): Gate {
    return scope.getStore() ?? (ofEnvironment ??= Gate.fromEnv());
  }

  /** The gate's address. */
  get url(): string {
    return this.#connection.client.base;
  }

  /** Puts this gate in the place of the environment's, for gated functions that are called within. */
  scope<T>(within: () => T): T {
    return scope.run(this, within);
  }

  /** An action that needs approval. */
  action(options: ActionOptions): Action {
    checkNames(options, ACTION_OPTIONS);
    checkSeconds("timeoutSeconds", options.timeoutSeconds);
    if (typeof options.agent !== "string" || typeof options.action !== "string")
      throw new TypeError(`${typeof options.agent === "string" ? "action" : "agent"} must be a text`);
    for (const name of TEXTS) checkText(name, options[name]);
    checkCallback(options.callback);
    checkFunction("onPending", options.onPending);
    const approvers = options.approvers ? toList("approvers", options.approvers) : this.approvers;
    return new Action(this.#connection, this.#claimKey, this.#isClaimKeyShared, { ...options, approvers });
  }

  /** Checks the settings, for the start of a program: whether the gate can be reached, accepts the key, and has keys
   * that this client trusts. No one is asked, and the gate stores nothing. Throws a `GateError` that says what is wrong;
   * a gate that does not respond is given up after 30 seconds. */
  async check(): Promise<void> {
    const { client, logger } = this.#connection;
    await this.#connection.keys();
    // No request has this name, and the gate says so only to a caller with a valid key.
    const id = approvalId("agent", randomBytes(16).toString("hex"));
    try {
      await retryFirstContact(() => client.status(id, 0, undefined, true), logger);
    } catch (error) {
      if (error instanceof ProblemError && error.status === 404) return;
      throw error;
    }
    throw new InvalidResponseError("the status of a request that does not exist");
  }
}
