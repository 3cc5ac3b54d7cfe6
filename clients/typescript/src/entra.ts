// Access tokens of Microsoft Entra ID, in place of a Functions key.

import { NoTokenError, SettingsError } from "./errors.js";
import { toLoggable } from "./logs.js";

export interface AccessToken {
  readonly token: string;
  /** In milliseconds since 1970. */
  readonly expiresOnTimestamp: number;
}

/** What tokens come from: a credential of `@azure/identity`, or another with its method. */
export interface TokenCredential {
  getToken(scope: string): Promise<AccessToken | null>;
}

/** A token is renewed when less than this remains of its life. */
const RENEW_BEFORE_MS = 300_000;

/** The time for a sign-in; the first call of the Azure CLI takes several seconds. */
const SIGN_IN_MS = 30_000;

const MAX_LINE = 200;

/** The access tokens of one program for one gate. */
export class Tokens {
  readonly #scope: string;
  #credential: TokenCredential | undefined;
  #held: Promise<AccessToken> | undefined;

  /** `audience`: the application id URI of the gate's app registration, or its client id. */
  constructor(audience: string, credential?: TokenCredential) {
    this.#scope = `${audience.trim().replace(/\/+$/, "")}/.default`;
    this.#credential = credential;
  }

  /** A valid token, or throws a `NoTokenError`. Concurrent callers wait for one sign-in: some credentials keep no
   * token. */
  async get(): Promise<string> {
    const held = this.#held;
    const token = await held;
    if (token && token.expiresOnTimestamp - Date.now() >= RENEW_BEFORE_MS) return token.token;
    if (this.#held === held) {
      const signingIn = this.#signIn().catch((error: unknown) => {
        // What is held counts until it expires, and the next call tries again.
        if (token && token.expiresOnTimestamp > Date.now()) return token;
        throw error;
      });
      this.#held = signingIn;
      signingIn.catch(() => (this.#held = undefined));
    }
    return (await this.#held)?.token ?? this.get();
  }

  async #signIn(): Promise<AccessToken> {
    this.#credential ??= await credentialOfEnvironment();
    const timeout = AbortSignal.timeout(SIGN_IN_MS);
    try {
      const tooLong = new Promise<never>((_, reject) => {
        timeout.addEventListener("abort", () => reject(new Error("the sign-in took too long")));
      });
      const token = await Promise.race([this.#credential.getToken(this.#scope), tooLong]);
      if (token === null) throw new Error("the credential has none");
      return token;
    } catch (error) {
      throw new NoTokenError(toLine(error));
    }
  }
}

/** The credential that the variables of the Azure SDKs name: a client secret, a workload identity, a managed identity,
 * the account of the Azure CLI; `AZURE_TOKEN_CREDENTIALS` chooses one. */
async function credentialOfEnvironment(): Promise<TokenCredential> {
  const name: string = "@azure/identity";
  let identity: { DefaultAzureCredential: new () => TokenCredential };
  try {
    identity = (await import(name)) as typeof identity;
  } catch {
    throw new SettingsError("HO_AUDIENCE needs @azure/identity: npm install @azure/identity");
  }
  try {
    return new identity.DefaultAzureCredential();
  } catch (error) {
    throw new SettingsError(`no access token can be obtained: ${toLine(error)}`);
  }
}

/** The first line of an error, without addresses: the rest may hold the body of a response. */
function toLine(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return toLoggable(line).slice(0, MAX_LINE);
}
