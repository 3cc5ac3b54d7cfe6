// Checks of options, for programs without types.

/** Throws a `TypeError` if an option is none of these. */
export function checkNames(options: object, names: Readonly<Record<string, true>>): void {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(names, name));
  if (unknown !== undefined) throw new TypeError(`there is no option ${unknown}`);
}

/** Throws a `TypeError` if seconds are given that are none. */
export function checkSeconds(name: string, seconds: unknown): void {
  if (seconds !== undefined && (typeof seconds !== "number" || Number.isNaN(seconds)))
    throw new TypeError(`${name} must be a number`);
}

/** A copy of the list, or throws a `TypeError` if it is none. */
export function toList(name: string, values: readonly string[]): readonly string[] {
  if (!Array.isArray(values)) throw new TypeError(`${name} must be a list`);
  return [...(values as readonly string[])];
}
