// The release script in a repository of its own, with stand-ins for the gate, the builds and the SBOM.

import assert from "node:assert/strict";
import { type Commit, findObstacles, formatChangelog, type Repository } from "../../scripts/release.ts";

const SCRIPT = new URL("../../scripts/release.ts", import.meta.url).pathname;

const READY: Repository = { version: "0.2.0", branch: "main", changes: [], released: ["0.1.0"] };

/** Takes what `deno task compile` takes, and makes a file of the right name except for the targets of `FAIL`. */
const COMPILE = `
const [, target, , out] = Deno.args;
if (Deno.readTextFileSync("fail").split(",").some((part) => part !== "" && target.includes(part))) Deno.exit(1);
Deno.writeTextFileSync(out + "/wsward-" + target + (target.includes("windows") ? ".exe" : ""), target);
`;

/** A repository with a tag and two commits after it. */
class Clone implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync();

  static async create(): Promise<Clone> {
    const clone = new Clone();
    clone.write("deno.json", configFor("0.1.0"));
    clone.write(".gitignore", "/dist/\n/fail\n/gate\n/gated\n");
    clone.write("compile.js", COMPILE);
    clone.write("fail", "");
    clone.write("gate", "echo gated > gated");
    clone.write("main.ts", `console.log(JSON.stringify({ bomFormat: "CycloneDX", args: Deno.args }));`);
    await clone.git("init", "--quiet", "--initial-branch=main");
    await clone.commit("core: begin");
    await clone.git("tag", "v0.1.0");
    await clone.commit("firewall: count <empty> fragments");
    clone.write("deno.json", configFor("0.2.0"));
    await clone.commit("Version 0.2.0");
    return clone;
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.#folder}/${name}`, text);
  }

  read(name: string): string {
    return Deno.readTextFileSync(`${this.#folder}/${name}`);
  }

  /** The names in dist/, undefined if there is none. */
  built(): string[] | undefined {
    try {
      return Array.from(Deno.readDirSync(`${this.#folder}/dist`), ({ name }) => name).sort();
    } catch {
      return undefined;
    }
  }

  /** Whether the gate was run. */
  wasGated(): boolean {
    return Array.from(Deno.readDirSync(this.#folder), ({ name }) => name).includes("gated");
  }

  async git(...args: string[]): Promise<void> {
    const { code, output } = await this.run("git", args);
    assert.equal(code, 0, output);
  }

  async commit(subject: string): Promise<void> {
    await this.git("add", "--all");
    await this.git("commit", "--quiet", "--allow-empty", "--message", subject);
  }

  async release(...args: string[]): Promise<{ code: number; output: string }> {
    const permissions = ["--no-prompt", "--allow-read=.", "--allow-write=dist", "--allow-run"];
    return await this.run(Deno.execPath(), ["run", ...permissions, SCRIPT, ...args]);
  }

  async run(program: string, args: readonly string[]): Promise<{ code: number; output: string }> {
    const identity = { NAME: "A", EMAIL: "a@example.org", DATE: "2026-01-02T03:04:05Z" };
    const who = Object.entries(identity).flatMap(([name, value]) =>
      ["AUTHOR", "COMMITTER"].map((role) => [`GIT_${role}_${name}`, value])
    );
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      cwd: this.#folder,
      // No settings but those of the test.
      env: {
        ...Object.fromEntries(who),
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_SYSTEM: "/dev/null",
        NO_COLOR: "1",
      },
    }).output();
    return { code, output: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function configFor(version: string): string {
  const tasks = { ok: "sh gate", compile: "deno run --allow-all compile.js" };
  return JSON.stringify({ version, tasks });
}

const ARTIFACTS = [
  "CHANGELOG-0.2.0.md",
  "SHA256SUMS",
  "wsward-0.2.0.cdx.json",
  "wsward-aarch64-apple-darwin",
  "wsward-aarch64-pc-windows-msvc.exe",
  "wsward-aarch64-unknown-linux-gnu",
  "wsward-x86_64-apple-darwin",
  "wsward-x86_64-pc-windows-msvc.exe",
  "wsward-x86_64-unknown-linux-gnu",
];

const CHANGELOG =
  /^## 0\.2\.0 \(2026-01-02\)\n\n### firewall\n\n- count \\<empty> fragments \([0-9a-f]+\)\n\n### other\n\n- Version 0\.2\.0 \([0-9a-f]+\)\n$/;

Deno.test("runs the gate, builds every target anew, and adds SBOM, changelog and checksums that hold", async () => {
  await using clone = await Clone.create();
  await clone.run("mkdir", ["dist"]);
  clone.write("dist/left_over", "");
  const { code, output } = await clone.release();
  assert.equal(code, 0, output);
  assert.ok(clone.wasGated());
  assert.deepEqual(clone.built(), ARTIFACTS);
  assert.equal(clone.read("dist/wsward-x86_64-apple-darwin"), "x86_64-apple-darwin");
  assert.match(clone.read("dist/wsward-0.2.0.cdx.json"), /"args":\["version","--sbom"\]/);
  assert.match(clone.read("dist/CHANGELOG-0.2.0.md"), CHANGELOG);
  const check = await clone.run("sh", ["-c", "cd dist && sha256sum --strict --check SHA256SUMS"]);
  assert.equal(check.code, 0, check.output);
  assert.equal(check.output.match(/: OK$/gm)?.length, ARTIFACTS.length - 1);
  // The command for the tag is right as it is printed, and keeps the headings, which git takes for comments.
  const [, tag = ""] = /^Tag it: (.+)$/m.exec(output) ?? [];
  assert.equal((await clone.run("sh", ["-c", tag])).code, 0);
  assert.match((await clone.run("git", ["tag", "--list", "-n99", "v0.2.0"])).output, /### firewall/);
  assert.match((await clone.release()).output, /the tag v0\.2\.0 exists already/);
});

Deno.test("only says what it would do with --dry-run", async () => {
  await using clone = await Clone.create();
  const { code, output } = await clone.release("--dry-run");
  assert.equal(code, 0, output);
  for (const name of ARTIFACTS) assert.ok(output.includes(`\n  ${name}\n`), name);
  assert.match(
    output,
    /^ {2}deno task ok\n {2}deno task compile --target x86_64-unknown-linux-gnu --out dist\n/m,
  );
  assert.match(output.slice(output.indexOf("## ")), CHANGELOG);
  assert.equal(clone.built(), undefined);
  assert.equal(clone.wasGated(), false);
});

Deno.test("refuses what is not a clean main with a new version, with all reasons and before the gate", async () => {
  await using clone = await Clone.create();
  await clone.git("checkout", "--quiet", "-b", "other");
  await clone.git("tag", "v0.2.0");
  clone.write("new.txt", "");
  for (const args of [[], ["--dry-run"]]) {
    const { code, output } = await clone.release(...args);
    assert.equal(code, 1);
    assert.deepEqual(output.trimEnd().split("\n"), [
      "Cannot make a release: the tree must be clean, and is not: ?? new.txt",
      "Cannot make a release: main must be checked out, not other",
      "Cannot make a release: the tag v0.2.0 exists already: raise the version in deno.json",
    ]);
  }
  assert.equal(clone.wasGated(), false);
});

Deno.test("builds nothing when the gate fails, and leaves what was built before", async () => {
  await using clone = await Clone.create();
  await clone.run("mkdir", ["dist"]);
  clone.write("dist/left_over", "");
  clone.write("gate", "exit 1");
  const { code, output } = await clone.release();
  assert.match(output, /^Cannot make a release: the gate has failed$/m);
  assert.equal(code, 1);
  assert.deepEqual(clone.built(), ["left_over"]);
});

Deno.test("ends at the first target that can't be built, without checksums", async () => {
  await using clone = await Clone.create();
  clone.write("fail", "darwin");
  const { code, output } = await clone.release();
  assert.match(output, /^Cannot build x86_64-apple-darwin: .*--allow-missing-targets/m);
  assert.equal(code, 1);
  assert.deepEqual(clone.built(), ["wsward-aarch64-unknown-linux-gnu", "wsward-x86_64-unknown-linux-gnu"]);
});

Deno.test("goes on without targets that can't be built with --allow-missing-targets, unless none can", async () => {
  await using clone = await Clone.create();
  clone.write("fail", "darwin");
  const some = await clone.release("--allow-missing-targets");
  assert.equal(some.code, 0, some.output);
  assert.match(some.output, /^Going on without x86_64-apple-darwin: it could not be built$/m);
  assert.deepEqual(clone.built(), ARTIFACTS.filter((name) => !name.includes("darwin")));
  assert.doesNotMatch(clone.read("dist/SHA256SUMS"), /darwin/);
  clone.write("fail", "-");
  const none = await clone.release("--allow-missing-targets");
  assert.match(none.output, /^Cannot make a release: no target could be built$/m);
  assert.equal(none.code, 1);
});

Deno.test("refuses when the tree changes while it builds, without checksums", async () => {
  for (const change of ["echo > new.txt", "git commit --quiet --allow-empty --message more"]) {
    await using clone = await Clone.create();
    clone.write("gate", change);
    const { code, output } = await clone.release();
    assert.match(output, /^Cannot make a release: (the tree must be clean|another commit was checked out)/m);
    assert.equal(code, 1);
    assert.equal(clone.built()?.includes("SHA256SUMS"), false);
  }
});

Deno.test("fails when the SBOM can't be made", async () => {
  await using clone = await Clone.create();
  const programs = ['throw new Error("no lock file")', 'console.log("wsward 0.2.0")', 'console.log("{}")'];
  for (const [index, reason] of [/no lock file/, /is not valid JSON/, /no CycloneDX/].entries()) {
    clone.write("main.ts", programs[index]!);
    await clone.commit("cli: break");
    const { code, output } = await clone.release();
    assert.match(output, /^Cannot make the SBOM: /m);
    assert.match(output, reason);
    assert.equal(code, 1);
  }
});

Deno.test("refuses a command line that can't be used with one line and 2", async () => {
  await using clone = await Clone.create();
  for (const args of [["--what"], ["0.2.0"], ["--dry-run=yes"]]) {
    const { code, output } = await clone.release(...args);
    assert.match(output, /^[^\n]+\n$/);
    assert.equal(code, 2);
  }
});

Deno.test("takes a version that is above the latest one by number, and no other", () => {
  const good = [["0.2.0", "0.1.0"], ["0.10.0", "0.9.9"], ["1.0.0", "0.99.0"], ["0.1.1", "0.1.0"]];
  for (const [version = "", latest = ""] of good) {
    assert.deepEqual(findObstacles({ ...READY, version, released: [latest] }), [], version);
  }
  assert.deepEqual(findObstacles({ ...READY, released: [] }), []);
  assert.match(findObstacles({ ...READY, version: "0.9.9", released: ["0.10.0"] }).join(), /above 0\.10\.0/);
  assert.match(findObstacles({ ...READY, version: "0.1.0" }).join(), /exists already/);
  assert.match(
    findObstacles({ ...READY, version: "0.1.0", released: ["0.2.0", "0.1.0"] }).join(),
    /exists already/,
  );
  for (const version of ["", "1", "1.2", "v1.2.3", "1.2.3-rc.1", "undefined"]) {
    assert.match(findObstacles({ ...READY, version }).join(), /must be like 1\.2\.3/);
  }
});

Deno.test("refuses a single commit that is checked out without a branch", () => {
  assert.match(findObstacles({ ...READY, branch: "" }).join(), /not a single commit/);
});

Deno.test("groups commits by what stands before the colon, as it is written", () => {
  const subjects = ["b: one", "a, c: two", "Fix: three", "b: four: five", "no colon", "url http://x: six"];
  const commits: Commit[] = subjects.map((subject, index) => ({ hash: `h${index}`, subject }));
  assert.equal(
    formatChangelog("1.0.0", "2026-01-02", commits),
    `## 1.0.0 (2026-01-02)

### a, c

- two (h1)

### b

- one (h0)
- four: five (h3)

### other

- Fix: three (h2)
- no colon (h4)
- url http://x: six (h5)
`,
  );
});
