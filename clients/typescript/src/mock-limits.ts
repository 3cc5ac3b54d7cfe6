// A request as a mock gets it, and what the gate refuses of one, whatever its configuration, and the client leaves to it.

import type { NewCallback } from "./action.js";
import { isSameAddress, toPerson } from "./address.js";
import { toCanonical } from "./parameters.js";
import type { JsonObject } from "./strict-json.js";

/** A request, as a mock gets it. */
export interface MockRequest {
  readonly agentName: string;
  readonly actionDescription: string;
  readonly parameters: JsonObject;
  readonly approverEmails?: readonly string[];
  readonly correlationId: string;
  readonly claimant: string;
  readonly timeoutSeconds?: number;
  readonly reason?: string;
  readonly onBehalfOf?: string;
  readonly supersedes?: string;
  readonly callback?: NewCallback;
}

/** A member of a request that the gate refuses, as a JSON pointer, and why. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
}

type Check = readonly [pointer: string, isRefused: boolean, detail: string];

const BODY_BYTES = 64 * 1024;
const PARAMETERS_BYTES = 30 * 1024;
const AGENT_CHARS = 128;
const AGENT_BYTES = 170;
const ACTION_CHARS = 256;
const REASON_CHARS = 2000;
const CHANNEL_CHARS = 64;
const STATE_CHARS = 256;
const APPROVERS = 20;
const ADDRESS_CHARS = 254;
const [MIN_SECONDS, MAX_SECONDS] = [10, 2_592_000];

const LOCAL = /(?=[^@]{1,64}@)[\w#$&'*+?^~-]+(?:\.[\w#$&'*+?^~-]+)*/.source;
const LABEL = /[a-zA-Z0-9\u0080-\uffff](?:[a-zA-Z0-9\u0080-\uffff-]*[a-zA-Z0-9\u0080-\uffff])?/.source;
const ADDRESS = new RegExp(`^${LOCAL}@${LABEL}(?:\\.${LABEL})+$`);
const ID = /^[\w-]+\.[\w.-]{1,64}$/;
/** Control characters, bidirectional controls, and separators of lines. */
const NOT_OF_A_LINE = /[\p{Cc}\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\u2028\u2029]/u;
/** What does not show, spaces that look like others, and fillers. */
const NOT_OF_A_NAME = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffc]|(?! )\p{Zs}/u;
const NOT_OF_PROSE = /(?![\n\r\t])\p{Cc}/u;

export function isTooLarge(request: MockRequest): boolean {
  return byteLength(toCanonical(request)) > BODY_BYTES;
}

export function findFaults(request: MockRequest): Fault[] {
  const { agentName, actionDescription, parameters, timeoutSeconds, reason = "", supersedes, callback } = request;
  const isTime = (it: number) => Number.isInteger(it) && it >= MIN_SECONDS && it <= MAX_SECONDS;
  const checks: Check[] = [
    ...checkLine("/agentName", agentName, AGENT_CHARS),
    [
      "/agentName",
      NOT_OF_A_NAME.test(agentName) && !NOT_OF_A_LINE.test(agentName),
      "must have only characters that show",
    ],
    ["/agentName", agentName.includes("://"), "must not contain `://`: a name is no URL"],
    [
      "/agentName",
      agentName.trim().normalize() !== agentName,
      "must be in Unicode's form NFC, without spaces around it",
    ],
    ["/agentName", byteLength(agentName) > AGENT_BYTES, `must have at most ${AGENT_BYTES} bytes of UTF-8`],
    ...checkLine("/actionDescription", actionDescription, ACTION_CHARS),
    [
      "/parameters",
      byteLength(toCanonical(parameters)) > PARAMETERS_BYTES,
      `must have at most ${PARAMETERS_BYTES} bytes of canonical JSON`,
    ],
    ...checkPeople(request),
    [
      "/timeoutSeconds",
      timeoutSeconds !== undefined && !isTime(timeoutSeconds),
      `must be a whole number from ${MIN_SECONDS} to ${MAX_SECONDS}`,
    ],
    checkLength("/reason", reason, 0, REASON_CHARS),
    ["/reason", NOT_OF_PROSE.test(reason), "must not have control characters other than line ends and tabs"],
    ["/supersedes", supersedes !== undefined && !ID.test(supersedes), "must be the id of a request"],
    checkLength("/callback/channel", callback?.channel ?? "none", 1, CHANNEL_CHARS),
    checkLength("/callback/state", callback?.state ?? "", 0, STATE_CHARS),
  ];
  return checks.flatMap(([pointer, isRefused, detail]) => (isRefused ? [{ pointer, detail }] : []));
}

function checkLine(pointer: string, text: string, most: number): Check[] {
  const isSeveral = NOT_OF_A_LINE.test(text);
  return [checkLength(pointer, text, 1, most), [pointer, isSeveral, "must be one line without control characters"]];
}

/** A text that must not be empty must not be blank either. */
function checkLength(pointer: string, text: string, least: number, most: number): Check {
  const length = [...text].length;
  const fits = length <= most && (least === 0 || text.trim() !== "");
  return [pointer, !fits, `must have ${least} to ${most} characters`];
}

function checkPeople({ approverEmails = [], onBehalfOf }: MockRequest): Check[] {
  const noAddress = "must be a plain email address, such as alice@example.com";
  const isSame = (one: string, other: string) => isSameAddress(toPerson(one), toPerson(other));
  const each = approverEmails.flatMap((address, index): Check[] => {
    const pointer = `/approverEmails/${index}`;
    const isOfAgent = onBehalfOf !== undefined && isSame(address, onBehalfOf);
    const isAgain = approverEmails.slice(0, index).some((earlier) => isSame(earlier, address));
    return [
      [pointer, address.length > ADDRESS_CHARS || !ADDRESS.test(address.trim()), noAddress],
      [pointer, isOfAgent, "is the person the agent acts for, who cannot approve"],
      [pointer, isAgain, "occurs twice"],
    ];
  });
  const count = approverEmails.length;
  return [
    ["/approverEmails", count < 1 || count > APPROVERS, `must be an array of 1 to ${APPROVERS} email addresses`],
    ["/onBehalfOf", onBehalfOf !== undefined && !ADDRESS.test(onBehalfOf), noAddress],
    ...each,
  ];
}

function byteLength(text: string): number {
  return Buffer.byteLength(text);
}
