// The settings of an agent, from the environment.

import { SettingsError } from "./errors.js";

export interface Settings {
  readonly url: string;
  readonly key: string | undefined;
  readonly audience: string | undefined;
  readonly keys: string | undefined;
  readonly issuers: readonly string[];
  readonly approvers: readonly string[];
  readonly claimKey: string | undefined;
}

/** Reads the variables, or throws a `SettingsError` if none names the gate. */
export function readSettings(): Settings {
  const url = read("HO_URL");
  if (url === undefined) throw new SettingsError("HO_URL is not set: it must be the gate's address");
  const key = read("HO_KEY");
  const audience = read("HO_AUDIENCE");
  return {
    url,
    key,
    audience,
    keys: read("HO_KEYS"),
    issuers: readList("HO_ISSUER"),
    approvers: readList("APPROVER_EMAILS"),
    claimKey: read("HO_CLAIM_KEY"),
  };
}

function read(name: string): string | undefined {
  return process.env[name]?.trim() || undefined;
}

function readList(name: string): string[] {
  const items = (read(name) ?? "").split(",").map((item) => item.trim());
  return items.filter((item) => item !== "");
}
