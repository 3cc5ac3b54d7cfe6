// What goes on when the caller has its answer: withdrawals, and reports of actions that were given up.

const running = new Set<Promise<void>>();

/** Lets `work`, which does not fail, go on in the background. A program ends only when it is done, unless it calls
 * `process.exit`. */
export function background(work: Promise<void>): void {
  const done = work.finally(() => running.delete(done));
  running.add(done);
}

/** Waits for what goes on in the background. A program that calls `process.exit` calls this first. */
export async function flush(): Promise<void> {
  while (running.size > 0) await Promise.allSettled(running);
}
