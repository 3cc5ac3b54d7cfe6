// Receipts, permits and canonical JSON, against the vectors that every implementation reads.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gate } from "human-oversight";
import {
  checkPermit,
  checkReceipt,
  ExactParameters,
  NotPermittedError,
  NotSignedError,
  ParametersError,
  readKeys,
  verifyPermit,
  verifyReceipt,
  type Demand,
  type Key,
} from "human-oversight/receipts";
import { toCanonical } from "../dist/parameters.js";
import { GIVEN_UP, NOT_RUN } from "../dist/permit.js";
import { parseStrict, StrictJsonError, type Json } from "../dist/strict-json.js";
import { read } from "./repository.js";

interface Text {
  name: string;
  json?: string;
  hex?: string;
  canonical: string;
  digest: string;
  utf8?: string;
}

interface Signed {
  name: string;
  receipt: string;
  permit: string;
  agent: string;
  action: string;
  id: string;
  issuers: string[];
  nonce: string;
  claimant: string | null;
  parameters: object;
  now: number;
  leeway: number;
  atLeast?: number;
  rules?: string[];
  result: string;
}

interface Vectors {
  numbers: { name: string; bits: string; canonical?: string }[];
  values: Text[];
  accepted: Text[];
  refused: Text[];
  keys: { keys: unknown[] };
  cases: Signed[];
  receipts: Signed[];
  permits: Signed[];
}

function vectors(file: string): Vectors {
  return JSON.parse(read(`conformance/${file}.json`)) as Vectors;
}

function bytes({ json, hex }: Text): Buffer {
  return json === undefined ? Buffer.from(hex ?? "", "hex") : Buffer.from(json);
}

describe("canonical.json", () => {
  for (const { name, bits, canonical } of vectors("canonical").numbers)
    it(name, () => {
      const number = Buffer.from(bits, "hex").readDoubleBE();
      if (canonical === undefined) assert.throws(() => toCanonical(number));
      else assert.equal(toCanonical(number), canonical);
    });
  for (const { name, json = "", canonical, utf8 } of vectors("canonical").values)
    it(name, () => {
      const written = toCanonical(JSON.parse(json) as Json);
      assert.equal(written, canonical);
      if (utf8 !== undefined) assert.equal(Buffer.from(written).toString("hex"), utf8);
    });
});

describe("handles.json", () => {
  const { cases } = JSON.parse(read("conformance/handles.json")) as {
    cases: { name: string; key: string; agent: string; correlationId: string; id: string; secret: string }[];
  };
  for (const { name, key, agent, correlationId, id, secret } of cases)
    it(name, () => {
      const gate = new Gate({ url: "https://gate.example.com", claimKey: key });
      const handle = gate.action({ agent, action: "Delete User Account", correlationId }).prepare();
      assert.deepEqual([handle.id, handle.secret], [id, secret]);
    });
});

it("reports.json", () => {
  const { cases } = JSON.parse(read("conformance/reports.json")) as { cases: { begins: string }[] };
  assert.deepEqual(
    cases.map(({ begins }) => begins),
    [NOT_RUN, GIVEN_UP],
  );
});

describe("parameters.json", () => {
  for (const text of vectors("parameters").accepted)
    it(text.name, () => {
      const { canonical, digest } = new ExactParameters(parseStrict(bytes(text)));
      assert.deepEqual([canonical, digest], [text.canonical, text.digest]);
    });
  for (const text of vectors("parameters").refused)
    it(text.name, () => assert.throws(() => new ExactParameters(parseStrict(bytes(text))), isRefusal));
});

function isRefusal(error: unknown): boolean {
  return error instanceof StrictJsonError || error instanceof ParametersError;
}

describe("strict-json.json", () => {
  for (const text of vectors("strict-json").accepted)
    it(text.name, () => assert.equal(toCanonical(parseStrict(bytes(text))), text.canonical));
  for (const text of vectors("strict-json").refused)
    it(text.name, () => assert.throws(() => parseStrict(bytes(text)), StrictJsonError));
});

async function isPermitted(test: Signed, keys: readonly Key[]): Promise<boolean> {
  try {
    const { agent, action, now, atLeast = 0, rules = [] } = test;
    const parameters = new ExactParameters(test.parameters);
    checkReceipt(await verifyReceipt(test.receipt, keys), { agent, action, parameters, now, atLeast, rules });
    return true;
  } catch (error) {
    if (error instanceof NotSignedError || error instanceof NotPermittedError) return false;
    throw error;
  }
}

async function isGranted(test: Signed, keys: readonly Key[]): Promise<boolean> {
  try {
    const parameters = new ExactParameters(test.parameters);
    const expected = { ...test, parameters, claimant: test.claimant ?? undefined };
    checkPermit(await verifyPermit(test.permit, keys), expected);
    return true;
  } catch (error) {
    if (error instanceof NotSignedError || error instanceof NotPermittedError) return false;
    throw error;
  }
}

describe("demands that are none", () => {
  const { keys, cases } = vectors("demands");
  const test = cases.find(({ result }) => result === "permitted");
  assert(test);
  const parameters = new ExactParameters(test.parameters);
  const { agent, action, now } = test;
  for (const [name, wrong] of Object.entries({
    "a time that is undefined": { now: undefined },
    "a time that is a text": { now: new Date().toISOString() },
    "a time that is no number": { now: NaN },
    "a number of people that is null": { atLeast: null },
    "a number of people that is none": { atLeast: NaN },
    "a member that is written wrongly": { at_least: 2 },
    "rules that are a text": { rules: "payments" },
    "rules that are null": { rules: null },
    "parameters with a digest of their own": { parameters: { ...test.parameters, digest: parameters.digest } },
  }))
    it(name, async () => {
      const receipt = await verifyReceipt(test.receipt, await readKeys(keys.keys));
      const run = { agent, action, parameters, now };
      checkReceipt(receipt, run);
      assert.throws(() => checkReceipt(receipt, { ...run, ...wrong } as unknown as Demand), TypeError);
    });
});

for (const [file, list] of [
  ["receipts", "cases"],
  ["demands", "cases"],
  ["es256", "receipts"],
  ["keys", "receipts"],
] as const)
  describe(`receipts of ${file}.json`, () => {
    const { keys, [list]: cases } = vectors(file);
    for (const test of cases)
      it(test.name, async () => {
        assert.equal(await isPermitted(test, await readKeys(keys.keys)), test.result === "permitted");
      });
  });

for (const [file, list] of [
  ["permits", "cases"],
  ["es256", "permits"],
] as const)
  describe(`permits of ${file}.json`, () => {
    const { keys, [list]: cases } = vectors(file);
    for (const test of cases)
      it(test.name, async () => {
        assert.equal(await isGranted(test, await readKeys(keys.keys)), test.result === "granted");
      });
  });

/** The sample of the documentation. */
async function readSample(): Promise<(...given: unknown[]) => Promise<string>> {
  const [, sample = ""] = /```js\n(import .*?)```/s.exec(read("docs/receipts.md")) ?? [];
  const path = new URL("../dist/receipts.js", import.meta.url).href;
  const source = sample.replace('"human-oversight/receipts"', JSON.stringify(path));
  const { verify } = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as {
    verify: (...given: unknown[]) => Promise<string>;
  };
  return verify;
}

it("the sample of the documentation refuses what is missing, and what JSON cannot carry", async (test) => {
  const verify = await readSample();
  const { keys, cases } = vectors("permits");
  const granted = cases.find((one) => one.result === "granted");
  assert(granted);
  test.mock.method(Date, "now", () => granted.now * 1000);
  const given = (changed: object) => ({ ...granted, ...changed });
  for (const [name, { receipt, permit, parameters }] of [
    ["NotSignedError", given({ receipt: undefined })],
    ["NotSignedError", given({ permit: null })],
    ["NotSignedError", given({ receipt: [granted.receipt] })],
    ["NotSignedError", given({ permit: "" })],
    ["NotPermittedError", given({ parameters: {} })],
    ["ParametersError", given({ parameters: undefined })],
    ["ParametersError", given({ parameters: { amount: NaN } })],
  ] as const) {
    const published = { ...keys, issuers: granted.issuers };
    const call = verify(receipt, permit, published, granted.agent, "Refund an order", parameters);
    await assert.rejects(call, { name });
  }
});

it("the sample of the documentation verifies what the vectors say", async (test) => {
  const verify = await readSample();
  const { keys, cases } = vectors("permits");
  const results = new Set<string>();
  for (const one of cases) {
    // The sample takes from the receipt what the agent knows, and no lapsed receipt; its leeway is the default.
    const isKnown = !["other-nonce", "other-claimant", "other-request"].includes(one.result);
    if (!isKnown || one.claimant === null || one.leeway !== 60 || one.now >= 1_800_000_900) continue;
    test.mock.method(Date, "now", () => one.now * 1000);
    const published = { ...keys, issuers: one.issuers };
    const given = [one.receipt, one.permit, published, one.agent, "Refund an order", one.parameters];
    const isTaken = await verify(...given).then(Boolean, () => false);
    assert.equal(isTaken, one.result === "granted", one.name);
    results.add(one.result);
  }
  for (const result of ["granted", "other-agent", "other-parameters", "other-receipt", "bad-signature"])
    assert.ok(results.has(result), result);
});
