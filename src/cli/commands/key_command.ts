// The command `key create`: writes a new key, and its public half for those who only verify.

import { type Command, Option } from "commander";
import type { Algorithm } from "../../auth/jwk.ts";
import { StartError, UsageError } from "../../core/errors.ts";
import { choice, parseText, path } from "../../core/settings/setting_types.ts";
import { describedOption } from "../setting_options.ts";

const ALGORITHM = choice({
  group: "Key",
  help: "algorithm that the key is for",
  choices: ["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
  default: "HS256",
}) satisfies { default: Algorithm };

const OUT = path({
  group: "Key",
  help: "file to write the key to, readable by its user only",
  default: "wsward.key",
});

const KEY_ID = {
  rule: "1 to 256 visible characters",
  parse: (text: string) => /^\P{C}{1,256}$/u.test(text) ? text : undefined,
};

interface Flags {
  readonly alg?: string;
  readonly kid?: string;
  readonly out?: string;
  readonly publicOut?: string;
}

/** Adds `key` with its subcommand to `program`. */
export function addKeyCommand(program: Command): void {
  const command = program.command("key").description("make keys that sign tokens")
    .command("create").description("write a new key; a file that exists is never replaced")
    .addOption(describedOption("--alg", ALGORITHM))
    .addOption(new Option("--kid <name>", "name of the key (default: made from the key)"))
    .addOption(describedOption("--out", OUT))
    .addOption(new Option("--public-out <path>", "file to write its public half to, as a JWK Set"));
  command.action(async () => {
    const { alg, kid, out, publicOut } = command.opts<Flags>();
    await create({
      alg: alg === undefined ? ALGORITHM.default : parseText("--alg", ALGORITHM, alg),
      kid: kid === undefined ? undefined : parseText("--kid", KEY_ID, kid),
      out: out === undefined ? OUT.default : parseText("--out", OUT, out),
      publicOut: publicOut === undefined ? undefined : parseText("--public-out", OUT, publicOut),
    });
  });
}

async function create(
  { alg, kid, out, publicOut }: {
    alg: Algorithm;
    kid: string | undefined;
    out: string;
    publicOut: string | undefined;
  },
): Promise<void> {
  if (publicOut !== undefined && alg.startsWith("HS")) {
    throw new UsageError(`Cannot use --public-out with --alg ${alg}: a secret has no public half`);
  }
  if (publicOut === out) throw new UsageError("Cannot use --public-out: it is the same file as --out");
  const [{ createKeyFile }, { generateKey }] = await Promise.all([
    import("../../auth/key_file.ts"),
    import("../../auth/new_key.ts"),
  ]);
  const key = await generateKey(alg, kid);
  // The public half first: if the private file can't be created, this one can be made again.
  if (publicOut !== undefined) {
    await createNew(publicOut, key.publicText ?? "", 0o644);
  }
  try {
    await createNew(out, key.privateText, 0o600);
  } catch (error) {
    if (publicOut !== undefined) await Deno.remove(publicOut);
    throw error;
  }
  const half = publicOut === undefined ? "" : `, and its public half to ${JSON.stringify(publicOut)}`;
  console.log(`Wrote ${alg} key ${JSON.stringify(key.kid)} to ${JSON.stringify(out)}${half}`);

  async function createNew(path: string, text: string, mode: number): Promise<void> {
    if (!await createKeyFile(path, text, { mode })) {
      throw new StartError(`Cannot create key file "${path}": it exists already`);
    }
  }
}
