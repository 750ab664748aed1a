// The command `token create`: makes a token with the server's key, or another one.

import type { Command } from "commander";
import type { SecretEncoding } from "../../auth/key_text.ts";
import type { MintOptions } from "../../auth/token.ts";
import { StartError, UsageError } from "../../core/errors.ts";
import { duration, parseText } from "../../core/settings/setting_types.ts";
import { addSettingOptions, describedOption, settingReader } from "../setting_options.ts";
import { repeatableOption } from "../strict_command.ts";

const USER = {
  rule: "1 to 256 characters: letters and digits of one script, visible ASCII, single spaces",
  parse: (text: string) => /^\P{Cc}{1,256}$/u.test(text) ? text : undefined,
};

const EXPIRES_IN = duration({
  group: "Token",
  help: "how long the token is valid",
  default: "15m",
  min: "1s",
  max: "365d",
});

// These are made from flags, so a claim must not contradict them.
const RESERVED_CLAIMS: readonly string[] = ["exp", "iat", "jti", "nbf", "sub", "user_id"];

interface Flags {
  readonly user: string;
  readonly expiresIn?: string;
  readonly claim?: readonly string[];
}

// The settings that say what the server asks of a token.
const USED_SETTINGS = ["keyFile", "keyEncoding", "issuer", "audience", "tokenType"] as const;

/** Adds `create` to the command `token`. */
export function addTokenCreateCommand(token: Command): void {
  const command = token.command("create").description("print one token for a user")
    .requiredOption("--user <name>", `who the token is for (${USER.rule})`)
    .addOption(describedOption("--expires-in", EXPIRES_IN))
    .addOption(
      repeatableOption("--claim <name=value>", "another claim, as JSON where it is JSON; can be repeated"),
    );
  addSettingOptions(command, USED_SETTINGS);
  command.action(async () => {
    const flags = command.opts<Flags>();
    const setting = await settingReader(command);
    const options = {
      user: parseText("--user", USER, flags.user),
      expiresInMs: flags.expiresIn === undefined
        ? EXPIRES_IN.default
        : parseText("--expires-in", EXPIRES_IN, flags.expiresIn),
      claims: parseClaims(flags.claim ?? []),
      issuer: setting("issuer"),
      audience: setting("audience"),
      tokenType: setting("tokenType"),
    };
    console.log(
      await mintFromFile({ keyFile: setting("keyFile"), encoding: setting("keyEncoding") }, options),
    );
  });
}

/**
 * Reads `name=value` claims. Throws `UsageError` for one without a name or a value, with a name that was given before
 * or that the server writes itself, and with a number that would be rounded.
 */
export function parseClaims(given: readonly string[]): Readonly<Record<string, unknown>> {
  const claims = new Map<string, unknown>();
  for (const claim of given) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(claim) ?? [];
    if (name === undefined || value === undefined) throw wrongClaim(claim, 'write it as "name=value"');
    if (RESERVED_CLAIMS.includes(name)) throw wrongClaim(claim, `${name} is written by the server`);
    if (claims.has(name)) throw wrongClaim(claim, "this name was given before");
    const parsed = parseClaimValue(value);
    if (!isExact(parsed)) throw wrongClaim(claim, "a number of this size would be rounded");
    claims.set(name, parsed);
  }
  return Object.fromEntries(claims);
}

/**
 * Mints a token with the key in a file. Throws `StartError` if the file can't be used or its keys can't sign, and
 * `UsageError` if the token can't be what the options say.
 */
export async function mintFromFile(
  { keyFile, encoding }: { readonly keyFile: string; readonly encoding: SecretEncoding },
  options: MintOptions,
): Promise<string> {
  await refuseMissing(keyFile);
  const [{ loadKeys }, { mintToken }] = await Promise.all([
    import("../../auth/key_file.ts"),
    import("../../auth/token.ts"),
  ]);
  const { signer } = await loadKeys(keyFile, { encoding });
  if (signer === undefined) {
    throw new StartError(`Cannot sign with key file ${JSON.stringify(keyFile)}: its keys are public`);
  }
  return await mintToken(signer, options);
}

// This command makes no key: a mistyped path must not lead to a token that no server accepts.
async function refuseMissing(keyFile: string): Promise<void> {
  try {
    await Deno.stat(keyFile);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return;
    throw new StartError(
      `Cannot read the key ${JSON.stringify(keyFile)}: no such file ` +
        "(start the server once to create it, or name another with --key-file)",
      { cause: error },
    );
  }
}

// A quoted JSON string stays as typed: only what can't be meant as plain text is read as JSON.
function parseClaimValue(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? text : value;
  } catch {
    return text;
  }
}

// Long numeric ids are common, and a rounded one is somebody else's.
function isExact(value: unknown): boolean {
  return typeof value !== "number" || Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

function wrongClaim(claim: string, state: string): UsageError {
  return new UsageError(`Cannot use --claim ${JSON.stringify(claim)}: ${state}`);
}
