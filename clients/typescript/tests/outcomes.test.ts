// What is reported of a function that ran, and what becomes of a request that did not end in an approval.

import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { flush, Gate, gated, Handle, Refused, type Logger } from "human-oversight";
import { MockGate, pause } from "human-oversight/mock";
import { PERMIT } from "../dist/receipts.js";

const SETTINGS = { agent: "UserManagerAgent", action: "Delete User Account" };

function logTo(lines: string[]): Logger {
  return { warn: (line) => void lines.push(line), error: (line) => void lines.push(line) };
}

describe("a result that would run later", () => {
  const ran: string[] = [];
  function* generate() {
    ran.push("generate");
    yield 1;
  }
  async function* stream() {
    ran.push("stream");
    yield 1;
  }
  const lazy = {
    next: () => ({ done: ran.push("lazy") > 0, value: 1 }),
    [Symbol.iterator]: () => lazy,
  };
  const readable = new ReadableStream({ pull: () => void ran.push("readable") }, { highWaterMark: 0 });
  const functions = {
    generate: () => generate(),
    stream: () => stream(),
    "async generate": async () => generate(),
    "an iterator of one's own": () => lazy,
    "a stream that runs when it is read": () => readable,
    "a list with a promise": () => [1, Promise.resolve(1)],
    "a list with a promise that fails": () => [Promise.reject(new Error("later"))],
    "a list with a generator": () => [generate()],
    "an object with a stream": () => ({ stream: stream() }),
    "an object with what runs when it is awaited": () => ({ query: { then: () => void ran.push("query") } }),
  };
  for (const [name, execute] of Object.entries(functions))
    it(`is reported as failed: ${name}`, async () => {
      const mock = new MockGate();
      await assert.rejects(gated({ ...SETTINGS, gate: mock.gate }, execute as () => unknown)({}), {
        name: "TypeError",
        message: /no one can know any more what was approved/,
      });
      assert.deepEqual([ran, mock.outcomes], [[], ["ExecutionFailed"]]);
    });

  it("and one that is there is a result", async () => {
    const mock = new MockGate();
    const results = [
      [1],
      new Map([[1, 2]]),
      [1].values(),
      { next: () => 1 },
      new Map().entries(),
      new Response("a"),
      "text",
      null,
      [1, [2], { then: 1 }, null],
      {
        get later() {
          throw new Error("it was read");
        },
      },
    ];
    for (const result of results)
      assert.equal(await gated({ ...SETTINGS, gate: mock.gate }, (): unknown => result)({}), result);
    assert.deepEqual(
      mock.outcomes,
      results.map(() => "Executed"),
    );
  });
});

describe("what is thrown without a text is reported, and thrown", () => {
  const silent = {
    toString: () => {
      throw new RangeError("no text");
    },
  };
  const thrown = {
    "an object without a prototype": Object.create(null) as object,
    "an object whose toString throws": silent,
    "an error without a message": new RangeError(),
    "an error whose message is no text": Object.assign(new Error(), { message: silent }),
  };
  for (const [name, error] of Object.entries(thrown))
    it(name, async () => {
      const mock = new MockGate();
      const fail = () => {
        throw error;
      };
      await assert.rejects(gated({ ...SETTINGS, gate: mock.gate }, fail)({}), (it) => it === error);
      assert.deepEqual(mock.outcomes, ["ExecutionFailed"]);
    });

  const callbacks = {
    "a callback": () => {
      throw Object.create(null);
    },
    "an asynchronous callback": async () => {
      await Promise.resolve();
      throw Object.create(null);
    },
  };
  for (const [name, onPending] of Object.entries(callbacks))
    it(`by ${name}, too`, async () => {
      const lines: string[] = [];
      const gate = pendingAtFirst(lines);
      assert.equal(await gated({ ...SETTINGS, gate, onPending }, () => "ran")({}), "ran");
      assert.match(lines.join(), /^onPending failed: /);
    });
});

/** A gate that says of each request that it is pending when it was submitted. */
function pendingAtFirst(lines: string[]): Gate {
  const mock = new MockGate();
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const response = await mock.fetch(url, init);
    if (!String(url).endsWith("/submit")) return response;
    return Response.json({ ...((await response.json()) as object), status: "Pending" }, { status: 202 });
  };
  return new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch, logger: logTo(lines) });
}

it("a request that the gate took otherwise than it was submitted is withdrawn", async () => {
  const mock = new MockGate();
  const calls: (string | undefined)[] = [];
  const fetch: typeof globalThis.fetch = async (url, init) => {
    calls.push(String(url).split("/")[4]);
    const response = await mock.fetch(url, init);
    if (!String(url).endsWith("/submit")) return response;
    return Response.json({ ...((await response.json()) as object), parametersDigest: "0".repeat(64) });
  };
  const gate = new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch, logger: logTo([]) });
  await assert.rejects(gate.action(SETTINGS).claim({}), { name: "Refused", reason: "unverified" });
  await flush();
  assert.deepEqual(calls, ["keys", "submit", "withdraw"]);
});

it("a mock takes a name once, as the gate does", async () => {
  const mock = new MockGate();
  const action = mock.gate.action({ ...SETTINGS, correlationId: "call-1" });
  const handle = action.prepare();
  for (let i = 0; i < 2; i++) await action.submit({ user_id: "1" }, { handle });
  const other = Handle.parse(JSON.stringify({ id: handle.id, secret: "another" }));
  const isTaken = (error: unknown) =>
    error instanceof Refused && error.reason === "invalid" && /The correlationId is taken/.test(error.message);
  await assert.rejects(action.submit({ user_id: "2" }, { handle }), isTaken);
  await assert.rejects(action.submit({ user_id: "1" }, { handle: other }), isTaken);
  assert.equal(mock.requests.length, 1);
});

it("a failure without a text is reported by its type", async () => {
  const mock = new MockGate();
  const reports: unknown[] = [];
  const fetch: typeof globalThis.fetch = async (url, init) => {
    if (String(url).includes("/outcome/")) reports.push((JSON.parse(String(init?.body)) as { error: string }).error);
    return mock.fetch(url, init);
  };
  const gate = new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch });
  const unnamed = Object.create(null) as object;
  for (const error of [new RangeError(), new Error("  "), "", undefined, unnamed])
    await (await gate.action(SETTINGS).claim({})).failed(error);
  assert.deepEqual(reports, ["RangeError", "Error", "string", "undefined", "object without a text"]);
});

it("an answer that cannot be decoded is an error at once", async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-encoding": "gzip" }).end("no gzip");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const gate = new Gate({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  await assert.rejects(gate.check(), { name: "InvalidResponseError", message: /cannot be decoded/ });
  server.close();
});

it("a request that no gate took is withdrawn without a line", async () => {
  const lines: string[] = [];
  await gated({ ...SETTINGS, gate: new MockGate(() => pause, logTo(lines)).gate }, () => "ran")({});
  await flush();
  assert.doesNotMatch(lines.join(), /withdrawn/);
});

it("an approval that only this clock takes for lapsed is no timeout", async (test) => {
  const mock = new MockGate();
  const now = Date.now.bind(Date);
  const { gate } = behind(mock, (call) => {
    if (call === "status") test.mock.method(Date, "now", () => now() + 7_200_000);
    return undefined;
  });
  await assert.rejects(
    gate.action(SETTINGS).run({}, () => "ran"),
    (error) => error instanceof Refused && error.reason === "unverified" && /clock/.test(error.detail ?? ""),
  );
  assert.deepEqual(mock.outcomes, [undefined]);
});

it("what is pending past its deadline is withdrawn, unless it is detached", async () => {
  const mock = new MockGate();
  const calls: (string | undefined)[] = [];
  const problem = { type: "urn:human-oversight:problem:conflict", title: "Conflict", status: 409, detail: "No." };
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const call = String(url).split("/")[4];
    calls.push(call);
    if (call === "claim" || call === "withdraw") return Response.json(problem, { status: 409 });
    const response = await mock.fetch(url, init);
    if (call === "keys") return response;
    const expiresAt = new Date(Date.now() - 3_600_000).toISOString();
    return Response.json({ ...((await response.json()) as object), status: "Pending", receipt: null, expiresAt });
  };
  const gate = new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch, logger: logTo([]) });
  const action = gate.action(SETTINGS);
  const isRefused = (error: unknown) =>
    error instanceof Refused && error.reason === "unavailable" && /clock may be ahead/.test(error.detail ?? "");
  for (const options of [{}, { waitSeconds: 9 }]) {
    calls.length = 0;
    await assert.rejects(action.claim({}, options), isRefused);
    await flush();
    assert.deepEqual(calls.slice(-5), ["submit", "status", "claim", "status", "withdraw"]);
  }
  const named = gate.action({ ...SETTINGS, correlationId: "call-1" });
  const underHandle = () => action.claim({}, { handle: action.prepare() });
  for (const claim of [underHandle, () => named.claim({}, { waitSeconds: 9 })]) {
    calls.length = 0;
    await assert.rejects(claim, isRefused);
    await flush();
    assert(!calls.includes("withdraw"));
  }
});

it("a claim that was not granted reports nothing of the one that was", async () => {
  const mock = new MockGate();
  const handle = mock.gate.action(SETTINGS).prepare();
  const running = await mock.gate.action(SETTINGS).claim({}, { handle });
  const lines: string[] = [];
  // To the second worker nothing is claimed yet, and the answer to its claim is the recorded one of the first.
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const call = String(url).split("/")[4] ?? "";
    if (call !== "status" && call !== "claim") return mock.fetch(url, init);
    const status = await mock.fetch(`https://mock.invalid/api/status/${handle.id}`);
    const answer = (await status.json()) as object;
    return Response.json({ ...answer, ...(call === "claim" ? { permit: running.proof.permit } : { execution: null }) });
  };
  const second = new Gate({
    url: "https://mock.invalid",
    approvers: ["approver@example.com"],
    fetch,
    logger: logTo(lines),
  });
  await assert.rejects(
    second.action(SETTINGS).resume(handle, {}).claim(),
    (error) => error instanceof Refused && error.reason === "unverified",
  );
  assert.deepEqual(mock.outcomes, ["Executing"]);
  assert.match(lines.join(), /another claim/);
  await running.executed();
  assert.deepEqual(mock.outcomes, ["Executed"]);
});

describe("a claim that may have been granted is reported, whatever its last answer is", () => {
  const cases: [string, () => Response, string][] = [
    ["unreadable, then paused", () => new Response(""), "paused"],
    ["unavailable, then paused", () => new Response("", { status: 503 }), "paused"],
    ["an error of the gate", () => problem(500, "integrity"), "unavailable"],
  ];
  for (const [name, first, reason] of cases)
    it(name, async () => {
      const mock = new MockGate();
      const { gate } = behind(mock, (call, times) => {
        if (call !== "claim") return undefined;
        return times === 1 ? first() : problem(403, "paused");
      });
      await assert.rejects(
        gate.action(SETTINGS).run({}, () => assert.fail("it ran")),
        { name: "Refused", reason },
      );
      assert.deepEqual(mock.outcomes, ["ExecutionFailed"]);
    });
});

it("a claim that is refused at once is not reported", async () => {
  const { gate, calls } = behind(new MockGate(), (call) => (call === "claim" ? problem(403, "paused") : undefined));
  await assert.rejects(gate.action(SETTINGS).claim({}), { name: "Refused", reason: "paused" });
  assert.deepEqual(calls, ["keys", "submit", "status", "claim"]);
});

describe("where the keys known do not verify a permit, they are fetched again", () => {
  /** The operator replaces the key between the decision and the claim, and the gate publishes these keys from then on. */
  const rotate = (mock: MockGate, publish: (keys: unknown[]) => unknown[]) => {
    const calls: string[] = [];
    const fetch: typeof globalThis.fetch = async (url, init) => {
      calls.push(String(url).split("/")[4] ?? "");
      const answer = (await (await mock.fetch(url, init)).json()) as { keys: unknown[]; permit: string };
      if (calls.at(-1) === "claim") answer.permit = signNew(answer.permit);
      if (calls.includes("claim") && answer.keys) answer.keys = publish(answer.keys);
      return Response.json(answer);
    };
    return {
      gate: new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch, logger: logTo([]) }),
      calls,
    };
  };
  const key = createPrivateKey({
    key: Buffer.from(`302e020100300506032b657004220420${"5a".repeat(32)}`, "hex"),
    format: "der",
    type: "pkcs8",
  });
  const jwk = { ...createPublicKey(key).export({ format: "jwk" }), kid: "new" };
  const signNew = (permit: string) => {
    const header = Buffer.from(JSON.stringify({ alg: "EdDSA", kid: "new", typ: PERMIT })).toString("base64url");
    const signed = `${header}.${permit.split(".")[1]}`;
    return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
  };
  const first = ["keys", "submit", "status", "claim", "keys", "outcome"];

  it("and the function runs", async () => {
    const mock = new MockGate();
    const { gate, calls } = rotate(mock, (keys) => [jwk, ...keys]);
    assert.equal(await gated({ ...SETTINGS, gate }, () => "ran")({}), "ran");
    assert.equal(await gated({ ...SETTINGS, gate }, () => "ran again")({}), "ran again");
    assert.deepEqual(calls, [...first, "submit", "status", "claim", "outcome"]);
  });

  it("and if that is no use, it is reported that nothing ran", async () => {
    const mock = new MockGate();
    const { gate, calls } = rotate(mock, () => []);
    const refused = { name: "Refused", reason: "unverified" };
    await assert.rejects(gate.action(SETTINGS).claim({}), refused);
    assert.deepEqual([calls, mock.outcomes], [first, ["ExecutionFailed"]]);
  });
});

it("an approval that the gate lets no one claim is refused in its own words", async () => {
  const mock = new MockGate();
  const detail = "The standing grant that approved this was ended. Submit it again.";
  const fetch: typeof globalThis.fetch = async (url, init) =>
    String(url).includes("/claim/") ? problem(409, "approver_not_allowed", detail) : mock.fetch(url, init);
  const gate = new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch, logger: logTo([]) });
  await assert.rejects(
    gate.action(SETTINGS).run({}, () => assert.fail("it ran")),
    (error) => error instanceof Refused && error.reason === "invalid" && error.detail === detail && error.id !== null,
  );
  assert.deepEqual(mock.outcomes, [undefined]);
});

for (const isNamed of [true, false])
  it(`a call that is aborted ${isNamed ? "stays open" : "is withdrawn"} ${isNamed ? "under" : "without"} a durable name`, async () => {
    const mock = new MockGate();
    const calls: string[] = [];
    const fetch: typeof globalThis.fetch = async (url, init) => {
      const call = String(url).split("/")[4] ?? "";
      calls.push(call);
      const response = await mock.fetch(url, init);
      if (call !== "submit" && call !== "status") return response;
      return Response.json({ ...((await response.json()) as object), status: "Pending" });
    };
    const gate = new Gate({
      url: "https://mock.invalid",
      approvers: ["a@b.example"],
      claimKey: "5a".repeat(32),
      fetch,
      logger: logTo([]),
    });
    const aborting = new AbortController();
    const onPending = () => aborting.abort();
    const action = gate.action({ ...SETTINGS, onPending, ...(isNamed ? { correlationId: "run-1" } : {}) });
    await assert.rejects(action.claim({}, { signal: aborting.signal }), { name: "AbortError" });
    await flush();
    assert.equal(calls.includes("withdraw"), !isNamed);
  });

it("a handle of another agent is refused before anything is sent", async () => {
  const { gate, calls } = behind(new MockGate(), () => undefined);
  const handle = gate.action({ ...SETTINGS, agent: "OldName" }).prepare();
  const action = gate.action({ ...SETTINGS, agent: "NewName" });
  const words = "Not run: the request is invalid. Correct it before you try again. the handle is of another agent";
  const isRefused = { name: "Refused", reason: "invalid", message: words };
  await assert.rejects(action.submit({}, { handle }), isRefused);
  await assert.rejects(
    action.run({}, () => assert.fail("it ran"), { handle: Handle.parse(handle.serialize()) }),
    isRefused,
  );
  assert.throws(() => action.resume(handle, {}), isRefused);
  const stored = handle.serialize() as unknown as Handle;
  await assert.rejects(action.submit({}, { handle: stored }), {
    name: "TypeError",
    message: "handle must be a Handle",
  });
  assert.throws(() => action.resume(stored, {}), { name: "TypeError", message: "handle must be a Handle" });
  await flush();
  assert.deepEqual(calls, []);
});

it("what can never run under a handle is refused before people decide", async () => {
  const mock = new MockGate();
  const action = mock.gate.action(SETTINGS);
  const handle = action.prepare();
  const isRefused = (reason: string) => (error: unknown) => error instanceof Refused && error.reason === reason;
  await assert.rejects(action.resume(handle, { user: "1" }).claim(), isRefused("invalid"));

  await action.submit({ user: "1" }, { handle });
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const response = await mock.fetch(url, init);
    return Response.json({ ...((await response.json()) as object), status: "Pending" });
  };
  const pending = new Gate({ url: "https://mock.invalid", fetch, logger: logTo([]) }).action(SETTINGS);
  await assert.rejects(pending.resume(handle, { user: "2" }).claim({ waitSeconds: 0 }), isRefused("unverified"));
});

function problem(status: number, kind: string, detail = "No."): Response {
  return Response.json({ type: `urn:human-oversight:problem:${kind}`, title: "No", status, detail }, { status });
}

/** A gate behind a front that answers some calls itself, and the calls. The gate gets each call, and answers a claim
 * again, as it does by its nonce. */
function behind(mock: MockGate, front: (call: string, times: number) => Response | undefined) {
  const calls: string[] = [];
  const answers = new Map<string, Response>();
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const call = String(url).split("/")[4] ?? "";
    calls.push(call);
    const answer = (call === "claim" && answers.get(call)) || (await mock.fetch(url, init));
    answers.set(call, answer);
    return front(call, calls.filter((it) => it === call).length) ?? answer.clone();
  };
  return {
    gate: new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], fetch, logger: logTo([]) }),
    calls,
  };
}

describe("an answer that is no gate's is asked for again", () => {
  const unreadable = {
    empty: () => new Response(""),
    "no content": () => new Response(null, { status: 204 }),
    "not JSON": () => new Response("<html>Be right back.</html>"),
    "a redirect": () => new Response(null, { status: 302, headers: { location: "https://other.example.com" } }),
    "no gate's": () => Response.json({ message: "OK" }),
    "too long": () => new Response("x".repeat(300_000)),
    "no problem": () => new Response("blocked", { status: 403 }),
    "no key": () => new Response("", { status: 401 }),
    "no route": () => new Response("<html>Restarting</html>", { status: 404 }),
  };
  const cases: [string, () => Response][] = [
    ["status", unreadable["not JSON"]],
    ["status", unreadable["no key"]],
    ["status", unreadable["no route"]],
    ...["claim", "outcome"].flatMap((call) =>
      Object.values(unreadable).map((it): [string, () => Response] => [call, it]),
    ),
  ];
  for (const [call, answer] of cases)
    it(`${call}: ${answer.toString()}`, async () => {
      const mock = new MockGate();
      const { gate, calls } = behind(mock, (name, times) => (name === call && times === 1 ? answer() : undefined));
      assert.equal(await gated({ ...SETTINGS, gate }, () => "ran")({}), "ran");
      assert.deepEqual(mock.outcomes, ["Executed"]);
      assert.equal(calls.filter((it) => it === call).length, 2);
    });
});

describe("a gate that asks for no wait is not called without a pause", () => {
  for (const call of ["keys", "submit", "status", "claim", "outcome"])
    it(call, async () => {
      const busy = (): Response => new Response("", { status: 503, headers: { "retry-after": "0" } });
      const { gate } = behind(new MockGate(), (name, times) => (name === call && times === 1 ? busy() : undefined));
      const started = performance.now();
      assert.equal(await gated({ ...SETTINGS, gate }, () => "ran")({}), "ran");
      assert.ok(performance.now() - started >= 249); // a timer may be a fraction of a millisecond early
    });
});

describe("a gate that asks for a longer wait than a call is retried is called once more", () => {
  for (const call of ["claim", "outcome"])
    it(call, async (test) => {
      const mock = new MockGate();
      const now = performance.now.bind(performance);
      let skipped = 0;
      test.mock.method(performance, "now", () => now() + skipped);
      const { gate, calls } = behind(mock, (name, times) => {
        if (name !== call || times !== 1) return undefined;
        skipped = 59_900; // of the 60 seconds in which a call is retried
        return new Response("", { status: 503, headers: { "retry-after": "70" } });
      });
      assert.equal(await gated({ ...SETTINGS, gate }, () => "ran")({}), "ran");
      assert.deepEqual(mock.outcomes, ["Executed"]);
      assert.equal(calls.filter((it) => it === call).length, 2);
    });
});
