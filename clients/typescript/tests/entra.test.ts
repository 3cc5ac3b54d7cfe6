// Access tokens of Microsoft Entra ID, in place of a Functions key.

import assert from "node:assert/strict";
import { register } from "node:module";
import { it } from "node:test";
import { Gate, Refused, SettingsError, type GateOptions, type TokenCredential } from "human-oversight";
import { MockGate } from "human-oversight/mock";
import { Tokens } from "../dist/entra.js";

const url = "https://gate.example.com";
const audience = "api://gate/";

interface Call {
  path: string;
  authorization: string | null;
}

/** A gate that takes identities, in front of a mock, with the calls that it gets. */
function identityGate(credential: TokenCredential, options: Partial<GateOptions> = {}): { gate: Gate; calls: Call[] } {
  const mock = new MockGate();
  const calls: Call[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const { pathname } = new URL(String(input));
    calls.push({ path: pathname, authorization: new Headers(init?.headers).get("authorization") });
    return mock.fetch(`https://mock.invalid${pathname.replace("/api/agent/", "/api/")}`, init);
  };
  const approvers = ["alice@example.com"];
  return { gate: new Gate({ url, audience, credential, fetch, approvers, ...options }), calls };
}

/** A credential that counts its sign-ins. */
function credential(lifeMs: number): TokenCredential & { scopes: string[] } {
  const scopes: string[] = [];
  return {
    scopes,
    async getToken(scope) {
      scopes.push(scope);
      return { token: `token-${scopes.length}`, expiresOnTimestamp: Date.now() + lifeMs };
    },
  };
}

it("the routes of identities are called with a token, and the keys without", async () => {
  const tokens = credential(3_600_000);
  const { gate, calls } = identityGate(tokens);
  assert.equal(await gate.action({ agent: "A", action: "B" }).run({}, () => "ran"), "ran");
  assert.deepEqual(calls[0], { path: "/api/keys", authorization: null });
  const others = calls.slice(1);
  assert.deepEqual([others.length, tokens.scopes], [4, ["api://gate/.default"]]);
  for (const { path, authorization } of others) {
    assert.match(path, /^\/api\/agent\/(submit|status|claim|outcome)/);
    assert.equal(authorization, "Bearer token-1");
  }
});

it("20 calls at once sign in once, and a token that is about to expire is renewed", async () => {
  const long = credential(3_600_000);
  const action = identityGate(long).gate.action({ agent: "A", action: "B" });
  await Promise.all(Array.from({ length: 20 }, () => action.run({}, () => "ran")));
  assert.equal(long.scopes.length, 1);
  const short = credential(60_000);
  await identityGate(short)
    .gate.action({ agent: "A", action: "B" })
    .run({}, () => "ran");
  assert.equal(short.scopes.length, 4);
});

for (const [life, counts] of [
  [290_000, true],
  [0, false],
] as const)
  it(`a token of ${life / 1000} s counts until it expires if its renewal fails`, async () => {
    let signIns = 0;
    const once: TokenCredential = {
      getToken: async () => {
        if (++signIns > 1) throw new Error("down");
        return { token: "token", expiresOnTimestamp: Date.now() + life };
      },
    };
    const tokens = new Tokens(audience, once);
    assert.equal(await tokens.get(), "token");
    for (const times of [2, 3]) {
      if (counts) assert.equal(await tokens.get(), "token");
      else await assert.rejects(tokens.get(), { name: "NoTokenError" });
      assert.equal(signIns, times);
    }
  });

it("without a token no one is asked, and the next call signs in again", async () => {
  let isDown = true;
  const failing: TokenCredential = {
    getToken: async () => {
      if (isDown) throw new Error("AADSTS700016: no app of agent@example.com\nthe body of a response");
      return { token: "token", expiresOnTimestamp: Date.now() + 3_600_000 };
    },
  };
  const { gate, calls } = identityGate(failing);
  const action = gate.action({ agent: "A", action: "B" });
  await assert.rejects(action.submit({}), (error) => {
    assert(error instanceof Refused);
    assert.equal(error.reason, "misconfigured");
    assert.equal(error.detail, "no access token could be obtained: AADSTS700016: no app of …");
    return true;
  });
  assert.deepEqual(
    calls.map(({ path }) => path),
    ["/api/keys"],
  );
  isDown = false;
  assert.equal(await action.run({}, () => "ran"), "ran");
});

for (const [proof, named] of [
  ["identity", "HO_AGENT_IDENTITY"],
  ["key", "HO_AUDIENCE"],
] as const)
  it(`a gate that takes no ${proof} is a wrong setting`, async () => {
    const answer = async (input: unknown) =>
      String(input).endsWith("/keys")
        ? Response.json(new MockGate().keys)
        : Response.json(
            { type: "urn:human-oversight:problem:not-found", title: "x", status: 404, detail: "x" },
            { status: 404 },
          );
    const { gate } =
      proof === "identity"
        ? identityGate(credential(3_600_000), { fetch: answer })
        : { gate: new Gate({ url, fetch: answer, approvers: ["alice@example.com"] }) };
    await assert.rejects(gate.action({ agent: "A", action: "B" }).submit({}), (error) => {
      assert(error instanceof Refused);
      assert.equal(error.reason, "misconfigured");
      assert(error.detail?.includes(named) && !error.detail.includes("there is no gate"), error.detail);
      return true;
    });
  });

it("a key and an audience together are refused", () => {
  assert.throws(() => new Gate({ url, key: "key", audience }), SettingsError);
});

it("a package that is missing is named", async () => {
  register(
    `data:text/javascript,export async function resolve(name, context, next) {
      if (name === "@azure/identity") throw new Error("not installed");
      return next(name, context);
    }`,
  );
  const gate = new Gate({ url, audience, fetch: new MockGate().fetch });
  await assert.rejects(gate.check(), { name: "SettingsError", message: /npm install @azure\/identity/ });
});
