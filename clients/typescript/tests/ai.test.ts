// The adapter of the Vercel AI SDK, with the real framework and its mock of a model.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  convertToModelMessages,
  generateText,
  stepCountIs,
  streamText,
  tool,
  type Tool,
  type ToolSet,
  type UIMessage,
} from "ai";
import { MockLanguageModelV3, simulateReadableStream } from "ai/test";
import { z } from "zod";
import { gated, Refused, toolCall, type Reason } from "human-oversight";
import { gateTools } from "human-oversight/ai";
import { approve, MockGate, reject, type Answer } from "human-oversight/mock";
import { read } from "./repository.js";

const REJECTED = "Not run: rejected by approver@example.com. Their reason: Ask Legal.";
const CASES: [string, Answer, string][] = [
  ["approved", approve, "User 1 deleted."],
  ["rejected", reject("Ask Legal."), REJECTED],
];

const inputSchema = z.object({ user_id: z.string(), force: z.boolean().default(false) });
const description = "Deletes a user.";
const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};
const call = { type: "tool-call", toolCallId: "call_1", toolName: "delete_user", input: '{"user_id":"1"}' } as const;

/** A model that calls the tool, and what it then reads. */
function model(): { model: MockLanguageModelV3; read: unknown[] } {
  const results: unknown[] = [];
  const doGenerate = async ({ prompt }: { prompt: { role: string; content: unknown }[] }) => {
    const last = prompt.at(-1);
    if (last?.role === "tool")
      results.push(...(last.content as { output: { value: unknown } }[]).map(({ output }) => output.value));
    const isDone = last?.role === "tool";
    return {
      content: isDone ? [{ type: "text" as const, text: "done" }] : [call],
      finishReason: { unified: isDone ? ("stop" as const) : ("tool-calls" as const), raw: undefined },
      usage,
      warnings: [],
    };
  };
  return { model: new MockLanguageModelV3({ doGenerate }), read: results };
}

async function run(tools: ToolSet): Promise<unknown> {
  const scripted = model();
  await generateText({ model: scripted.model, tools, prompt: "Delete user 1.", stopWhen: stepCountIs(3) });
  assert.equal(scripted.read.length, 1);
  return scripted.read[0];
}

function check({ requests }: MockGate, correlationId?: string): void {
  assert.equal(requests.length, 1);
  const [request] = requests;
  assert.deepEqual([request?.agentName, request?.actionDescription], ["UserManager", "Delete User Account"]);
  assert.deepEqual(request?.parameters, { user_id: "1", force: false });
  if (correlationId !== undefined) assert.equal(request?.correlationId, correlationId);
}

const oversight = { agent: "UserManager", actions: { delete_user: "Delete User Account" } };

for (const [name, answer, words] of CASES)
  describe(name, () => {
    it("a gated function is a tool", async () => {
      const mock = new MockGate(() => answer);
      const execute = gated(
        { agent: "UserManager", action: "Delete User Account", gate: mock.gate },
        async ({ user_id }: z.infer<typeof inputSchema>) => `User ${user_id} deleted.`,
      );
      assert.equal(await run({ delete_user: tool({ description, inputSchema, execute }) }), words);
      check(mock);
    });

    it("a tool of another package is gated", async () => {
      const mock = new MockGate(() => answer);
      const delete_user = tool({ description, inputSchema, execute: ({ user_id }) => `User ${user_id} deleted.` });
      assert.equal(await mock.gate.scope(() => run(gateTools({ delete_user }, oversight))), words);
      check(mock, "call_1");
    });

    it("a tool that streams is gated, and its last result counts", async () => {
      const mock = new MockGate(() => answer);
      const delete_user = tool({
        inputSchema,
        async *execute({ user_id }) {
          yield "Deleting.";
          yield `User ${user_id} deleted.`;
        },
      });
      assert.equal(await run(gateTools({ delete_user }, { ...oversight, gate: mock.gate })), words);
      assert.deepEqual(mock.outcomes, [name === "approved" ? "Executed" : undefined]);
    });
  });

it("a repeated tool call is the same request, and that of another conversation is none", async () => {
  const mock = new MockGate();
  const delete_user = tool({ inputSchema, execute: () => "deleted" });
  const tools = gateTools({ delete_user }, { ...oversight, gate: mock.gate });
  assert.equal(await run(tools), "deleted");
  assert.equal(await run(tools), "Not run again: the approval was used before, and the action ran.");
  const other = gateTools({ delete_user }, { ...oversight, gate: mock.gate, conversation: "8" });
  assert.equal(await run(other), "deleted");
  assert.equal(mock.requests.length, 2);
});

it("each tool call with an empty id is a request of its own", async () => {
  const mock = new MockGate();
  const delete_user = tool({ inputSchema, execute: () => "deleted" });
  for (const conversation of [undefined, "8"]) {
    const settings = { ...oversight, gate: mock.gate, ...(conversation ? { conversation } : {}) };
    const { execute } = gateTools({ delete_user }, settings).delete_user;
    const call = () => execute?.({ user_id: "1", force: false }, { toolCallId: "", messages: [] });
    // Also within another tool call, whose name is not theirs.
    assert.deepEqual(
      [await call(), await toolCall("outer", call), await toolCall("outer", call)],
      Array(3).fill("deleted"),
    );
  }
  assert.equal(mock.requests.length, 6);
});

it("a stream of text has gated tools too", async () => {
  const mock = new MockGate();
  const delete_user = tool({ inputSchema, execute: () => "deleted" });
  const finish = { type: "finish", finishReason: { unified: "tool-calls", raw: undefined }, usage } as const;
  const doStream = async () => ({ stream: simulateReadableStream({ chunks: [call, finish] }) });
  const tools = gateTools({ delete_user }, { ...oversight, gate: mock.gate });
  const results = await streamText({ model: new MockLanguageModelV3({ doStream }), tools, prompt: "x" }).toolResults;
  const output: string | undefined = results[0]?.dynamic ? undefined : results[0]?.output;
  assert.equal(output, "deleted");
  check(mock, "call_1");
});

for (const [name, answer, words] of CASES)
  it(`${name}: a tool with words of its own for a model says them of results alone`, async () => {
    const mock = new MockGate(() => answer);
    const delete_user = tool({
      inputSchema,
      execute: ({ user_id }) => ({ rows: [user_id] }),
      toModelOutput: ({ output }) => ({ type: "text", value: `User ${output.rows.join()} deleted.` }),
    });
    const tools = gateTools({ delete_user }, { ...oversight, gate: mock.gate });
    assert.equal(await run(tools), words);

    // As after a restart: nothing but the stored messages stays.
    const output = name === "approved" ? { rows: ["1"] } : words;
    const part = { type: "tool-delete_user", toolCallId: "call_1", state: "output-available", input: {}, output };
    const messages = [{ role: "assistant", parts: [part] }] as UIMessage[];
    const later = gateTools({ delete_user }, { ...oversight, gate: mock.gate });
    const [, result] = await convertToModelMessages(messages, { tools: later });
    assert.deepEqual(result?.role === "tool" && result.content, [
      { type: "tool-result", toolCallId: "call_1", toolName: "delete_user", output: { type: "text", value: words } },
    ]);
  });

it("of every refusal a model reads the words", async () => {
  const reasons: Record<Reason, true> = {
    rejected: true,
    denied: true,
    "rejected-before": true,
    timeout: true,
    undeliverable: true,
    cancelled: true,
    used: true,
    revoked: true,
    paused: true,
    unreachable: true,
    misconfigured: true,
    unavailable: true,
    invalid: true,
    unverified: true,
  };
  const toModelOutput = () => ({ type: "text" as const, value: "Deleted." });
  const delete_user = tool({ inputSchema, execute: () => "deleted", toModelOutput });
  const gatedTool: Tool = gateTools({ delete_user }, oversight).delete_user;
  for (const reason of Object.keys(reasons) as Reason[]) {
    const { message } = new Refused(reason);
    const call = { toolCallId: "call_1", input: {}, output: message };
    assert.deepEqual(await gatedTool.toModelOutput?.(call), { type: "text", value: message });
  }
});

for (const [name, answer, words] of CASES)
  it(`${name}: a tool of a class keeps what its class gives it`, async () => {
    class Deletion {
      readonly #users = { delete: (user_id: string) => `User ${user_id} deleted.` };
      get inputSchema() {
        return inputSchema;
      }
      execute({ user_id }: z.infer<typeof inputSchema>) {
        return this.#users.delete(user_id);
      }
      toModelOutput({ output }: { output: string }) {
        return { type: "text" as const, value: this.#users && output };
      }
    }
    const mock = new MockGate(() => answer);
    const delete_user: Tool<z.infer<typeof inputSchema>, string> = new Deletion();
    assert.equal(await run(gateTools({ delete_user }, { ...oversight, gate: mock.gate })), words);
    check(mock, "call_1");
    assert.deepEqual(mock.outcomes, [name === "approved" ? "Executed" : undefined]);
  });

it("other tools are left alone, and a name of no tool is refused", () => {
  const tools = { list: tool({ inputSchema, execute: () => "list" }), ask: { inputSchema } as Tool };
  assert.equal(gateTools(tools, { agent: "A", actions: {} }).list, tools.list);
  // @ts-expect-error: there is no such tool
  assert.throws(() => gateTools(tools, { agent: "A", actions: { delte: "Delete" } }), /there is no tool delte/);
  assert.throws(() => gateTools(tools, { agent: "A", actions: { ask: "Ask" } }), /there is no tool ask/);
});

it("the adapter has fewer than 60 lines", () => {
  assert(read("clients/typescript/src/ai.ts").split("\n").length < 60);
});
