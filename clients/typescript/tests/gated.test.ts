// `gated`: what people are shown, what runs, and what a refused call returns.

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { describe, it } from "node:test";
import { runInNewContext } from "node:vm";
import { currentProof, Gate, gated, Handle, Refused, toolCall, type GateOptions, type Logger } from "human-oversight";
import { approve, askForChanges, expire, MockGate, pause, reject, type MockRequest } from "human-oversight/mock";
import {
  countApprovals,
  findFirstHolder,
  readKeys,
  verifyPermit,
  verifyReceipt,
  type Receipt,
} from "human-oversight/receipts";
import { toCanonical } from "../dist/parameters.js";

const SETTINGS = { agent: "UserManagerAgent", action: "Delete User Account" };
const INVALID = "Not run: the request is invalid. Correct it before you try again. ";

class Lines implements Logger {
  readonly lines: string[] = [];
  warn = (line: string) => void this.lines.push(`warn ${line}`);
  error = (line: string) => void this.lines.push(`error ${line}`);
}

function shown({ requests }: MockGate): unknown {
  return requests.at(-1)?.parameters;
}

/** The refusal of a call with this argument. */
async function refusal(value: unknown, mock = new MockGate()): Promise<Refused> {
  const run = gated({ ...SETTINGS, gate: mock.gate, onRefusal: (it) => it }, (_: { value: unknown }) => "ran");
  const refused = await run({ value });
  assert(refused instanceof Refused);
  assert.deepEqual(mock.requests, []);
  return refused;
}

describe("arguments", () => {
  it("a function runs on exactly what people are shown, with defaults", async () => {
    const mock = new MockGate();
    const parse = (args: { user_id: string; force?: boolean }) => ({ force: false, ...args });
    const run = gated({ ...SETTINGS, parse, gate: mock.gate }, (args) => args);
    assert.deepEqual(await run({ user_id: "1" }), { force: false, user_id: "1" });
    assert.deepEqual(shown(mock), { user_id: "1", force: false });
    assert.deepEqual(mock.outcomes, ["Executed"]);
  });

  it("what parse refuses is an invalid request", async () => {
    const mock = new MockGate();
    const parse = (): object => {
      throw new Error("user_id must be a number");
    };
    assert.equal(
      await gated({ ...SETTINGS, parse, gate: mock.gate }, () => 1)({}),
      `${INVALID}user_id must be a number`,
    );
    assert.deepEqual(mock.requests, []);
  });

  const cycle: unknown[] = [];
  cycle.push(cycle);
  let deep: unknown = 1;
  for (let level = 0; level < 65; level++) deep = [deep];
  const values = {
    NaN: NaN,
    Infinity: Infinity,
    "2^53": 2 ** 53,
    "1e17": 1e17,
    "-0": -0,
    "-0 in a list": [-0],
    undefined: undefined,
    "an undefined member": { a: undefined },
    "an undefined item": [undefined],
    "a gap in a list": Array(2),
    bigint: 1n,
    symbol: Symbol("a"),
    "a symbol as name": { [Symbol("a")]: 1 },
    function: () => 1,
    Date: new Date(0),
    Map: new Map(),
    Set: new Set(),
    RegExp: /a/,
    bytes: new Uint8Array(1),
    "an object with toJSON": { toJSON: () => 1 },
    "an object of a class": new (class User {})(),
    "a number object": Object(1),
    "half of a surrogate pair": "\ud800",
    "half of a surrogate pair in a name": { "\udc00": 1 },
    "a reserved name": { "$serde_json::private::Number": "1" },
    "a value that contains itself": cycle,
    "65 levels": deep,
  };
  for (const [name, value] of Object.entries(values))
    it(`what JSON cannot carry is refused before anyone is asked: ${name}`, async () => {
      const refused = await refusal(value);
      assert.equal(refused.reason, "invalid");
      const where =
        name.includes("itself") || name.includes("levels") ? "parameters have more than 64 levels" : "/value";
      assert(refused.message.startsWith(`${INVALID}${where}`), refused.message);
    });

  it("a refusal names the value by its JSON pointer", async () => {
    const { message } = await refusal({ "a/b~": [1n] });
    assert(message.startsWith(`${INVALID}/value/a~1b~0/0 is of the type bigint`), message);
  });

  it("a list of a class is shown, and given to the function, as a list", async () => {
    class Quiet extends Array<string> {
      toJSON() {
        return [];
      }
      override map<U>(): U[] {
        return [];
      }
    }
    const mock = new MockGate();
    const run = gated({ ...SETTINGS, gate: mock.gate }, ({ names }: { names: string[] }) => names);
    const names = await run({ names: Quiet.of("alice", "bob") });
    assert.deepEqual([names, shown(mock)], [["alice", "bob"], { names: ["alice", "bob"] }]);
    assert(!(names instanceof Quiet));
  });

  it("parameters that are no object are refused", async () => {
    const mock = new MockGate();
    const run = gated({ ...SETTINGS, gate: mock.gate }, (_: object) => "ran");
    for (const args of ["text", null, [], 1, new Date(0)] as unknown as object[])
      assert.equal(await run(args), `${INVALID}parameters must be a JSON object: a plain object`);
    assert.deepEqual(mock.requests, []);
  });

  it("plain objects of every kind are shown", async () => {
    const mock = new MockGate();
    const args = {
      none: null,
      bare: Object.assign(Object.create(null) as object, { a: 1 }),
      foreign: runInNewContext("({ a: [1, 'é', true] })") as object,
      proto: JSON.parse('{"__proto__": {"a": 1}}') as object,
    };
    const got = await gated({ ...SETTINGS, gate: mock.gate }, (it: typeof args) => it)(args);
    assert.equal(toCanonical(shown(mock)), toCanonical(args));
    assert.equal(JSON.stringify(got), JSON.stringify(args));
  });

  it("a change of the arguments while people decide changes nothing that runs", async () => {
    const args = { user: { id: "1" } };
    const mock = new MockGate(() => {
      args.user.id = "2";
      return approve;
    });
    assert.equal(await gated({ ...SETTINGS, gate: mock.gate }, ({ user }: typeof args) => user.id)(args), "1");
    assert.deepEqual(shown(mock), { user: { id: "1" } });
  });

  it("an argument that gives another value each time runs on what people saw", async () => {
    let reads = 0;
    const args = Object.defineProperty({ n: 0 }, "n", { get: () => ++reads, enumerable: true });
    const mock = new MockGate();
    const ran = await gated({ ...SETTINGS, gate: mock.gate }, ({ n }: { n: number }) => n)(args);
    assert.deepEqual(shown(mock), { n: ran });
  });

  for (const [name, parse] of Object.entries({ nothing: undefined, parse: (args: { n: number }) => args }))
    it(`are those of the call, whatever the caller does after it, with ${name}`, async () => {
      const mock = new MockGate();
      const run = gated(
        { agent: "A", action: "B", gate: mock.gate, ...(parse && { parse }) },
        ({ n }: { n: number }) => n,
      );
      const reused = { n: 0 };
      const calls = [1, 2, 3].map((n) => {
        reused.n = n;
        return run(reused);
      });
      reused.n = 4;
      assert.deepEqual(await Promise.all(calls), [1, 2, 3]);
      assert.deepEqual(
        mock.requests.map(({ parameters }) => parameters),
        [{ n: 1 }, { n: 2 }, { n: 3 }],
      );
    });

  it("skipped arguments and the framework's context are not shown, and reach the function", async () => {
    const mock = new MockGate();
    const connection = new Map([["1", "alice"]]);
    const options = { ...SETTINGS, gate: mock.gate, skip: ["connection"] as const };
    const run = gated(
      options,
      (args: { user_id: string; connection: Map<string, string> }, context: { run: bigint }) => [
        args.connection.get(args.user_id),
        context.run,
      ],
    );
    assert.deepEqual(await run({ user_id: "1", connection }, { run: 7n }), ["alice", 7n]);
    assert.deepEqual(shown(mock), { user_id: "1" });
  });

  it("with skipped arguments, the others are what JSON can carry all the same", async () => {
    const mock = new MockGate();
    const run = gated({ ...SETTINGS, gate: mock.gate, skip: ["a"] as const }, (_: { a?: unknown }) => "ran");
    for (const args of [[1], new (class User {})(), { [Symbol("b")]: 1 }, { a: 1, b: undefined }])
      assert((await run(args)).startsWith(INVALID));
    assert.deepEqual(mock.requests, []);
    assert.equal(await run({ a: 1n }), "ran");
  });

  it("a function without arguments, a method, and its name", async () => {
    const mock = new MockGate();
    const users = {
      name: "users",
      purge: gated({ ...SETTINGS, gate: mock.gate }, function purge(this: { name: string }) {
        return this.name;
      } as () => string),
    };
    assert.equal(await (users.purge as () => Promise<string>)(), "users");
    assert.deepEqual(shown(mock), {});
    assert.equal(users.purge.name, "purge");
  });

  it("settings may be functions of the arguments", async () => {
    const mock = new MockGate();
    const action = ({ user_id }: { user_id: string }) => `Delete ${user_id}`;
    const settings = { agent: "A", action, approvers: ["bob@example.com"], reason: () => "Left.", gate: mock.gate };
    await gated(settings, () => 1)({ user_id: "1" });
    const [request] = mock.requests;
    assert.deepEqual([request?.actionDescription, request?.reason], ["Delete 1", "Left."]);
    assert.deepEqual(request?.approverEmails, ["bob@example.com"]);
  });

  it("a function that gives a setting gets a copy of the arguments", async () => {
    const mock = new MockGate();
    const clear = (args: { users: string[]; n?: number }) => {
      args.n = args.users.length;
      args.users.length = 0;
      return `n-${args.n}`;
    };
    const options = { agent: "A", action: clear, reason: clear, correlationId: clear, gate: mock.gate };
    const ran = await gated(options, (args: { users: string[]; n?: number }) => args)({ users: ["1", "2"] });
    assert.deepEqual([ran, shown(mock)], [{ users: ["1", "2"] }, { users: ["1", "2"] }]);
    const [request] = mock.requests;
    assert.deepEqual([request?.actionDescription, request?.reason, request?.correlationId], ["n-2", "n-2", "n-2"]);
  });

  it("a function that gives a setting later is none", async () => {
    const mock = new MockGate();
    const reason = (async () => {
      throw new Error("later");
    }) as unknown as () => string;
    const run = gated({ ...SETTINGS, reason, gate: mock.gate }, () => "ran");
    await assert.rejects(run({}), { name: "TypeError", message: /reason must not be asynchronous/ });
    assert.deepEqual(mock.requests, []);
  });

  it("a setting that JSON cannot carry is refused", async () => {
    const { gate, requests } = new MockGate();
    const text = "Delete \ud800";
    const settings = {
      agent: text,
      action: text,
      approvers: [text],
      reason: text,
      onBehalfOf: text,
      supersedes: text,
      callback: { channel: "agents", state: text },
      timeoutSeconds: Infinity,
    };
    for (const [name, value] of Object.entries(settings)) {
      const given = { ...SETTINGS, [name]: value };
      const refused = await gated({ ...given, gate, onRefusal: (it) => it }, () => "ran")({});
      assert(refused instanceof Refused, name);
      assert.match(refused.message, /a setting cannot be written as JSON: .*(surrogate|Infinity)/);
      const isRefused = { name: "Refused", reason: "invalid" };
      await assert.rejects(gate.action(given).submit({}), isRefused);
      await assert.rejects(gate.action(given).claim({}), isRefused);
    }
    assert.deepEqual(requests, []);
  });
});

describe("what cannot be gated is refused at once", () => {
  const refuse = (value: unknown) =>
    assert.throws(() => gated(SETTINGS, value as () => void), { name: "TypeError", message: /gated/ });
  it("a generator", () => refuse(function* () {}));
  it("an asynchronous generator", () => refuse(async function* () {}));
  it("a tool", () => refuse({ execute: () => 1 }));
  it("options that the types do not allow", () => {
    const approvers = "alice@example.com" as unknown as string[];
    assert.throws(() => gated({ ...SETTINGS, approvers }, () => 1), /approvers must be a list/);
    assert.throws(() => gated({ agent: "A" } as typeof SETTINGS, () => 1), /agent and action/);
    assert.throws(() => new MockGate().gate.action({ ...SETTINGS, approvers }), /approvers must be a list/);
  });
  it("an option that there is not", () => {
    const misspelt = { ...SETTINGS, onBehalfof: "alice@example.com" };
    const error = { name: "TypeError", message: "there is no option onBehalfof" };
    assert.throws(() => gated(misspelt, () => 1), error);
    assert.throws(() => new MockGate().gate.action(misspelt), error);
    assert.throws(() => new MockGate().gate.action({ ...SETTINGS, ...{ skip: [] } }), /there is no option skip/);
  });
  it("an option of a gate or a wait that there is not", async () => {
    const url = "https://gate.example.com";
    const ofGate = { url, issuer: ["https://gate.example.com"] };
    assert.throws(() => new Gate(ofGate), { name: "TypeError", message: "there is no option issuer" });
    const error = { name: "TypeError", message: "there is no option waitSecond" };
    const { gate, requests } = new MockGate();
    const action = gate.action(SETTINGS);
    const misspelt: object = { waitSecond: 0 };
    await assert.rejects(
      action.run({}, () => 1, misspelt),
      error,
    );
    await assert.rejects(action.claim({}, misspelt), error);
    await assert.rejects(action.submit({}, misspelt), error);
    const pending = action.resume(action.prepare(), {});
    await assert.rejects(pending.claim(misspelt), error);
    await assert.rejects(
      pending.run(() => 1, misspelt),
      error,
    );
    assert.deepEqual(requests, []);
  });
  it("an option of a gate that is no text", () => {
    for (const name of ["url", "key", "audience", "keys", "claimKey"]) {
      const options = { url: "https://gate.example.com", [name]: ["abc"] } as unknown as GateOptions;
      assert.throws(() => new Gate(options), { name: "TypeError", message: `${name} must be a text` });
    }
  });
  it("an option of another type is refused by its name", () => {
    const { gate } = new MockGate();
    const options: Record<string, unknown[]> = {
      agent: [5],
      action: [5, null],
      approvers: [[7], "a@b.example"],
      reason: [5, null],
      onBehalfOf: [["a@b.example"]],
      correlationId: [5],
      supersedes: [5],
      callback: [["x"], 5, { channel: 5 }, {}, { channel: "a", state: 5 }],
      onPending: ["x"],
      skip: ["abc", [5]],
      gate: [{}, "https://gate.example.com"],
      parse: [{}],
      onRefusal: [5],
    };
    for (const [name, values] of Object.entries(options))
      for (const value of values) {
        const message = new RegExp(`\\b${name}\\b.* must be|needs the options .*\\b${name}\\b`);
        assert.throws(() => gated({ ...SETTINGS, [name]: value }, () => 1), { name: "TypeError", message });
        if (!["skip", "gate", "parse", "onRefusal"].includes(name))
          assert.throws(() => gate.action({ ...SETTINGS, [name]: value }), { name: "TypeError", message });
      }
  });
  it("what a function gives as an option of another type is refused by its name", async () => {
    const { gate, requests } = new MockGate();
    const run = gated({ ...SETTINGS, gate, reason: (() => 5) as unknown as () => string }, () => "ran");
    await assert.rejects(run({}), { name: "TypeError", message: "reason must be a text" });
    assert.deepEqual(requests, []);
  });
  it("a correlation id that is none", async () => {
    const { gate, requests } = new MockGate();
    for (const correlationId of ["", "a b", "x".repeat(65)]) {
      const text = await gated({ ...SETTINGS, correlationId: () => correlationId, gate }, () => "ran")({});
      assert.match(text, /correlation id/);
      const claim = gate.action({ ...SETTINGS, correlationId }).claim({});
      await assert.rejects(claim, { name: "Refused", reason: "invalid" });
    }
    assert.deepEqual(requests, []);
  });
  it("seconds that are none", async () => {
    const { gate, requests } = new MockGate();
    for (const seconds of [NaN, "5", null, new Date(0), -1] as number[]) {
      assert.throws(() => gated({ ...SETTINGS, waitSeconds: seconds }, () => 1), /waitSeconds must be a number/);
      assert.throws(() => gated({ ...SETTINGS, timeoutSeconds: seconds }, () => 1), /timeoutSeconds must be a number/);
      assert.throws(() => gate.action({ ...SETTINGS, timeoutSeconds: seconds }), /timeoutSeconds must be a number/);
      await assert.rejects(gate.action(SETTINGS).claim({}, { waitSeconds: seconds }), /waitSeconds must be a number/);
    }
    assert.deepEqual(requests, []);
    assert.equal(await gate.action(SETTINGS).run({}, () => "ran", { waitSeconds: Infinity }), "ran");
  });
});

describe("outcomes", () => {
  it("a failure is reported and thrown", async () => {
    const mock = new MockGate();
    const fail = () => {
      throw new RangeError("no such user");
    };
    await assert.rejects(gated({ ...SETTINGS, gate: mock.gate }, fail)({}), RangeError);
    assert.deepEqual(mock.outcomes, ["ExecutionFailed"]);
  });

  it("a refusal is words, what a function makes of it, or thrown", async () => {
    const { gate } = new MockGate(() => reject("Ask Legal."));
    const words = "Not run: rejected by approver@example.com. Their reason: Ask Legal.";
    const run = () => 1;
    const settings = { ...SETTINGS, gate };
    const text: number | string = await gated(settings, run)({});
    assert.equal(text, words);
    const denied: number | "DENIED" = await gated({ ...settings, onRefusal: () => "DENIED" as const }, run)({});
    assert.equal(denied, "DENIED");
    const comment = await gated({ ...settings, onRefusal: (refused) => refused.comment }, run)({});
    assert.equal(comment, "Ask Legal.");
    // @ts-expect-error: a refused call returns words
    const number: number = await gated(settings, run)({});
    assert.equal(number, words);
    const thrown: () => Promise<number> = async () => gated({ ...settings, onRefusal: "throw" }, run)({});
    await assert.rejects(thrown, { name: "Refused", reason: "rejected", message: words, by: "approver@example.com" });
    assert.throws(() => gated({ ...settings, onRefusal: "raise" as "throw" }, run), TypeError);
  });

  it("a setting of the arguments alone has its own type, whatever context the function takes", async () => {
    const mock = new MockGate();
    type User = { user_id: string };
    type Context = { abortSignal?: AbortSignal; who: string };
    const describe = ({ user_id }: User): string => `Delete ${user_id}`;
    const settings = { ...SETTINGS, gate: mock.gate };
    const run = async (user: User, context: Context): Promise<string> => user.user_id + context.who;
    const named = gated({ ...settings, action: describe, reason: describe }, run);
    const annotated = gated({ ...settings, action: ({ user_id }: User) => `Delete ${user_id}` }, run);
    const ofBoth = gated({ ...settings, reason: ({ user_id }, { who }) => user_id + who }, run);
    const parse = (user: User & { force?: boolean }) => ({ force: false, ...user });
    const parsed = gated({ ...settings, parse, action: describe }, run);
    const ofSetting = gated(
      { ...settings, reason: (user: User, { who }: Context) => user.user_id + who },
      (user, { who }) => user.user_id + who,
    );
    for (const call of [named, annotated, ofBoth, parsed, ofSetting]) {
      const ran: string = await call({ user_id: "1" }, { who: "me" });
      assert.equal(ran, "1me");
    }
    assert.equal(mock.requests[0]?.reason, "Delete 1");
    // @ts-expect-error: the function takes a context
    await assert.rejects(async () => named({ user_id: "1" }));
    // @ts-expect-error: the function takes another context
    gated({ ...settings, reason: (_: User, count: number) => `${count}` }, run);
  });

  it("a rule of the policy that denies is named", () => {
    const refused = new Refused("denied", { rules: ["never"], comment: "Open a change instead." });
    const words = "Not run: the operator's policy denies this (rule never). Do not try again. The policy's reason: ";
    assert.equal(refused.message, `${words}Open a change instead.`);
  });

  it("the last vote of each person counts", () => {
    const vote = (approver: string, approverObjectId: string | undefined, decision: "Approved" | "Rejected") => ({
      approver,
      approverObjectId,
      decision,
    });
    const votes = [
      vote("a@x.example", "1", "Approved"),
      vote("A@X.example", undefined, "Rejected"),
      vote("b@x.example", undefined, "Approved"),
    ];
    const receipt = { decision: "Approved", assurance: "link" } as Receipt;
    assert.equal(countApprovals({ ...receipt, votes }), 1);
    assert.equal(countApprovals({ ...receipt, votes: [] }), 1);
  });

  it("the person who decided is followed back over whole hand-overs", () => {
    const first = (...steps: string[]) => {
      const handedOver = steps.map(([from, to]) => ({ from: `${from}@x.example`, to: `${to}@x.example` }));
      return findFirstHolder({ approver: "c@x.example", handedOver });
    };
    assert.equal(first(), "c@x.example");
    assert.equal(first("ab", "bc"), "a@x.example");
    assert.equal(first("zy", "ab", "bc"), "a@x.example");
    // Broken, out of order, round in a circle, to another person.
    assert.equal(first("ab"), "c@x.example");
    assert.equal(first("bc", "ab"), "b@x.example");
    assert.equal(first("ca", "ac"), "c@x.example");
    assert.equal(first("ab", "bd"), "c@x.example");
  });

  it("an approval that was used before says what became of the action", async () => {
    const mock = new MockGate();
    let ran = 0;
    const run = gated({ ...SETTINGS, gate: mock.gate }, () => ++ran);
    assert.equal(await toolCall("call_1", () => run({})), 1);
    const used = "Not run again: the approval was used before, and the action ran.";
    assert.equal(await toolCall("call_1", () => run({})), used);
    assert.equal(await toolCall(["run 1", "call_1"], () => run({})), 2);
    assert.equal(mock.requests[0]?.correlationId, "call_1");
    assert.equal(mock.requests.length, 2);
  });

  it("a tool call whose id is empty names no request", async () => {
    const mock = new MockGate();
    const run = gated({ ...SETTINGS, gate: mock.gate }, () => "ran");
    for (const names of ["", [], ["run 1", ""], "", ["run 1", ""]])
      assert.equal(await toolCall(names, () => run({})), "ran");
    assert.equal(new Set(mock.requests.map(({ correlationId }) => correlationId)).size, 5);
  });

  it("a tool call names the outer of two gated functions", async () => {
    const mock = new MockGate();
    const inner = gated({ ...SETTINGS, gate: mock.gate }, ({ n }: { n: number }) => `inner ${n}`);
    const outer = gated({ ...SETTINGS, gate: mock.gate }, async () => [await inner({ n: 1 }), await inner({ n: 2 })]);
    assert.deepEqual(await toolCall("call_1", () => outer({})), ["inner 1", "inner 2"]);
    const names = mock.requests.map(({ correlationId }) => correlationId);
    assert.equal(names[0], "call_1");
    assert.equal(new Set(names).size, 3);
  });

  it("the proof is there while the function runs", async () => {
    const mock = new MockGate();
    const proof = await gated({ ...SETTINGS, gate: mock.gate }, () => currentProof())({});
    assert(typeof proof === "object");
    const keys = await readKeys(mock.keys.keys);
    const receipt = await verifyReceipt(proof.receipt, keys);
    assert.equal(receipt.approver, "approver@example.com");
    assert.equal((await verifyPermit(proof.permit, keys)).sub, receipt.sub);
    assert.equal(currentProof(), undefined);
  });

  it("100 calls at once share a gate", async () => {
    const mock = new MockGate();
    const run = gated({ ...SETTINGS, gate: mock.gate }, ({ n }: { n: number }) => n);
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    assert.deepEqual(await Promise.all(numbers.map((n) => run({ n }))), numbers);
    assert.deepEqual(mock.outcomes, Array(100).fill("Executed"));
  });

  it("an aborted signal asks no one", async () => {
    const mock = new MockGate();
    const run = gated({ ...SETTINGS, gate: mock.gate }, (_args: object, _call: { signal: AbortSignal }) => "ran");
    await assert.rejects(run({}, { signal: AbortSignal.abort() }), { name: "AbortError" });
    assert.deepEqual(mock.requests, []);
  });
});

describe("logs", () => {
  it("without a gate no one is asked, and a line says so", async (test) => {
    delete process.env["HO_URL"];
    const line = test.mock.method(console, "error", () => undefined);
    const words =
      "Not run: no one was asked, because the connection to the gate is set up wrongly. Do not try again: tell the operator.";
    assert.equal(await gated(SETTINGS, () => "ran")({}), words);
    assert.deepEqual(
      line.mock.calls.map((call) => call.arguments as unknown[]),
      [["not run, and no one was asked: misconfigured: HO_URL is not set: it must be the gate's address"]],
    );
  });

  it("a gate that is not trusted before anyone is asked is an error", async () => {
    const logger = new Lines();
    const fetch = async () => Response.json({ keys: [] });
    const gate = new Gate({ url: "https://gate.example.com", approvers: ["a@b.example"], fetch, logger });
    assert.match(await gated({ ...SETTINGS, gate }, () => "ran")({}), /could not be verified/);
    const [line, ...others] = logger.lines;
    assert.match(line ?? "", /^error not run, and no one was asked: unverified: the gate does not say/);
    assert.deepEqual(others, []);
  });

  it("a pause has words of its own", async () => {
    const logger = new Lines();
    const mock = new MockGate(() => pause, logger);
    const text = await mock.gate.scope(() => gated(SETTINGS, () => "ran")({}));
    assert.equal(text, "Not run: the operator has paused operations. Try again later.");
    assert.match(logger.lines.join("\n"), /^warn not run: paused: /);
  });

  it("a decision and a deadline are no lines", async () => {
    const logger = new Lines();
    for (const answer of [reject("No."), expire, approve])
      await gated({ ...SETTINGS, gate: new MockGate(() => answer, logger).gate }, () => "ran")({});
    assert.deepEqual(logger.lines, []);
  });

  it("no line and no text of a gate, an action or a handle has a secret or an address", async () => {
    const logger = new Lines();
    const policy = (request: MockRequest) => (request.reason ? reject() : approve);
    const mock = new MockGate(policy, logger);
    const url = "https://gate.example.com";
    const gate = new Gate({ url, key: "the-key", claimKey: "5a".repeat(32), approvers: ["alice@example.com"], logger });
    const action = gate.action({ agent: "A", action: "B" });
    const handle = action.prepare();
    await gated({ ...SETTINGS, gate: mock.gate, approvers: [] }, () => "ran")({ user_id: "the-user" });
    const texts = [inspect({ gate, action, handle }, { depth: 9 }), JSON.stringify({ gate, action, handle })];
    for (const secret of ["the-key", "5a".repeat(32), "the-user", handle.secret])
      assert(![...texts, ...logger.lines].join("\n").includes(secret), secret);
    assert.equal(Handle.parse(handle.serialize()).secret, handle.secret);
    assert.throws(() => Handle.parse("{}"), TypeError);
    assert.throws(() => Handle.parse("not JSON"), TypeError);
  });
});

describe("changes", () => {
  it("a changed request names the one that was rejected", async () => {
    const policy = ({ supersedes }: MockRequest) =>
      supersedes === undefined ? askForChanges("Only user 2.") : approve;
    const mock = new MockGate(policy);
    const refusals: Refused[] = [];
    const options = { ...SETTINGS, gate: mock.gate, supersedes: () => refusals.at(-1)?.id ?? undefined };
    const onRefusal = (refused: Refused) => String(refusals.push(refused));
    const run = gated({ ...options, onRefusal }, ({ users }: { users: string[] }) => users.join());
    assert.equal(await run({ users: ["1", "2"] }), "1");
    assert.equal(await run({ users: ["2"] }), "2");
    const [asked] = refusals;
    assert.equal(asked?.question, "Only user 2.");
    assert.match(asked?.message ?? "", /who asks for changes\. .* try again: Only user 2\.$/);
    assert.deepEqual(
      mock.requests.map(({ supersedes }) => supersedes),
      [undefined, asked?.id],
    );
  });
});
