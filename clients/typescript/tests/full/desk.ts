// A real gate: `HO_GATE`, or the one that cargo has built. Its emails are read and its forms posted as approvers do.

import assert from "node:assert/strict";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { REPOSITORY } from "../repository.js";

export interface Status {
  status: string;
  execution: { status: string; error: string | null } | null;
}

/** Calls with their answers, one at a time. */
export class RealGate {
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly url: string,
    private readonly process: ChildProcessByStdio<Writable, Readable, null>,
    private readonly lines: AsyncIterator<string>,
  ) {}

  /** `scenario` is as those of `conformance/scenarios.json`. */
  static async start(scenario: object = {}): Promise<RealGate> {
    const path = (name: string) => fileURLToPath(new URL(name, REPOSITORY));
    const program = process.env["HO_GATE"] ?? path("target/debug/human-oversight");
    const desk = path("clients/typescript/tests/full/desk.py");
    const command = ["-B", desk, program, path("."), JSON.stringify(scenario)];
    const child = spawn("python3", command, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return new RealGate(JSON.parse((await lines.next()).value as string) as string, child, lines);
  }

  async stop(): Promise<void> {
    this.process.stdin.end();
    await once(this.process, "exit");
  }

  questions(): Promise<string[]> {
    return this.#call("questions") as Promise<string[]>;
  }

  status(id: string): Promise<Status> {
    return this.#call("status", id) as Promise<Status>;
  }

  /** The id of the last request whose email was sent, when there are `count` emails. */
  async asked(count = 1): Promise<string> {
    for (;;) {
      const questions = await this.questions();
      const ids = new Set(questions.map((text) => /\/api\/decision\/([^?\s]+)\?/.exec(text)?.[1] ?? ""));
      if (ids.size >= count) return [...ids].find((id) => !this.#known.has(id)) ?? [...ids].at(-1) ?? "";
      await sleep(20);
    }
  }

  /** Decides the one request that no one has decided yet. */
  async decide(verdict: "approve" | "reject", comment = ""): Promise<string> {
    const id = await this.asked(this.#known.size + 1);
    assert(!this.#known.has(id), "there is a request to decide");
    this.#known.add(id);
    await this.#call("decide", id, verdict, comment);
    return id;
  }

  readonly #known = new Set<string>();

  #call(...call: string[]): Promise<unknown> {
    const answer = this.#last.then(async () => {
      this.process.stdin.write(`${JSON.stringify(call)}\n`);
      return JSON.parse((await this.lines.next()).value as string) as unknown;
    });
    this.#last = answer;
    return answer;
  }
}
