// A client of the TypeScript SDK: reads an order as JSON from the standard input, and prints what it got.
//
//     client.mjs 1 | 1 tasks | 2 legacy | 2 2026-07-28
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [version, mode = "legacy"] = process.argv.slice(2);
const require = createRequire(`${process.cwd()}/.tools/mcp/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);

let text = "";
for await (const chunk of process.stdin) text += chunk;
const { command, env, calls, patience } = JSON.parse(text);
const [program, ...args] = command;

async function connect() {
  const info = { name: "tests", version: "1" };
  if (version === "1") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await load("@modelcontextprotocol/sdk/client/stdio.js");
    const capabilities = mode === "tasks" ? { tasks: { list: {} } } : {};
    return [new Client(info, { capabilities }), new StdioClientTransport({ command: program, args, env })];
  }
  const { Client } = await load("@modelcontextprotocol/client");
  const { StdioClientTransport } = await load("@modelcontextprotocol/client/stdio");
  const negotiation = mode === "legacy" ? "legacy" : { pin: mode };
  const client = new Client(info, { versionNegotiation: { mode: negotiation } });
  return [client, new StdioClientTransport({ command: program, args, env })];
}

const [client, transport] = await connect();
await client.connect(transport);
const { tools } = await client.listTools();
const results = [];
let [rounds, tasks] = [0, 0];

async function callAsTask(call, options) {
  for await (const message of client.experimental.tasks.callToolStream(call, undefined, options)) {
    if (message.type === "taskCreated") tasks += 1;
    if (message.type === "result") return message.result;
    if (message.type === "error") throw message.error;
  }
}

function callOnce(call, options) {
  if (version !== "1") return client.callTool(call, options);
  return mode === "tasks" ? callAsTask(call, options) : client.callTool(call, undefined, options);
}

for (const call of calls) {
  for (;;) {
    rounds += 1;
    const progress = [];
    const options = { timeout: patience * 1000, onprogress: (it) => progress.push(it.progress) };
    let result;
    try {
      result = await callOnce(call, options);
    } catch (error) {
      if (/time(d )?\s?out/i.test(error.message)) continue;
      throw error;
    }
    if (progress.some((it, at) => at > 0 && it <= progress[at - 1])) throw new Error(`progress: ${progress}`);
    const { status } = result._meta?.["human-oversight/approval"] ?? {};
    if (["pending", "asking", "running"].includes(status)) continue;
    results.push(result);
    break;
  }
}
await client.close();
console.log(JSON.stringify({ tools, results, rounds, tasks }));
process.exit(0);
