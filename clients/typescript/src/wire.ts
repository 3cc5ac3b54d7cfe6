// Generated from src/http/openapi.json by `npm run wire`.
export interface components {
  schemas: {
    NewApproval: {
      agentName: components["schemas"]["NewAgentName"];
      actionDescription: components["schemas"]["ActionDescription"];
      parameters: Record<string, never>;
      approverEmails: components["schemas"]["NewAddress"][];
      correlationId?: components["schemas"]["CorrelationId"] | null;
      timeoutSeconds?: number | null;
      reason?: string | null;
      onBehalfOf?: components["schemas"]["NewAddress"] | null;
      claimant?: string | null;
      supersedes?: components["schemas"]["Id"] | null;
      callback?: components["schemas"]["NewCallback"] | null;
      timestamp?: unknown;
    };
    NewCallback: {
      channel: string;
      state?: string | null;
    };
    Claim: {
      nonce: string;
      secret?: components["schemas"]["Secret"];
    };
    Report: {
      /** @enum {unknown} */
      status: "Executed" | "ExecutionFailed";
      error?: string | null;
      nonce?: string | null;
      secret?: components["schemas"]["Secret"];
    };
    Withdrawal: {
      secret?: components["schemas"]["Secret"];
    };
    Approval: {
      id: components["schemas"]["Id"];
      correlationId: components["schemas"]["CorrelationId"];
      agentName: components["schemas"]["AgentName"];
      actionDescription: components["schemas"]["ActionDescription"];
      parametersDigest: components["schemas"]["Sha256"];
      status: components["schemas"]["Status"];
      approver: string | null;
      comment: string | null;
      revise?: components["schemas"]["Revise"];
      requestTimestamp: components["schemas"]["Timestamp"];
      expiresAt: components["schemas"]["Timestamp"];
      responseTimestamp: components["schemas"]["Timestamp"] | null;
      execution: components["schemas"]["Execution"] | null;
      notifications: components["schemas"]["Notification"][];
      deliverable: components["schemas"]["Deliverable"];
      receipt: components["schemas"]["Receipt"] | null;
      permit?: components["schemas"]["Permit"];
      progress?: components["schemas"]["Progress"];
      /** @enum {unknown} */
      decider?: "person" | "policy" | "grant";
      policy?: components["schemas"]["Policy"];
      /** Format: uri */
      statusUrl: string;
    };
    /** @enum {unknown} */
    Status: "Pending" | "Approved" | "Rejected" | "Timeout" | "Cancelled" | "Undeliverable";
    Execution: {
      status: components["schemas"]["ExecutionStatus"];
      timestamp: components["schemas"]["Timestamp"];
      error: string | null;
    };
    /** @enum {unknown} */
    ExecutionStatus: "Executing" | "Executed" | "ExecutionFailed" | "ExecutionUnknown" | "Lapsed" | "Revoked";
    Notification: {
      approver: components["schemas"]["Address"];
      state: components["schemas"]["MailState"];
      attempts: number;
      fault: components["schemas"]["MailFault"] | null;
      locked: boolean;
    };
    /** @enum {unknown} */
    MailState: "queued" | "sending" | "sent" | "failed" | "dropped" | "unknown";
    /** @enum {unknown} */
    MailFault: "refused" | "unavailable" | "misconfigured" | "unclear";
    /** @enum {unknown} */
    Deliverable: "ok" | "degraded" | "none";
    Revise: {
      question: string;
    };
    Progress: {
      stage: number;
      stages: number;
      needed: number;
      given: number;
      awaiting: string[];
    };
    Policy: {
      digest: components["schemas"]["Sha256"];
      rules: string[];
      facts: string[];
    };
    Receipt: string;
    Permit: string;
    KeySet: {
      keys: components["schemas"]["Key"][];
      issuers?: string[];
    };
    Key: {
      /** @enum {unknown} */
      kty: "OKP" | "EC";
      /** @enum {unknown} */
      crv: "Ed25519" | "P-256";
      /** @enum {unknown} */
      alg: "EdDSA" | "ES256";
      /** @constant */
      use: "sig";
      kid: components["schemas"]["Kid"];
      x: string;
      y?: string;
      nbf?: number;
      exp?: number;
      revoked?: boolean;
    };
    Problem: {
      type: components["schemas"]["ProblemType"];
      title: string;
      status: number;
      detail: string;
      /** Format: uuid */
      invocationId: string;
      errors?: components["schemas"]["FieldError"][];
    };
    /** @enum {unknown} */
    ProblemType:
      | "urn:human-oversight:problem:bad-request"
      | "urn:human-oversight:problem:forbidden"
      | "urn:human-oversight:problem:sign-in"
      | "urn:human-oversight:problem:paused"
      | "urn:human-oversight:problem:not-found"
      | "urn:human-oversight:problem:method"
      | "urn:human-oversight:problem:too-slow"
      | "urn:human-oversight:problem:conflict"
      | "urn:human-oversight:problem:approver_not_allowed"
      | "urn:human-oversight:problem:rejected-before"
      | "urn:human-oversight:problem:quorum_unsatisfiable"
      | "urn:human-oversight:problem:plan_too_large"
      | "urn:human-oversight:problem:too-large"
      | "urn:human-oversight:problem:media-type"
      | "urn:human-oversight:problem:encoding"
      | "urn:human-oversight:problem:invalid"
      | "urn:human-oversight:problem:too-many"
      | "urn:human-oversight:problem:budget"
      | "urn:human-oversight:problem:too-many-waits"
      | "urn:human-oversight:problem:integrity"
      | "urn:human-oversight:problem:unavailable"
      | "urn:human-oversight:problem:bug";
    FieldError: {
      /** Format: json-pointer */
      pointer: string;
      detail: string;
    };
    Id: string;
    CorrelationId: string;
    AgentName: string;
    NewAgentName: string;
    ActionDescription: string;
    /** Format: email */
    Address: string;
    /** Format: email */
    NewAddress: string;
    Secret: string | null;
    Sha256: string;
    Kid: string;
    /** Format: date-time */
    Timestamp: string;
  };
  responses: never;
  parameters: never;
  requestBodies: never;
  headers: never;
  pathItems: never;
}
