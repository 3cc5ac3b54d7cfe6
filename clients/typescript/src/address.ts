// Addresses: the gate's, and those of people.

import { domainToASCII } from "node:url";
import { SettingsError } from "./errors.js";

/** The gate's base address without a slash at its end: `https`, or `http` on this machine. */
export function parseGate(text: string): string {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new SettingsError("the gate's address (HO_URL) must be an absolute https URL");
  }
  if (!["http:", "https:"].includes(url.protocol) || url.hostname === "")
    throw new SettingsError("the gate's address (HO_URL) must be an absolute https URL");
  if (url.search || url.username || url.password)
    throw new SettingsError("the gate's address (HO_URL) must not contain a key or a query: set HO_KEY instead");
  if (url.protocol === "http:" && !isLoopback(url))
    throw new SettingsError(
      "the gate's address (HO_URL) must begin with https:// unless the gate is on this machine: over http " +
        "anyone on the way reads the function key and can alter the answers",
    );
  // People paste `https://host/api` and `https://host/` for `https://host`.
  return `${url.origin}${url.pathname.replace(/\/+$/, "").replace(/\/api$/, "")}`;
}

/** Compares addresses without regard to case, and domains in ASCII: the gate signs a domain as A-labels (RFC 5890),
 * an agent may name it in Unicode. One without such a form, as where it ends in a number, is compared as it is. */
export function isSameAddress(requested: string, signed: string): boolean {
  const ascii = toAscii(requested);
  return ascii !== undefined && ascii === toAscii(signed);
}

/** A name that is equal for all addresses of one person: without regard to case and `+tag`. */
export function toPerson(address: string): string {
  return address.toLowerCase().replace(/\+.*(?=@)/s, "");
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

function toAscii(address: string): string | undefined {
  const at = address.lastIndexOf("@");
  const named = address.slice(at + 1).trim();
  const domain = domainToASCII(named) || named;
  return at > 0 && domain ? `${address.slice(0, at).trim()}@${domain}`.toLowerCase() : undefined;
}
