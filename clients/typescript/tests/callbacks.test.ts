// Callbacks: which count, and an agent that does not wait.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import ts from "typescript";
import {
  CallbackError,
  gated,
  Refused,
  SettingsError,
  verifyCallback,
  type Callback,
  type Handle,
} from "human-oversight";
import { approve, expire, MockGate, reject, type Answer } from "human-oversight/mock";
import { read } from "./repository.js";

interface Case {
  name: string;
  headers: Record<string, string>;
  body?: string;
  hex?: string;
  result: string;
  callback?: Omit<Callback, "state"> & { state: string | null };
}

const vectors = JSON.parse(read("conformance/callbacks.json")) as {
  secret: string;
  now: number;
  secrets: { name: string; secret: string; valid: boolean }[];
  cases: Case[];
};

describe("callbacks.json", () => {
  for (const { name, headers, body, hex = "", result, callback } of vectors.cases)
    it(name, (test) => {
      test.mock.method(Date, "now", () => vectors.now * 1000);
      for (const given of [headers, new Headers(headers)]) {
        const verify = () => verifyCallback(given, body ?? Buffer.from(hex, "hex"), vectors.secret);
        if (result !== "verified") assert.throws(verify, CallbackError);
        else assert.deepEqual(verify(), { ...callback, state: callback?.state ?? undefined });
      }
    });
  for (const { name, secret, valid } of vectors.secrets)
    it(`a secret: ${name}`, () => {
      const verify = () => verifyCallback({}, "", secret);
      assert.throws(verify, valid ? CallbackError : SettingsError);
      assert.throws(verify, ({ message }: Error) => secret === "" || !message.includes(secret));
    });
});

it("the secret is a setting, without which nothing counts", (test) => {
  const [{ headers, body = "" } = { headers: {} }] = vectors.cases;
  test.mock.method(Date, "now", () => vectors.now * 1000);
  assert.throws(() => verifyCallback(headers, body), SettingsError);
  process.env["HO_CALLBACK_SECRET"] = ` ${vectors.secret}\n`;
  test.after(() => delete process.env["HO_CALLBACK_SECRET"]);
  assert.equal(verifyCallback(headers, body).correlationId, "order-1");
});

/** An agent that has stored a request and does not wait. */
async function asked(answer: Answer) {
  const mock = new MockGate(() => answer, { error: () => undefined, warn: () => undefined });
  const callback = { channel: "agents", state: "thread-17" };
  const action = mock.gate.action({ agent: "A", action: "Delete", callback });
  const handle = action.prepare();
  await action.submit({ user: "1" }, { handle });
  const stored = new Map<string, Handle>([[handle.id, handle]]);
  let runs = 0;
  const onCallback = async () => {
    const [delivery] = mock.callbacks();
    assert(delivery);
    const { id, state } = verifyCallback(delivery.headers, delivery.body, mock.callbackSecret);
    assert.equal(state, "thread-17");
    const found = stored.get(id);
    assert(found);
    return action.resume(found, { user: "1" }).run(() => ++runs, { waitSeconds: 0 });
  };
  return { mock, onCallback, runs: () => runs };
}

describe("an agent that does not wait", () => {
  it("runs a stored request once, however often its callback comes", async () => {
    const { onCallback, runs } = await asked(approve);
    const settled = await Promise.allSettled([1, 2, 3].map(onCallback));
    const refusals = settled.flatMap((it) => (it.status === "rejected" ? [it.reason as Refused] : []));
    assert.deepEqual([runs(), refusals.map(({ reason }) => reason)], [1, ["used", "used"]]);
    await assert.rejects(onCallback(), { reason: "used", execution: "Executed" });
    assert.equal(runs(), 1);
  });

  for (const [answer, reason] of [
    [reject("No."), "rejected"],
    [expire, "timeout"],
  ] as const)
    it(`runs nothing that is ${reason}`, async () => {
      const { onCallback, runs } = await asked(answer);
      await assert.rejects(onCallback(), { reason });
      assert.equal(runs(), 0);
    });

  it("takes no callback of another gate, and none with a header twice", async () => {
    const { mock } = await asked(approve);
    const [delivery] = mock.callbacks();
    assert(delivery);
    const { headers, body } = delivery;
    const { callbackSecret } = new MockGate();
    assert.throws(() => verifyCallback(headers, body, callbackSecret), CallbackError);
    for (const name of Object.keys(headers)) {
      const twice = { ...headers, [name]: [headers[name] ?? "", headers[name] ?? ""] };
      assert.throws(() => verifyCallback(twice, body, mock.callbackSecret), CallbackError);
      const again = { ...headers, [name.toUpperCase()]: headers[name] };
      assert.throws(() => verifyCallback(again, body, mock.callbackSecret), CallbackError);
    }
  });
});

it("a gated function names its channel", async () => {
  const mock = new MockGate();
  const execute = ({ user }: { user: string }) => user;
  await mock.gate.scope(async () => {
    await gated({ agent: "A", action: "Delete", callback: "agents" }, execute)({ user: "1" });
    const callback = ({ user }: { user: string }) => ({ channel: "agents", state: `thread of ${user}` });
    await gated({ agent: "A", action: "Delete", callback }, execute)({ user: "1" });
    await gated({ agent: "A", action: "Delete" }, execute)({ user: "1" });
  });
  const named = mock.requests.map(({ callback }) => callback);
  assert.deepEqual(named, [{ channel: "agents" }, { channel: "agents", state: "thread of 1" }, undefined]);
  assert.equal(mock.callbacks().length, 2);
});

interface Example {
  ask(user: { user_id: string }): Promise<void>;
  onCallback(headers: Record<string, string>, body: Buffer): Promise<number>;
  stored: Map<string, unknown>;
}

/** The example of the README, with this mock. */
async function readExample(mock: MockGate): Promise<Example> {
  const [, section = ""] = read("clients/typescript/README.md").split("\n## Callbacks\n");
  const [, block = ""] = /```ts\n(.*?)```/s.exec(section) ?? [];
  const { outputText } = ts.transpileModule(`${block}\nexport { ask, onCallback, stored };`, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const path = new URL("../dist/index.js", import.meta.url).href;
  // A module of its own for each mock.
  const source = `${outputText.replace('"human-oversight"', JSON.stringify(path))}\n// ${mock.callbackSecret}`;
  const load = () => import(`data:text/javascript,${encodeURIComponent(source)}`) as Promise<Example>;
  return mock.gate.scope(load);
}

describe("the example of the README", () => {
  for (const [answer, outcome] of [
    [approve, "Executed"],
    [reject("Not her."), undefined],
  ] as const)
    it(`settles what it asked: ${answer.status}`, async (test) => {
      const mock = new MockGate(() => answer);
      process.env["HO_CALLBACK_SECRET"] = mock.callbackSecret;
      test.after(() => delete process.env["HO_CALLBACK_SECRET"]);
      const log = test.mock.method(console, "log", () => undefined);
      const { ask, onCallback, stored } = await readExample(mock);
      await ask({ user_id: "1" });
      assert.deepEqual([stored.size, mock.outcomes], [1, [undefined]]);
      const [delivery] = mock.callbacks();
      assert(delivery);
      const { headers, body } = delivery;
      assert.equal(await onCallback(headers, Buffer.from(`${body} `)), 401);
      for (let times = 0; times < 3; times++) assert.equal(await onCallback(headers, Buffer.from(body)), 204);
      assert.deepEqual([stored.size, mock.outcomes], [0, [outcome]]);
      assert.equal(log.mock.callCount(), 1);
    });
});
