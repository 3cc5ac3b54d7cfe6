// The repository's files.

import { readFileSync } from "node:fs";

export const REPOSITORY = new URL("../../../", import.meta.url);

export function read(path: string): string {
  return readFileSync(new URL(path, REPOSITORY), "utf8");
}
