// Run an agent's action only after a person approved exactly these arguments.
//
//     import { gated } from "human-oversight";
//
//     const deleteUser = gated(
//       { agent: "UserManagerAgent", action: "Delete User Account", approvers: ["alice@example.com"] },
//       ({ user_id }: { user_id: string }) => `User ${user_id} deleted.`,
//     );

export type { Action, ActionOptions, ClaimOptions, NewCallback } from "./action.js";
export type { Approval, Progress } from "./approval.js";
export { flush } from "./background.js";
export { CallbackError, verifyCallback, type Callback, type CallbackHeaders } from "./callback.js";
export { currentProof, toolCall } from "./context.js";
export type { AccessToken, TokenCredential } from "./entra.js";
export {
  GateError,
  InvalidResponseError,
  NoTokenError,
  ProblemError,
  SettingsError,
  TlsError,
  UnavailableError,
  UnreachableError,
  UntrustedError,
} from "./errors.js";
export { Gate, type GateOptions } from "./gate.js";
export {
  gated,
  type Gated,
  type GatedOptions,
  type ParsedOptions,
  type RefusalOptions,
  type RefusalWord,
} from "./gated.js";
export { Handle } from "./handle.js";
export type { Logger } from "./logs.js";
export { Undecided, type OnPending, type Pending, type WaitOptions } from "./pending.js";
export type { Permit } from "./permit.js";
export type { Proof } from "./proof.js";
export { Refused, type Reason } from "./refusal.js";
export type { Json, JsonObject } from "./strict-json.js";
