// Vercel AI SDK: a tool that runs only after a person approved.
//
// npm install ai zod human-oversight-0.1.0.tgz
import { generateText, stepCountIs, tool } from "ai";
import { gated } from "human-oversight";
import { z } from "zod";

export const delete_user = tool({
  description: "Deletes a user.",
  inputSchema: z.object({ user_id: z.string() }),
  execute: gated({ agent: "UserManager", action: "Delete User Account" }, async ({ user_id }) => {
    return `User ${user_id} deleted.`;
  }),
});

if (process.env["MODEL"]) {
  const tools = { delete_user };
  const options = { model: process.env["MODEL"], tools, prompt: "Delete user 1.", stopWhen: stepCountIs(3) };
  console.log((await generateText(options)).text);
}
