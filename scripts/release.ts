// Makes a release in dist/: runs the gate, builds every target, and adds checksums, an SBOM and a changelog.

import { parseArgs } from "node:util";
import { TARGETS } from "./compile.ts";
import { messageOf, runScript } from "./run_script.ts";

const HELP = `Usage: deno task release [options]

Makes the release of the version in deno.json out of a clean main: runs deno task ok, empties dist/, and fills it with
an executable for each target, the SBOM, the section of the changelog since the last tag, and SHA256SUMS. Tags and
publishes nothing; the command for the tag is printed.

  --dry-run                 check, and say what would be done
  --allow-missing-targets   go on when a target cannot be built, if at least one can

Ends with 0 when the release is made, 1 when it is refused or fails, 2 when the command line can't be used.`;

const OUT = "dist";
const GATE = ["task", "ok"];
const SBOM = ["run", "--no-prompt", "--allow-read=.", "main.ts", "version", "--sbom"];
const VERSION = /^\d+\.\d+\.\d+$/;

/** One commit of the history. */
export interface Commit {
  /** The shortened hash. */
  readonly hash: string;
  /** The first line of its message. */
  readonly subject: string;
}

/** What a release is made from. */
export interface Repository {
  /** The version in deno.json. */
  readonly version: string;
  /** The branch; empty if none is checked out. */
  readonly branch: string;
  /** Changed and untracked files, as git prints them. */
  readonly changes: readonly string[];
  /** The released versions, latest first. */
  readonly released: readonly string[];
}

interface Options {
  readonly dryRun: boolean;
  readonly allowMissingTargets: boolean;
}

/** Why no release can be made of `repository`, one line a reason. */
export function findObstacles({ version, branch, changes, released }: Repository): readonly string[] {
  const obstacles: string[] = [];
  const [latest] = released;
  if (changes.length > 0) obstacles.push(`the tree must be clean, and is not: ${changes.join(", ")}`);
  if (branch !== "main") obstacles.push(`main must be checked out, not ${branch || "a single commit"}`);
  if (!VERSION.test(version)) {
    obstacles.push(`the version in deno.json must be like 1.2.3, not ${JSON.stringify(version)}`);
  } else if (released.includes(version)) {
    obstacles.push(`the tag v${version} exists already: raise the version in deno.json`);
  } else if (latest !== undefined && compareVersions(version, latest) < 0) {
    obstacles.push(`the version in deno.json must be above ${latest}, the latest tag, and is ${version}`);
  }
  return obstacles;
}

/** The section of a changelog: the commits grouped by the area before the colon, both in the given order. */
export function formatChangelog(version: string, date: string, commits: readonly Commit[]): string {
  const entries = commits.map(({ hash, subject }) => {
    const [, area = "other", text = subject] = /^([a-z][\w ,./-]*): +(.+)$/.exec(subject) ?? [];
    // A subject is plain text, and Markdown would hide what looks like a tag.
    return { area, line: `- ${text.replaceAll("<", "\\<")} (${hash})` };
  });
  const groups = Map.groupBy(entries, ({ area }) => area);
  const sections = Array.from(
    groups,
    ([area, some]) => `### ${area}\n\n${some.map(({ line }) => line).join("\n")}`,
  );
  return `## ${version} (${date})\n\n${sections.sort().join("\n\n")}\n`;
}

/** Checksums in the form that `sha256sum -c` reads. */
export async function formatChecksums(folder: string, names: readonly string[]): Promise<string> {
  const lines = await Promise.all(names.map(async (name) => {
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(`${folder}/${name}`));
    return `${new Uint8Array(digest).toHex()}  ${name}\n`;
  }));
  return lines.join("");
}

function compareVersions(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}

async function readRepository(): Promise<Repository> {
  const { version } = JSON.parse(await Deno.readTextFile("deno.json"));
  const tags = (await git("tag", "--list", "v*")).map((tag) => tag.slice(1));
  return {
    version: String(version),
    branch: (await git("branch", "--show-current")).join(),
    changes: await git("status", "--porcelain"),
    released: tags.filter((tag) => VERSION.test(tag)).sort(compareVersions).reverse(),
  };
}

async function readChangelog({ version, released: [latest] }: Repository): Promise<string> {
  const range = latest === undefined ? "HEAD" : `v${latest}..HEAD`;
  const commits = await git("log", "--reverse", "--no-merges", "--format=%h %s", range);
  const [date = ""] = await git("log", "-1", "--format=%cs");
  return formatChangelog(
    version,
    date,
    commits.map((line) => {
      const space = line.indexOf(" ");
      return { hash: line.slice(0, space), subject: line.slice(space + 1) };
    }),
  );
}

/** The lines of git's output. */
async function git(...args: string[]): Promise<readonly string[]> {
  const { success, stdout, stderr } = await new Deno.Command("git", { args }).output();
  if (!success) throw new Error(`Cannot ask git: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

/** Whether `deno` with `args` succeeds; its output goes to ours. */
async function succeeds(args: readonly string[]): Promise<boolean> {
  console.log(`$ deno ${args.join(" ")}`);
  return (await new Deno.Command(Deno.execPath(), { args: [...args], stdin: "null" }).spawn().status).success;
}

function compileCommand(target: string): readonly string[] {
  return ["task", "compile", "--target", target, "--out", OUT];
}

function executableName(target: string): string {
  return `wsward-${target}${target.includes("windows") ? ".exe" : ""}`;
}

/** The names of the executables that could be built. */
async function buildAll(allowMissing: boolean): Promise<readonly string[]> {
  const built: string[] = [];
  for (const target of TARGETS) {
    const name = executableName(target);
    if (await succeeds(compileCommand(target)) && await isFile(`${OUT}/${name}`)) {
      built.push(name);
    } else if (allowMissing) {
      console.error(`Going on without ${target}: it could not be built`);
    } else {
      throw new Error(`Cannot build ${target}: see above; --allow-missing-targets goes on without it`);
    }
  }
  if (built.length === 0) throw new Error("Cannot make a release: no target could be built");
  return built;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

async function readSbom(): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: SBOM }).output();
  const [text, reason] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  try {
    if (!success) throw new Error(reason);
    if (JSON.parse(text!).bomFormat !== "CycloneDX") throw new Error("what is printed is no CycloneDX");
  } catch (error) {
    throw new Error(`Cannot make the SBOM: ${messageOf(error)}`);
  }
  return `${text}\n`;
}

function describePlan({ version, released: [latest] }: Repository, changelog: string): string {
  const commands = [GATE, ...TARGETS.map(compileCommand), SBOM].map((args) => `  deno ${args.join(" ")}`);
  const since = latest === undefined ? "the beginning" : `v${latest}`;
  return [
    `Would release ${version}, with what has changed since ${since}:`,
    ...commands,
    `and write into ${OUT}/, after emptying it:`,
    ...[...TARGETS.map(executableName), sbomName(version), changelogName(version), "SHA256SUMS"].map((name) =>
      `  ${name}`
    ),
    "",
    changelog.trimEnd(),
  ].join("\n");
}

function sbomName(version: string): string {
  return `wsward-${version}.cdx.json`;
}

function changelogName(version: string): string {
  return `CHANGELOG-${version}.md`;
}

async function main({ dryRun, allowMissingTargets }: Options): Promise<number> {
  const repository = await readRepository();
  if (isRefused(repository)) return 1;
  const { version } = repository;
  const changelog = await readChangelog(repository);
  if (dryRun) {
    console.log(describePlan(repository, changelog));
    return 0;
  }
  const commit = await git("rev-parse", "HEAD");
  if (!await succeeds(GATE)) throw new Error("Cannot make a release: the gate has failed");
  await Deno.mkdir(OUT, { recursive: true });
  await Deno.remove(OUT, { recursive: true });
  await Deno.mkdir(OUT);
  const names = [...await buildAll(allowMissingTargets), sbomName(version), changelogName(version)];
  await Deno.writeTextFile(`${OUT}/${sbomName(version)}`, await readSbom());
  await Deno.writeTextFile(`${OUT}/${changelogName(version)}`, changelog);
  // Checked again: the builds take minutes, and nothing may be published that is not in the history.
  if (isRefused(await readRepository())) return 1;
  if ((await git("rev-parse", "HEAD")).join() !== commit.join()) {
    throw new Error("Cannot make a release: another commit was checked out meanwhile");
  }
  await Deno.writeTextFile(`${OUT}/SHA256SUMS`, await formatChecksums(OUT, names));
  console.log(`\n${OUT}/ holds ${names.join(", ")} and SHA256SUMS`);
  console.log(`Tag it: git tag -a v${version} -F ${OUT}/${changelogName(version)} --cleanup=verbatim`);
  return 0;
}

function isRefused(repository: Repository): boolean {
  const obstacles = findObstacles(repository);
  for (const obstacle of obstacles) console.error(`Cannot make a release: ${obstacle}`);
  return obstacles.length > 0;
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "dry-run": { type: "boolean", default: false },
      "allow-missing-targets": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return {
    dryRun: values["dry-run"],
    allowMissingTargets: values["allow-missing-targets"],
    help: values.help,
  };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
