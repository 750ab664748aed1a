// The executable that unpacks itself: a shell script, and behind its last line a tar of the program and its runtime.

import template from "./self_extracting.sh" with { type: "text" };

/** What a self-extracting executable is made from. */
export interface SelfExtractingOptions {
  /** A folder with the program, which begins with `main.js`; the runtime is added to the folder as `wsward`. */
  readonly folder: string;
  /** The runtime, an executable file. */
  readonly runtime: string;
  /** The arguments of the runtime before `main.js`. */
  readonly flags: readonly string[];
  readonly version: string;
  /** What the runtime was built for, as Deno names it. */
  readonly target: string;
  /** The file to write. */
  readonly output: string;
}

// The third line has the digest of those after it.
const LINES_BEFORE_DIGEST = 3;

// Makes the system's `stat` print mode, owner, group, size, inode and ctime, to the nanosecond.
const STAT = Deno.build.os === "darwin" ? "stat -f '%Mp%Lp %u %g %z %i %Fc'" : "stat -c '%a %u %g %s %i %z'";

/** Writes the executable. */
export async function writeSelfExtracting(options: SelfExtractingOptions): Promise<void> {
  const { folder, runtime, output } = options;
  await Deno.copyFile(runtime, `${folder}/wsward`);
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  let sizeBytes = 0;
  const digests: string[] = [];
  for (const name of names) {
    // The script uses the names without quotes.
    if (!/^[\w.-]+$/.test(name)) throw new Error(`Cannot pack "${name}": it is no plain name`);
    await Deno.chmod(`${folder}/${name}`, name === "wsward" ? 0o500 : 0o400);
    const content = await Deno.readFile(`${folder}/${name}`);
    sizeBytes += content.length;
    digests.push(`${await sha256(content)}  ${name}`);
  }
  await Deno.writeTextFile(output, await formatScript(options, names, digests, sizeBytes));
  const tar = new Deno.Command("tar", {
    args: ["-cf", "-", "-C", folder, ...names],
    // Without this, macOS adds files of its own to the tar.
    env: { COPYFILE_DISABLE: "1" },
    stdout: "piped",
  }).spawn();
  using file = await Deno.open(output, { append: true });
  await tar.stdout.pipeThrough(new CompressionStream("gzip")).pipeTo(file.writable);
  if (!(await tar.status).success) throw new Error("Cannot pack the program: see above");
  await Deno.chmod(output, 0o755);
}

async function formatScript(
  { version, target, flags }: SelfExtractingOptions,
  names: readonly string[],
  digests: readonly string[],
  sizeBytes: number,
): Promise<string> {
  const values: Readonly<Record<string, string>> = {
    VERSION: version,
    TARGET: target,
    FILES: names.join(" "),
    DIGESTS: digests.join("\n"),
    STAT,
    ROOM: `${Math.ceil(sizeBytes / 2 ** 20)} MiB`,
    FLAGS: flags.join(" "),
  };
  const filled = template.replace(/@([A-Z]+)@/g, (place, name: string) => values[name] ?? place);
  const lines = filled.split("\n");
  const script = filled.replace("@LINES@", String(lines.length - 1));
  const digested = script.split("\n").slice(LINES_BEFORE_DIGEST).join("\n");
  return script.replace("@ID@", await sha256(new TextEncoder().encode(digested)));
}

async function sha256(content: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex();
}
