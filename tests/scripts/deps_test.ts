// What `deno task deps` says about dependencies, with a registry on loopback that answers, is silent, or is wrong.

import assert from "node:assert/strict";
import { findProgram } from "../support/deploy.ts";

const SCRIPT = new URL("../../scripts/deps.ts", import.meta.url).pathname;
const ADVISORIES = "/-/npm/v1/security/advisories/bulk";

/** What the project of these tests pins, and what the registry has: nothing newer. */
const CURRENT = { deno: "2.0.0", jose: "6.2.9", ws: "8.23.0" };

type Handler = (path: string) => Response | undefined;

interface Report {
  readonly pins: readonly { name: string; version: string; latest?: string; unknown?: string }[];
  readonly advisories: { asked: number; found?: { packages: string[]; title: string }[]; unknown?: string };
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What was asked: paths, and the body of the question about advisories. */
  readonly asked: readonly string[];
}

interface Setup {
  readonly args?: readonly string[];
  /** The packages of {@linkcode CURRENT} that are pinned besides Deno; npm is started for each. */
  readonly pins?: readonly (keyof typeof CURRENT)[];
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** The registry's answer; a good one if it returns undefined. */
  readonly answer?: Handler;
}

function advisory(vulnerable: string, title: string) {
  return { id: 1, url: "https://example.org/1", title, severity: "high", vulnerable_versions: vulnerable };
}

/** An answer about advisories: those of `more`, and the one that every such service has. */
function advisories(more: Readonly<Record<string, unknown>> = {}): Response {
  return Response.json({ minimist: [advisory("<0.2.4", "Prototype pollution")], ...more });
}

function packageNamed(name: string, latest: string): Response {
  const versions = { [latest]: { name, version: latest, dist: { tarball: "http://127.0.0.1/none.tgz" } } };
  return Response.json({ name, "dist-tags": { latest }, versions });
}

function goodAnswer(path: string): Response {
  if (path === ADVISORIES) return advisories();
  const version = Object.entries(CURRENT).find(([name]) => path === `/${name}`)?.[1];
  return version === undefined ? new Response("{}", { status: 404 }) : packageNamed(path.slice(1), version);
}

async function bodyOf(request: Request): Promise<string> {
  const { body } = request;
  if (body === null) return "";
  const isPacked = request.headers.get("content-encoding") === "gzip";
  return await new Response(isPacked ? body.pipeThrough(new DecompressionStream("gzip")) : body).text();
}

async function deps(
  { args = [], pins = ["ws"], files = {}, env = {}, answer = () => undefined }: Setup = {},
): Promise<Outcome> {
  const folder = await Deno.makeTempDir();
  const asked: string[] = [];
  const registry = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname + await bodyOf(request));
    return answer(pathname) ?? goodAnswer(pathname);
  });
  const project = {
    "deno.json": JSON.stringify({
      imports: {
        ...Object.fromEntries(pins.map((name) => [name, `npm:${name}@${CURRENT[name]}`])),
        // A module of the project's own.
        "own/build": "./src/build.ts",
      },
    }),
    "deno.lock": JSON.stringify({
      npm: { "jose@6.2.9": {}, "ws@8.23.0_bufferutil@4.0.0": {}, "@a/b@1.0.0": {} },
    }),
    "README.md": "Run `npx -y deno@2.0.0 task start`",
    ".ci/run": "npx -y deno@2.0.0 task check; npx -y deno@2.0.0 task test",
    ...files,
  };
  try {
    await Deno.mkdir(`${folder}/.ci`);
    for (const [name, text] of Object.entries(project)) await Deno.writeTextFile(`${folder}/${name}`, text);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-read=.", "--allow-write", "--allow-run=npm", SCRIPT, ...args],
      cwd: folder,
      env: { NO_COLOR: "1", NPM_CONFIG_REGISTRY: `http://127.0.0.1:${registry.addr.port}/`, ...env },
    }).output();
    const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, stdout: out!, stderr: error!, asked };
  } finally {
    await registry.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

async function report(setup: Setup): Promise<Report & { code: number }> {
  const { code, stdout, stderr } = await deps({ ...setup, args: ["--json", ...setup.args ?? []] });
  assert.equal(stderr, "");
  return { code, ...JSON.parse(stdout) };
}

/** npm itself is asked. Not every machine with Deno has it; CI has, and whoever starts with the README's npx. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: findProgram("npm") === undefined, fn });
}

test("ends with 0 when everything is current and no advisory is known", async () => {
  const { code, stdout, stderr, asked } = await deps({ pins: ["jose", "ws"] });
  assert.equal(stderr, "");
  assert.match(stdout, /^Outdated: 0 of 3 that are known\nAdvisories: 0 about 4 packages\n$/m);
  assert.doesNotMatch(stdout, /[Nn]ot known/);
  assert.equal(code, 0);
  const question = asked.find((line) => line.startsWith(ADVISORIES))?.slice(ADVISORIES.length);
  assert.deepEqual(JSON.parse(question ?? ""), {
    "deno": ["2.0.0"],
    "jose": ["6.2.9"],
    "ws": ["8.23.0"],
    "@a/b": ["1.0.0"],
    "minimist": ["0.0.8"],
  });
});

test("ends with 1 and names what is outdated, by number and not by letter", async () => {
  const { code, stdout } = await deps({
    pins: ["jose"],
    answer: (path) => path === "/jose" ? packageNamed("jose", "6.2.10") : undefined,
  });
  assert.match(stdout, /^jose +6\.2\.9 +6\.2\.10 +outdated in deno\.json$/m);
  assert.match(stdout, /^Outdated: 1 of 2/m);
  assert.equal(code, 1);
});

test("does not call a pin outdated that is newer than the latest release", async () => {
  const { code, pins } = await report({
    pins: ["jose"],
    answer: (path) => path === "/jose" ? packageNamed("jose", "6.2.8") : undefined,
  });
  assert.equal(pins.find(({ name }) => name === "jose")?.latest, "6.2.8");
  assert.equal(code, 0);
});

test("names the files that pin an outdated Deno", async () => {
  const { code, stdout } = await deps({
    pins: [],
    files: { ".ci/run": "npx -y deno@1.9.0 task check" },
  });
  assert.match(stdout, /^deno +2\.0\.0 +2\.0\.0$/m);
  assert.match(stdout, /^deno +1\.9\.0 +2\.0\.0 +outdated in \.ci\/run$/m);
  assert.equal(code, 1);
});

test("ends with 1 and shows an advisory about a package that nothing pins directly", async () => {
  const title = "Painted \u001b[31mred";
  const { code, stdout } = await deps({
    pins: [],
    answer: (path) => path === ADVISORIES ? advisories({ "@a/b": [advisory("<2.0.0", title)] }) : undefined,
  });
  assert.match(stdout, /^Advisories: 1 about 4 packages$/m);
  assert.match(
    stdout,
    /^ {2}@a\/b@1\.0\.0: high, Painted \\u\{1b\}\[31mred \(<2\.0\.0\) https:\/\/example\.org\/1$/m,
  );
  assert.equal(code, 1);
});

test("shows an advisory about the package by which the service is tried, too", async () => {
  const { code, advisories: { found } } = await report({
    pins: [],
    files: { "deno.lock": JSON.stringify({ npm: { "minimist@0.2.0": {} } }) },
  });
  assert.deepEqual(found?.map(({ packages }) => packages), [["minimist@0.2.0"]]);
  assert.equal(code, 1);
});

test("does not show an advisory about other versions", async () => {
  const { code, advisories: { found } } = await report({
    pins: [],
    answer: (path) => path === ADVISORIES ? advisories({ ws: [advisory("<8.23.0", "Old")] }) : undefined,
  });
  assert.deepEqual(found, []);
  assert.equal(code, 0);
});

const NO_ANSWERS: Readonly<Record<string, () => Response>> = {
  "refuses": () => new Response(null, { status: 405 }),
  "fails, though with what would otherwise mean none": () => Response.json({}, { status: 503 }),
  "always says none": () => Response.json({}),
  "answers with a list": () => Response.json([]),
  "answers with something else": () => Response.json({ hello: 1 }),
  "answers with a web page": () => new Response("<html>", { headers: { "content-type": "text/html" } }),
};
test("says what is not known when the registry gives no answer that can be used, and ends with 3", async () => {
  await Promise.all(
    Object.entries(NO_ANSWERS).map(async ([what, answer]) => {
      const { code, stdout } = await deps({
        answer: (path) => path === ADVISORIES || path === "/ws" ? answer() : undefined,
      });
      const message = `when it ${what}: ${stdout}`;
      assert.match(stdout, /^ws +8\.23\.0 +not known$/m, message);
      assert.match(
        stdout,
        /^Outdated: 0 of 1 that are known\nNot known whether outdated: ws \(.+\)$/m,
        message,
      );
      assert.match(
        stdout,
        /^Not known whether there are advisories: the service did not answer \(.+\)$/m,
        message,
      );
      assert.doesNotMatch(stdout, /^Advisories:/m, message);
      assert.equal(code, 3, message);
    }),
  );
});

test("believes no version of another package, and none that is no version", async () => {
  const { code, pins } = await report({
    pins: ["jose", "ws"],
    answer: (path) => {
      if (path === "/jose") return packageNamed("left-pad", "6.2.9");
      return path === "/ws" ? packageNamed("ws", "newest") : undefined;
    },
  });
  assert.deepEqual(pins.map(({ latest }) => latest), ["2.0.0", undefined, undefined]);
  assert.equal(code, 3);
});

test("ends with 1 when something is outdated, though the rest is not known", async () => {
  const { code, pins } = await report({
    answer: (path) => path === "/ws" ? packageNamed("ws", "9.0.0") : new Response(null, { status: 500 }),
  });
  assert.equal(pins.filter(({ latest }) => latest !== undefined).length, 1);
  assert.equal(code, 1);
});

test("says that nothing is known when the registry can't be reached, without the password in its address", async () => {
  const { code, stdout } = await deps({ env: { NPM_CONFIG_REGISTRY: "http://user:s3cret@127.0.0.1:1/" } });
  assert.match(stdout, /^Not known whether outdated: deno .*ECONNREFUSED/m);
  assert.match(stdout, /^Not known whether there are advisories: .*ECONNREFUSED/m);
  assert.doesNotMatch(stdout, /^Outdated|^Advisories|s3cret/m);
  assert.equal(code, 3);
});

test("gives a registry up that takes the question and says nothing", async () => {
  const { code, advisories: { unknown } } = await report({
    args: ["--timeout", "1"],
    pins: [],
    answer: (path) => path === ADVISORIES ? new Response(new ReadableStream()) : undefined,
  });
  assert.match(unknown ?? "", /timeout/i);
  assert.equal(code, 3);
});

test("says that nothing is known where there is no npm", async () => {
  const { code, stdout } = await deps({ env: { PATH: "/nonexistent" } });
  assert.match(stdout, /^Not known whether outdated: deno, ws \(there is no npm .+\)$/m);
  assert.match(stdout, /^Not known whether there are advisories: .+ \(there is no npm .+\)$/m);
  assert.equal(code, 3);
});

test("refuses a package that is not pinned, and files that can't be read", async () => {
  const specifiers = ["npm:jose@^6.2.9", "npm:jose", "npm:jose@6", "jsr:@std/log@1.0.0"];
  const files = [["deno.lock", "{"], ["deno.json", ""]] as const;
  await Promise.all([
    ...specifiers.map(async (specifier) => {
      const { code, stderr, asked } = await deps({
        files: { "deno.json": JSON.stringify({ imports: { jose: specifier } }) },
      });
      assert.ok(stderr.startsWith(`Cannot use "${specifier}" in deno.json: jose must be pinned`), stderr);
      assert.deepEqual([code, asked], [1, []]);
    }),
    ...files.map(async ([name, text]) => {
      const { code, stderr } = await deps({ files: { [name]: text } });
      assert.match(stderr, new RegExp(`^Cannot read ${name}: [^\\n]+\\n$`));
      assert.equal(code, 1);
    }),
  ]);
});

test("refuses a project that pins no Deno", async () => {
  const { code, stderr } = await deps({ files: { "README.md": "", ".ci/run": "deno task ok" } });
  assert.match(stderr, /^Cannot find deno@VERSION in README\.md or \.ci\/run: [^\n]+\n$/);
  assert.equal(code, 1);
});

test("refuses a command line that can't be used with one line and 2", async () => {
  const wrong = [["--timeout", "0"], ["--timeout", "soon"], ["--what"], ["more"]];
  await Promise.all(wrong.map(async (args) => {
    const { code, stderr } = await deps({ args });
    assert.match(stderr, /^[^\n]+\n$/);
    assert.equal(code, 2);
  }));
});
