// Lists dependencies that are outdated or have known advisories, and what could not be found out.

import { parseArgs } from "node:util";
import { escapeText, formatColumns } from "../src/cli/client/printed.ts";
import { messageOf, readWhole, runScript } from "./run_script.ts";

const HELP = `Usage: deno task deps [options]

Asks for newer versions of the packages that deno.json pins and of Deno itself, and for known advisories about
everything in deno.lock. npm is what asks, at the registry it is configured for.

  --timeout SECONDS   how long an answer may take (30)
  --json              print JSON

Ends with
  0   everything is current, and no advisory is known
  1   something is outdated or has an advisory, whatever else is not known; or the project's files can't be read
  2   the command line can't be used
  3   nothing like that is known, but neither is it ruled out: a service did not answer, or not sensibly`;

/** A package in one exact version. */
interface Package {
  readonly name: string;
  readonly version: string;
}

/** A package that the project names itself, the files that name it, and what the registry says. */
interface Pin extends Package {
  readonly files: readonly string[];
  /** Undefined if it is not known. */
  readonly latest?: string;
  /** Why it is not known. */
  readonly unknown?: string;
}

interface Advisory {
  readonly packages: readonly string[];
  readonly severity: string;
  readonly title: string;
  readonly vulnerable: string;
  readonly url: string;
}

/** `found` is undefined if the service did not answer, and `unknown` says why. */
interface Advisories {
  readonly asked: number;
  readonly found?: readonly Advisory[];
  readonly unknown?: string;
}

/** The files that name the Deno version to use. */
const DENO_FILES = ["README.md", ".ci/run"];

/**
 * Asked for along with the others, because it has a lasting advisory (CVE-2021-44906). Some registries answer "none"
 * for every package; only one that knows this advisory is believed.
 */
const KNOWN_BAD: Package = { name: "minimist", version: "0.0.8" };

const VERSION = /^\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/;

/** The service did not answer, or not sensibly; the message says why. */
class NoAnswerError extends Error {}

function readPins(folder: string): Pin[] {
  const imports: Record<string, string> = readFile(folder, "deno.json", JSON.parse).imports ?? {};
  const packages = Object.entries(imports).filter(([, specifier]) => !specifier.startsWith("./")).map(
    ([name, specifier]) => {
      const [, packageName = "", version = ""] = /^npm:(@?[^@]+)@([^@/]+)$/.exec(specifier) ?? [];
      if (!VERSION.test(version)) {
        throw new Error(`Cannot use "${specifier}" in deno.json: ${name} must be pinned, as npm:NAME@1.2.3`);
      }
      return { name: packageName, version, files: ["deno.json"] };
    },
  );
  const denos = DENO_FILES.flatMap((file) =>
    [...new Set(readFile(folder, file, findDenos))].map((version) => ({ version, file }))
  );
  if (denos.length === 0) {
    throw new Error(`Cannot find deno@VERSION in ${DENO_FILES.join(" or ")}: none pins Deno`);
  }
  const byVersion = Map.groupBy(denos, ({ version }) => version);
  return [
    ...Array.from(
      byVersion,
      ([version, pins]) => ({ name: "deno", version, files: pins.map(({ file }) => file) }),
    ),
    ...packages,
  ];
}

function findDenos(text: string): readonly string[] {
  return text.match(/(?<=\bdeno@)\d+\.\d+\.\d+/g) ?? [];
}

function readLocked(folder: string): Package[] {
  const lock: { npm?: Record<string, unknown> } = readFile(folder, "deno.lock", JSON.parse);
  return Object.keys(lock.npm ?? {}).map((key) => {
    // After the version come a "_" and the peers that it was resolved with.
    const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
    if (name === undefined || version === undefined) throw new Error(`Cannot use "${key}" in deno.lock`);
    return { name, version };
  });
}

function readFile<Value>(folder: string, name: string, parse: (text: string) => Value): Value {
  try {
    return parse(Deno.readTextFileSync(`${folder}/${name}`));
  } catch (error) {
    throw new Error(`Cannot read ${name}: ${messageOf(error)}`);
  }
}

/** Asks npm, in a folder of its own, so that no file of the project and no cached answer interferes. */
class Npm {
  readonly #folder: string;
  readonly #timeoutSeconds: number;

  constructor(folder: string, timeoutSeconds: number) {
    this.#folder = folder;
    this.#timeoutSeconds = timeoutSeconds;
  }

  async latestOf(name: string): Promise<string> {
    // Without a field that exists, npm prints nothing at all.
    const answer = await this.#ask(["view", `${name}@latest`, "name", "version"]) as
      | Partial<Package>
      | undefined;
    if (answer?.name !== name || !VERSION.test(answer.version ?? "")) {
      throw new NoAnswerError("the registry's answer names no version");
    }
    return answer.version!;
  }

  async advisoriesFor(packages: readonly Package[]): Promise<Advisory[]> {
    const asked = [...packages, KNOWN_BAD];
    // A package may be there in several versions, so each gets a name of its own.
    const names = asked.map((_, index) => `p${index}`);
    const dependencies = Object.fromEntries(
      asked.map(({ name, version }, index) => [names[index], `npm:${name}@${version}`]),
    );
    const root = { name: "dependencies", version: "0.0.0", dependencies };
    const nodes = Object.fromEntries(asked.map((node, index) => [`node_modules/${names[index]}`, node]));
    const lock = { ...root, lockfileVersion: 3, packages: { "": root, ...nodes } };
    await Deno.writeTextFile(`${this.#folder}/package.json`, JSON.stringify(root));
    await Deno.writeTextFile(`${this.#folder}/package-lock.json`, JSON.stringify(lock));
    const report = await this.#ask(["audit", "--package-lock-only"]) as AuditReport | undefined;
    if (report?.auditReportVersion !== 2) throw new NoAnswerError("npm's report has an unknown form");
    const found = Object.values(report.vulnerabilities).flatMap(({ via, nodes: paths }) => {
      const touched = paths.map((path) => nodes[path]).filter((node) => node !== undefined);
      return via.filter((cause) => typeof cause === "object").map((cause) => ({ ...cause, touched }));
    });
    if (!found.some(({ touched }) => touched.includes(KNOWN_BAD))) {
      throw new NoAnswerError(`it does not even know of ${formatPackage(KNOWN_BAD)}, which has an advisory`);
    }
    return found.map(({ severity, title, range, url, touched }) => ({
      packages: touched.filter((node) => node !== KNOWN_BAD).map(formatPackage),
      severity,
      title,
      vulnerable: range,
      url,
    })).filter(({ packages }) => packages.length > 0);
  }

  /** The JSON that npm prints, undefined if it prints nothing. Throws a {@linkcode NoAnswerError}. */
  async #ask(question: readonly string[]): Promise<unknown> {
    const options = [
      "--json",
      `--cache=${this.#folder}/cache`,
      `--fetch-timeout=${this.#timeoutSeconds * 1000}`,
      "--fetch-retries=0",
      "--no-update-notifier",
    ];
    let stdout: Uint8Array;
    try {
      const command = new Deno.Command("npm", {
        args: [...question, ...options],
        cwd: this.#folder,
        stdin: "null",
        stderr: "null",
      });
      ({ stdout } = await command.output());
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new NoAnswerError("there is no npm on the path to ask it with");
    }
    const text = new TextDecoder().decode(stdout).trim();
    if (text === "") return undefined;
    const answer: NpmFailure = parseAnswer(text);
    if (answer?.error === undefined) return answer;
    const reason = answer.error.summary || answer.message || answer.error.code ||
      "npm failed without a reason";
    // A registry's URL may hold a password.
    throw new NoAnswerError(escapeText(reason.split("\n", 1)[0]!.replace(/\/\/[^\s/@]*@/g, "//")));
  }
}

interface NpmFailure {
  readonly message?: string;
  readonly error?: { readonly code?: string; readonly summary?: string };
}

interface AuditReport {
  readonly auditReportVersion: number;
  readonly vulnerabilities: Readonly<
    Record<string, {
      readonly nodes: readonly string[];
      /** The advisories, and the names of vulnerable packages that this one depends on. */
      readonly via: readonly (string | {
        readonly severity: string;
        readonly title: string;
        readonly range: string;
        readonly url: string;
      })[];
    }>
  >;
}

function parseAnswer(text: string) {
  try {
    return JSON.parse(text);
  } catch {
    throw new NoAnswerError("npm's answer is no JSON");
  }
}

async function lookUp(pin: Pin, npm: Npm): Promise<Pin> {
  try {
    return { ...pin, latest: await npm.latestOf(pin.name) };
  } catch (error) {
    return { ...pin, unknown: reasonOf(error) };
  }
}

async function lookUpAdvisories(packages: readonly Package[], npm: Npm): Promise<Advisories> {
  try {
    return { asked: packages.length, found: await npm.advisoriesFor(packages) };
  } catch (error) {
    return { asked: packages.length, unknown: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof NoAnswerError) return error.message;
  throw error;
}

function isOutdated({ version, latest }: Pin): boolean {
  return latest !== undefined && latest.localeCompare(version, "en", { numeric: true }) > 0;
}

function formatReport(pins: readonly Pin[], advisories: Advisories): string {
  const rows = pins.map((pin) => [
    pin.name,
    pin.version,
    pin.latest ?? "not known",
    isOutdated(pin) ? `outdated in ${pin.files.join(" and ")}` : "",
  ]);
  const unknown = Map.groupBy(pins.filter(({ latest }) => latest === undefined), (pin) => pin.unknown);
  const known = pins.filter(({ latest }) => latest !== undefined);
  return [
    formatColumns(["package", "pinned", "latest", ""], rows),
    "",
    ...known.length === 0
      ? []
      : [`Outdated: ${known.filter(isOutdated).length} of ${known.length} that are known`],
    ...Array.from(
      unknown,
      ([reason, some]) =>
        `Not known whether outdated: ${some.map(({ name }) => name).join(", ")} (${reason})`,
    ),
    ...formatAdvisories(advisories),
  ].join("\n");
}

function formatAdvisories({ asked, found, unknown }: Advisories): string[] {
  if (found === undefined) {
    return [`Not known whether there are advisories: the service did not answer (${unknown})`];
  }
  return [
    `Advisories: ${found.length} about ${asked} packages`,
    ...found.map(({ packages, severity, title, vulnerable, url }) =>
      escapeText(`  ${packages.join(", ")}: ${severity}, ${title} (${vulnerable}) ${url}`)
    ),
  ];
}

function formatPackage({ name, version }: Package): string {
  return `${name}@${version}`;
}

async function main({ timeoutSeconds, json }: { timeoutSeconds: number; json: boolean }): Promise<number> {
  const pinned = readPins(Deno.cwd());
  const locked = readLocked(Deno.cwd());
  const denos = pinned.filter(({ name }) => name === "deno");
  const folder = await Deno.makeTempDir({ prefix: "deps-" });
  try {
    const npm = new Npm(folder, timeoutSeconds);
    // One after the other, because both use the same folder, and the first writes into it.
    const advisories = await lookUpAdvisories([...denos, ...locked], npm);
    const pins = await Promise.all(pinned.map((pin) => lookUp(pin, npm)));
    console.log(json ? JSON.stringify({ pins, advisories }, null, 2) : formatReport(pins, advisories));
    if (pins.some(isOutdated) || (advisories.found ?? []).length > 0) return 1;
    return advisories.unknown !== undefined || pins.some(({ unknown }) => unknown !== undefined) ? 3 : 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function readOptions(args: readonly string[]): { timeoutSeconds: number; json: boolean; help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      timeout: { type: "string", default: "30" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const timeoutSeconds = readWhole("--timeout", values.timeout, { most: 9999 });
  return { timeoutSeconds, json: values.json, help: values.help };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
