// A server of the TypeScript SDK, version 2, for each revision of the protocol; it notes each run in a file.
import { appendFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.cwd()}/.tools/mcp/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { McpServer } = await load("@modelcontextprotocol/server");
const { serveStdio } = await load("@modelcontextprotocol/server/stdio");
const { z } = await load("zod");

const note = (text) => appendFileSync(`${process.argv[2]}/runs`, `${text}\n`);
serveStdio(() => {
  const server = new McpServer({ name: "notes", version: "1" }, { capabilities: { tools: {} } });
  const inputSchema = z.object({ text: z.string(), tags: z.array(z.string()) });
  const outputSchema = z.object({ text: z.string(), count: z.number() });
  server.registerTool("take_note", { description: "Takes a note.", inputSchema, outputSchema }, async ({ text, tags }) => {
    note(text);
    const structuredContent = { text, count: tags.length };
    return { content: [{ type: "text", text }], structuredContent };
  });
  server.registerTool("fail", { description: "Fails." }, async () => {
    note("fail");
    throw new Error("it cannot be done");
  });
  return server;
});
