// Which keys and issuers of the gate count.

import { readFileSync } from "node:fs";
import { InvalidResponseError, SettingsError, UntrustedError } from "./errors.js";
import { narrow, readKeys, readLife, thumbprint, type Key, type KeyLife } from "./jws.js";
import { isObject, parseStrict } from "./strict-json.js";

const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

/** The keys and issuers to verify with. */
export interface Known {
  readonly keys: readonly Key[];
  readonly issuers: readonly string[];
}

/** What the program's settings trust, and what the gate published. */
export class Trust {
  readonly #pinned: ReadonlyMap<string, KeyLife> | undefined;
  readonly #issuers: readonly string[];
  #published: readonly Key[] = [];
  #publishedIssuers: readonly string[] = [];

  /** `keys`: thumbprints, separated by commas, or the file of a JWK set. */
  constructor(keys?: string, issuers: readonly string[] = []) {
    const named = issuers.map((issuer) => issuer.replace(/\/+$/, ""));
    const pin = keys ? readPin(keys) : undefined;
    this.#pinned = pin?.keys;
    this.#issuers = named.length > 0 ? named : (pin?.issuers ?? []);
    if (pin && this.#issuers.length === 0)
      throw new SettingsError(
        "with HO_KEYS, HO_ISSUER must name the gate's public address, which its receipts contain as iss",
      );
  }

  /** Keeps what the gate published. The issuers that count are those of the settings, or of the first time. */
  async learn(published: unknown): Promise<void> {
    const { keys, issuers } = readSet(published);
    this.#published = await readKeys(keys);
    if (this.#issuers.length > 0 || this.#publishedIssuers.length === 0) this.#publishedIssuers = issuers;
  }

  /** The keys and issuers that count. Throws an `UntrustedError` if there are none, so that no approval could be
   * verified, and a `SettingsError` if the gate publishes none of the issuers that the settings name. */
  known(): Known {
    if (this.#publishedIssuers.length === 0)
      throw new UntrustedError(
        "the gate does not say that it signs permits, and without one this client runs nothing: upgrade the gate " +
          "before its clients, and set its HO_ROWS to 2",
      );
    const pinned = this.#pinned;
    const keys = pinned ? this.#published.flatMap((key) => pin(key, pinned)) : this.#published;
    if (keys.every(({ life }) => life.revoked))
      throw new UntrustedError(
        "the gate publishes none of the keys that this client trusts (HO_KEYS), or only revoked ones",
      );
    if (this.#issuers.length > 0 && !this.#issuers.some((issuer) => this.#publishedIssuers.includes(issuer)))
      throw new SettingsError(
        `HO_ISSUER (or the file of HO_KEYS) names ${this.#issuers.join(", ")}, but the issuers of the gate are ` +
          this.#publishedIssuers.join(", "),
      );
    return { keys, issuers: this.#issuers.length > 0 ? this.#issuers : this.#publishedIssuers };
  }
}

/** The file may know of a revocation that the gate, or what answers for it, does not publish. */
function pin(key: Key, pinned: ReadonlyMap<string, KeyLife>): Key[] {
  const life = pinned.get(key.thumbprint);
  return life === undefined ? [] : [{ ...key, life: narrow(key.life, life) }];
}

function readPin(setting: string): { keys: ReadonlyMap<string, KeyLife>; issuers: readonly string[] } {
  const parts = setting.split(",").map((part) => part.trim());
  if (parts.every((part) => THUMBPRINT.test(part))) return { keys: new Map(parts.map((it) => [it, {}])), issuers: [] };
  try {
    const { keys, issuers } = readSet(parseStrict(readFileSync(setting)));
    const named = keys.map((jwk) => [thumbprint(jwk), readLife(jwk)] as const);
    const isKnown = (it: (typeof named)[number]): it is [string, KeyLife] => it[0] !== undefined && it[1] !== undefined;
    return { keys: new Map(named.filter(isKnown)), issuers };
  } catch (error) {
    throw new SettingsError(
      "HO_KEYS must be thumbprints of 43 characters, separated by commas, or the file of a JWK set: " +
        (error instanceof Error ? error.message : String(error)),
    );
  }
}

function readSet(published: unknown): { keys: readonly unknown[]; issuers: readonly string[] } {
  if (!isObject(published) || !Array.isArray(published["keys"])) throw new InvalidResponseError("no JWK set");
  const issuers: unknown = published["issuers"] ?? [];
  if (!Array.isArray(issuers) || !issuers.every((issuer) => typeof issuer === "string"))
    throw new InvalidResponseError("its issuers are no texts");
  return { keys: published["keys"], issuers };
}
