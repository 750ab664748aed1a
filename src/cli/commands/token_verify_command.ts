// The command `token verify`: judges a token by the keys and the rules that the server would use.

import type { Command } from "commander";
import type { Verification } from "../../auth/token.ts";
import { describeTime } from "../client/relative_time.ts";
import { addSettingOptions, settingReader } from "../setting_options.ts";
import { addTokenInput, readTokenInput } from "./token_input.ts";

const USED_SETTINGS = [
  "keyFile",
  "keyEncoding",
  "jwksUrl",
  "issuer",
  "audience",
  "tokenType",
  "maxTokenAge",
  "clockTolerance",
] as const;

/** Adds `verify` to the command `token`; `exitWith` is called with 1 for a token that is not valid. */
export function addTokenVerifyCommand(token: Command, exitWith: (code: number) => void): void {
  const command = addTokenInput(
    token.command("verify").description("say whether a token is valid, and if not, which rule it breaks"),
  ).option("--json", "print one JSON object");
  addSettingOptions(command, USED_SETTINGS);
  command.action(async () => {
    const { json = false } = command.opts<{ json?: boolean }>();
    const verification = await verify(command);
    console.log(json ? await describeAsJson(verification) : describe(verification, Date.now()));
    if (!verification.ok) exitWith(1);
  });
}

async function verify(command: Command): Promise<Verification> {
  const setting = await settingReader(command);
  const options = {
    issuer: setting("issuer"),
    audience: setting("audience"),
    tokenType: setting("tokenType"),
    maxTokenAgeMs: setting("maxTokenAge"),
    clockToleranceMs: setting("clockTolerance"),
  };
  const token = await readTokenInput(command);
  const [{ openKeyRing }, { createVerifier }] = await Promise.all([
    import("../../auth/key_ring.ts"),
    import("../../auth/token.ts"),
  ]);
  const keys = await openKeyRing({
    keyFile: setting("keyFile"),
    keyEncoding: setting("keyEncoding"),
    onDoubt: (doubt) => console.error(`Warning: ${doubt}`),
    jwksUrl: setting("jwksUrl"),
    onFetch: ({ reason }) => {
      if (reason !== undefined) console.error(`Cannot fetch keys: ${reason}`);
    },
  });
  return await createVerifier(keys, options).verify(token);
}

function describe(verification: Verification, nowMs: number): string {
  if (!verification.ok) return `Not valid: ${verification.detail}`;
  const { user, expiresAtMs } = verification.identity;
  return `Valid: user ${JSON.stringify(user)}, accepted until ${describeTime(expiresAtMs, nowMs)}`;
}

async function describeAsJson(verification: Verification): Promise<string> {
  if (!verification.ok) return JSON.stringify({ valid: false, ...verification, ok: undefined });
  const { user, expiresAtMs, claims } = verification.identity;
  const { escapeInvisible } = await import("../../auth/inspection.ts");
  return escapeInvisible(
    JSON.stringify({ valid: true, user, acceptedUntil: new Date(expiresAtMs).toISOString(), claims }),
  );
}
