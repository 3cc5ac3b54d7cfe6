// Settings, and what a network does.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  Gate,
  InvalidResponseError,
  Refused,
  SettingsError,
  TlsError,
  type GateOptions,
  type Reason,
} from "human-oversight";
import { MockGate } from "human-oversight/mock";
import { isSameAddress } from "../dist/address.js";

const url = "https://gate.example.com";

describe("settings", () => {
  for (const [address, words] of [
    ["", /absolute https URL/],
    ["gate.example.com", /absolute https URL/],
    ["ftp://gate.example.com", /absolute https URL/],
    ["http://gate.example.com", /unless the gate is on this machine/],
    ["https://user:key@gate.example.com", /must not contain a key/],
    ["https://gate.example.com?code=key", /must not contain a key/],
  ] as const)
    it(`an address that is none is refused: ${address}`, () => {
      assert.throws(() => new Gate({ url: address }), { name: "SettingsError", message: words });
    });

  for (const address of [url, `${url}/`, `${url}/api`, `${url}/api/`, ` ${url} `])
    it(`people paste the address in several forms: '${address}'`, async () => {
      const called: string[] = [];
      const fetch = async (input: unknown) => {
        called.push(String(input));
        return new Response(null, { status: 404 });
      };
      await assert.rejects(new Gate({ url: address, fetch }).check(), SettingsError);
      assert.deepEqual(called, [`${url}/api/keys`]);
    });

  it("a gate on this machine needs no TLS", () => {
    for (const host of ["localhost", "127.0.0.1", "127.1", "[::1]"]) new Gate({ url: `http://${host}:7071` });
  });

  it("keys without an issuer, a file that is absent, and a key of other characters are refused", () => {
    assert.throws(() => new Gate({ url, keys: "A".repeat(43) }), /HO_ISSUER/);
    assert.throws(() => new Gate({ url, keys: "/absent.json", issuers: [url] }), /no such file/);
    assert.throws(() => new Gate({ url, key: "schlüssel" }), SettingsError);
    assert.throws(() => new Gate({ url, issuers: url as unknown as string[] }), /issuers must be a list/);
  });

  it("what the gate is called with, logs to and gets tokens from must be able to", () => {
    const make = (option: object) => new Gate({ url, ...option } as GateOptions);
    assert.throws(() => make({ fetch: url }), /fetch must be a function/);
    for (const logger of [null, "console", () => 1, { warn: console.warn }])
      assert.throws(() => make({ logger }), /logger must have the method (warn|error)/);
    for (const credential of [null, "token", async () => "token", { getToken: "token" }])
      assert.throws(() => make({ audience: url, credential }), /credential must have the method getToken/);
    make({ fetch, logger: console, audience: url, credential: { getToken: async () => null } });
  });

  it("a claim key is 64 hexadecimal digits", () => {
    for (const claimKey of ["a secret", "0".repeat(63), `${"0".repeat(63)}g`, "0".repeat(65), "é".repeat(64)])
      assert.throws(
        () => new Gate({ url, claimKey }),
        ({ name, message }: Error) => {
          assert.match(message, /^HO_CLAIM_KEY must be 64 hexadecimal digits/);
          return name === "SettingsError" && !message.includes(claimKey);
        },
      );
    new Gate({ url, claimKey: "5aB0".repeat(16) });
  });

  it("issuers of which the gate publishes none are found before anyone is asked", async () => {
    const { fetch, requests } = new MockGate();
    const of = (...issuers: string[]) =>
      new Gate({ url: "https://mock.invalid", approvers: ["a@b.example"], issuers, fetch });
    const gate = of(url, `${url}/b`);
    for (let attempt = 0; attempt < 2; attempt++) {
      const message = /HO_ISSUER .*gate\.example\.com, .*\/b.* https:\/\/mock\.invalid/;
      await assert.rejects(gate.check(), { name: "SettingsError", message });
      await assert.rejects(gate.action({ agent: "A", action: "B" }).submit({}), { reason: "misconfigured" });
    }
    assert.deepEqual(requests, []);
    const action = of(url, "https://mock.invalid/").action({ agent: "A", action: "B" });
    assert.equal(await action.run({}, () => "ran"), "ran");
  });

  it("an address differs in case and in the form of its domain", () => {
    assert(isSameAddress(" Alice@Bücher.example ", "alice@xn--bcher-kva.example"));
    assert(isSameAddress("alice@Example.123", "alice@example.123"), "to a URL, an IP address that is wrong");
    assert(!isSameAddress("alice@example.com", "alice@example.org"));
    assert(!isSameAddress("alice", "alice"));
  });
});

/** Of RFC 8037, A.2. */
const PUBLIC = { kid: "1", kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };

describe("what is no gate is found before anyone is asked", () => {
  const cases: [number, unknown, Reason][] = [
    [401, {}, "misconfigured"],
    [404, {}, "misconfigured"],
    [301, {}, "misconfigured"],
    [200, [], "misconfigured"],
    [200, { keys: [] }, "unverified"],
    [200, { keys: [], issuers: [url] }, "unverified"],
    [200, { issuers: [url], keys: [{ ...PUBLIC, revoked: true }] }, "unverified"],
    [200, { x: "y".repeat(300_000) }, "misconfigured"],
  ];
  for (const [status, body, reason] of cases)
    it(`${status} ${JSON.stringify(body).slice(0, 40)}`, async () => {
      const calls: RequestInit[] = [];
      const fetch = async (_: unknown, init?: RequestInit) => {
        calls.push(init ?? {});
        return Response.json(body, { status, headers: { location: "https://other.example.com" } });
      };
      const gate = new Gate({ url, key: "key", approvers: ["a@b.example"], fetch });
      await assert.rejects(gate.action({ agent: "A", action: "B" }).submit({}), (error) => {
        assert(error instanceof Refused);
        assert.equal(error.reason, reason);
        return true;
      });
      assert.deepEqual(
        calls.map((it) => it.redirect),
        ["manual"],
      );
    });
});

describe("a check names the setting that only the status finds", () => {
  for (const [status, message] of [
    [401, /HO_KEY is missing or wrong/],
    [404, /no gate at this address/],
  ] as const)
    it(String(status), async () => {
      const mock = new MockGate();
      const fetch: typeof globalThis.fetch = async (input, init) =>
        String(input).includes("/status/") ? new Response("none", { status }) : mock.fetch(input, init);
      const gate = new Gate({ url: "https://mock.invalid", key: "wrong", fetch });
      await assert.rejects(gate.check(), { name: "SettingsError", message });
    });
});

it("a redirect is not followed, and any failure of fetch is a refusal", async () => {
  const called: string[] = [];
  const server = createHttpServer((request, response) => {
    called.push(request.url ?? "");
    response.writeHead(307, { location: "/elsewhere" }).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await assert.rejects(new Gate({ url: address }).check(), InvalidResponseError);
  assert.deepEqual(called, ["/api/keys"]);
  server.close();

  const fetch = () => Promise.reject(new Error("the program's own"));
  const wait = new Gate({ url, fetch, logger: { warn: () => undefined, error: () => undefined } });
  const signal = AbortSignal.timeout(100);
  await assert.rejects(wait.action({ agent: "A", action: "B" }).submit({}, { signal }), { name: "TimeoutError" });
});

describe("a private authority", () => {
  const folder = mkdtempSync(join(tmpdir(), "human-oversight-"));
  const authority = join(folder, "authority.pem");
  const key = join(folder, "key.pem");
  const openssl = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gate";
  execFileSync("openssl", [
    ...openssl.split(" "),
    ...["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", authority],
  ]);
  const server = createServer({ cert: readFileSync(authority), key: readFileSync(key) }, (_, response) => {
    response.end(JSON.stringify({ keys: [], issuers: [] }));
  });
  let address: string;

  before(async () => {
    await once(server.listen(0, "127.0.0.1"), "listening");
    address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  it("a certificate that is not accepted is an error at once", async () => {
    await assert.rejects(new Gate({ url: address }).check(), (error) => {
      assert(error instanceof TlsError);
      assert.match(error.message, /NODE_EXTRA_CA_CERTS/);
      return true;
    });
  });

  it("is accepted where Node's variable names it", async () => {
    const program = join(folder, "check.mjs");
    const module = new URL("../dist/index.js", import.meta.url).href;
    writeFileSync(
      program,
      `import { Gate } from ${JSON.stringify(module)};
       await Gate.fromEnv().check().catch((error) => console.log(error.message));`,
    );
    const env = { ...process.env, HO_URL: address, NODE_EXTRA_CA_CERTS: authority };
    const child = spawn(process.execPath, [program], { env, stdio: ["ignore", "pipe", "inherit"] });
    const [output] = (await once(child.stdout, "data")) as [Buffer];
    assert.match(String(output), /does not say that it signs permits/);
  });
});
