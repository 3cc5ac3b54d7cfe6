// Vercel AI SDK: tools whose functions are not yours, such as those of another package.
//
//     generateText({ model, prompt, tools: gateTools({ delete_user }, oversight) })
//
// A function of your own needs none of this: make it with `gated`, as `execute` of its tool.

import { randomUUID } from "node:crypto";
import type { Tool, ToolExecutionOptions, ToolSet } from "ai";
import type { Gate } from "./gate.js";
import { gated } from "./gated.js";
import { toCorrelationId } from "./handle.js";
import { last, members, ofResults } from "./tool.js";

/** Which tools of an agent need approval. */
export interface Oversight<Name extends string> {
  /** The agent's name. */
  readonly agent: string;
  /** The tools that need approval, by name, each with the line that tells people what it does. */
  readonly actions: { readonly [N in Name]: string };
  readonly approvers?: readonly string[];
  readonly timeoutSeconds?: number;
  readonly gate?: Gate;
  /** The conversation's name. Some models repeat the ids of tool calls in each one. */
  readonly conversation?: string;
}

/** The tools; a result of a named one may be the words of a refusal. */
export type GatedTools<Tools extends ToolSet, Name extends string> = {
  [N in keyof Tools]: N extends Name
    ? Tools[N] extends Tool<infer Input, infer Output>
      ? Tool<Input, Output | string>
      : Tools[N]
    : Tools[N];
};

/** The tools, of which the named ones run after a person approved exactly their arguments. The same tool call again is
 * the same request. */
export function gateTools<Tools extends ToolSet, Name extends keyof Tools & string>(
  tools: Tools,
  { actions, conversation, ...options }: Oversight<Name>,
): GatedTools<Tools, Name> {
  const gatedTools: ToolSet = { ...tools };
  for (const [name, action] of Object.entries<string>(actions)) {
    const { execute, toModelOutput, ...tool }: Partial<Tool> = members(tools[name] ?? {});
    if (!execute) throw new TypeError(`there is no tool ${name} with a function to gate`);
    // Some servers of models give no ids: then each call is a request of its own.
    const correlationId = (_: object, { toolCallId }: ToolExecutionOptions) =>
      toCorrelationId(...(conversation ? [conversation, toolCallId] : [toolCallId])) ?? randomUUID();
    const run = async (input: object, call: ToolExecutionOptions) => last(await execute(input, call));
    gatedTools[name] = { ...tool, execute: gated({ ...options, action, correlationId }, run) } as Tool;
    if (toModelOutput) gatedTools[name].toModelOutput = ofResults(toModelOutput);
  }
  return gatedTools as GatedTools<Tools, Name>;
}
