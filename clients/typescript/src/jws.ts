// Compact JWS (RFC 7515) of the gate: Ed25519 (RFC 8037) or P-256 (RFC 7518), by the type of the key.

import { createHash } from "node:crypto";
import { compactVerify, importJWK, type CryptoKey } from "jose";
import { toCanonical } from "./parameters.js";
import { isObject, parseStrict, StrictJsonError } from "./strict-json.js";

/** A text proves nothing: it is not what the gate signs, or not signed with one of its keys. */
export class NotSignedError extends Error {
  override readonly name = "NotSignedError";
}

/** One public key of the gate. */
export interface Key {
  readonly kid: string;
  /** The key's type decides it, never the text that is verified. */
  readonly algorithm: "EdDSA" | "ES256";
  /** RFC 7638, SHA-256, base64url. It identifies the key whatever its name. */
  readonly thumbprint: string;
  readonly public: CryptoKey;
  readonly life: KeyLife;
}

/** When a key counts: what it signed proves something only if it is dated within this time, in seconds since 1970. */
export interface KeyLife {
  /** The first second of it. */
  readonly nbf?: number;
  /** The first second after it. */
  readonly exp?: number;
  /** Whether the key proves nothing, whatever the date. */
  readonly revoked?: boolean;
}

/** The time within both. */
export function narrow(one: KeyLife, other: KeyLife): KeyLife {
  return {
    nbf: Math.max(one.nbf ?? -Infinity, other.nbf ?? -Infinity),
    exp: Math.min(one.exp ?? Infinity, other.exp ?? Infinity),
    revoked: Boolean(one.revoked || other.revoked),
  };
}

/** Reads the keys of a JWK set (RFC 7517). Keys of other types are left out, as a later gate may add some. */
export async function readKeys(keys: readonly unknown[]): Promise<Key[]> {
  const read = await Promise.all(keys.map(readKey));
  return read.filter((key) => key !== undefined);
}

/** The thumbprint of a key, if it is of a type that the gate has. */
export function thumbprint(jwk: unknown): string | undefined {
  const known = readJwk(jwk);
  return known && createHash("sha256").update(toCanonical(known.members)).digest("base64url");
}

/** The claims of a text that one of the keys signed as this `typ` while it was in force, or throws a `NotSignedError`. */
export async function verify(kind: string, text: string, keys: readonly Key[]): Promise<{ [claim: string]: unknown }> {
  if (typeof text !== "string") throw new NotSignedError("it is no text"); // a header that a call does not have
  const parts = text.split(".");
  const [header, payload] = parts.slice(0, 2).map((part) => readPart(part));
  if (parts.length !== 3 || !isObject(header) || Object.keys(header).length !== 3 || header["typ"] !== kind)
    throw new NotSignedError(`it is not a compact JWS of type ${kind}`);
  const [key, ...others] = keys.filter((it) => it.kid === header["kid"]);
  // A name of two keys names neither.
  if (key === undefined || others.length > 0 || key.algorithm !== header["alg"])
    throw new NotSignedError("it names a key that the gate does not publish");
  decode(parts[2] ?? "");
  try {
    await compactVerify(text, key.public, { algorithms: [key.algorithm] });
  } catch {
    throw new NotSignedError("its signature is wrong");
  }
  const { revoked, nbf = -Infinity, exp = Infinity } = key.life;
  if (revoked) throw new NotSignedError("it is signed with a key that is revoked");
  if (!isObject(payload)) throw new NotSignedError("it has no claims");
  const iat = payload["iat"];
  if (!isTime(iat)) throw new NotSignedError("it has no iat");
  if (iat < nbf || exp <= iat) throw new NotSignedError("it is dated outside the time of its key");
  return payload;
}

async function readKey(jwk: unknown): Promise<Key | undefined> {
  const known = readJwk(jwk);
  const life = readLife(jwk);
  if (known === undefined || known.kid === undefined || life === undefined) return undefined;
  try {
    // Of the members that are the key, and no others, such as `key_ops`.
    const key = await importJWK(known.members, known.algorithm);
    if (key instanceof Uint8Array) return undefined;
    return { kid: known.kid, algorithm: known.algorithm, thumbprint: thumbprint(jwk) ?? "", public: key, life };
  } catch {
    return undefined; // not on its curve
  }
}

interface Jwk {
  readonly kid: string | undefined;
  readonly algorithm: Key["algorithm"];
  readonly members: { readonly kty: string; readonly crv: string; readonly x: string; readonly y?: string };
}

function readJwk(jwk: unknown): Jwk | undefined {
  if (!isObject(jwk)) return undefined;
  const { kty, crv, x, y } = jwk;
  const kid = typeof jwk["kid"] === "string" ? jwk["kid"] : undefined;
  if (kty === "OKP" && crv === "Ed25519" && isCoordinate(x))
    return { kid, algorithm: "EdDSA", members: { kty, crv, x } };
  if (kty === "EC" && crv === "P-256" && isCoordinate(x) && isCoordinate(y))
    return { kid, algorithm: "ES256", members: { kty, crv, x, y } };
  return undefined;
}

/** Undefined where a limit cannot be read: then the key must not be used without it. */
export function readLife(jwk: unknown): KeyLife | undefined {
  if (!isObject(jwk)) return undefined;
  const nbf = jwk["nbf"] ?? undefined;
  const exp = jwk["exp"] ?? undefined;
  const revoked = jwk["revoked"] === undefined ? false : jwk["revoked"];
  if ((nbf !== undefined && !isTime(nbf)) || (exp !== undefined && !isTime(exp)) || typeof revoked !== "boolean")
    return undefined;
  return { ...(nbf === undefined ? {} : { nbf }), ...(exp === undefined ? {} : { exp }), revoked };
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function isCoordinate(text: unknown): text is string {
  try {
    return typeof text === "string" && decode(text).length === 32;
  } catch {
    return false;
  }
}

function readPart(part: string): unknown {
  try {
    return parseStrict(decode(part));
  } catch (error) {
    if (error instanceof StrictJsonError) throw new NotSignedError(error.message);
    throw error;
  }
}

/** The bytes of the one base64url text that stands for them. */
function decode(text: string): Buffer {
  const bytes = Buffer.from(text, "base64url"); // which skips what is none
  if (bytes.toString("base64url") !== text) throw new NotSignedError("it is not base64url");
  return bytes;
}
