// A chat model administers users with the Vercel AI SDK. It may list users; deleting one takes a person.
//
//     HO_URL=http://127.0.0.1:7071 APPROVER_EMAILS=approver@example.com node user-manager.ts [--offline]
//
// Online it takes MODEL, the name of a model of the AI Gateway, and AI_GATEWAY_API_KEY.
import { generateText, stepCountIs, tool } from "ai";
import { MockLanguageModelV3 } from "ai/test";
import { gated } from "human-oversight";
import { z } from "zod";

const users = new Map([
  ["1", "former-contractor@example.com"],
  ["2", "accounting@example.com"],
  ["3", "support@example.com"],
]);

const list_users = tool({
  description: "All users, by id.",
  inputSchema: z.object({}),
  execute: () => JSON.stringify(Object.fromEntries(users)),
});

const settings = {
  agent: "UserManagerAgent",
  action: "Delete User Account",
  onPending: ({ expiresAt }: { expiresAt: Date }) =>
    console.log(`Waiting for a person to decide, until ${expiresAt.toISOString()}`),
};

const delete_user = tool({
  description: "Deletes a user, after a person approved.",
  inputSchema: z.object({ user_id: z.string() }),
  execute: gated(settings, async ({ user_id }) => {
    const user = users.get(user_id);
    return users.delete(user_id) ? `User ${user_id} (${user}) deleted.` : `There is no user ${user_id}.`;
  }),
});

/** The model of `--offline`: it lists the users, asks for the deletion of one, and says what came of it. */
function script(results: string[]): { tool: string; input: object } | string {
  const [list, deletion] = results;
  if (list === undefined) return { tool: "list_users", input: {} };
  if (deletion !== undefined) return `I asked for the deletion. ${deletion}`;
  const [id] = Object.entries<string>(JSON.parse(list)).find(([, user]) => user.includes("contractor")) ?? [""];
  return { tool: "delete_user", input: { user_id: id } };
}

const standIn = new MockLanguageModelV3({
  doGenerate: async ({ prompt }) => {
    const parts = prompt.flatMap(({ role, content }) => (role === "tool" ? content : []));
    const outputs = parts.map((part) => (part.type === "tool-result" ? part.output : undefined));
    const answer = script(outputs.map((output) => (output?.type === "text" ? output.value : "")));
    const isText = typeof answer === "string";
    if (!isText) console.log(`Agent calls ${answer.tool}(${JSON.stringify(answer.input)})`);
    return {
      content: isText
        ? [{ type: "text", text: answer }]
        : [
            {
              type: "tool-call",
              toolCallId: `call_${prompt.length}`,
              toolName: answer.tool,
              input: JSON.stringify(answer.input),
            },
          ],
      finishReason: { unified: isText ? "stop" : "tool-calls", raw: undefined },
      usage: {
        inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 0, text: 0, reasoning: 0 },
      },
      warnings: [],
    };
  },
});

const { text } = await generateText({
  model: process.argv.includes("--offline") ? standIn : (process.env["MODEL"] ?? ""),
  system: "You administer users. If an action was refused, say why, word for word.",
  prompt: "Delete the account of the former contractor.",
  tools: { list_users, delete_user },
  stopWhen: stepCountIs(5),
});
console.log(`Agent: ${text}`);
console.log(`Users: ${JSON.stringify(Object.fromEntries(users))}`);
