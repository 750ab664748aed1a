// `version` as a process with the least permissions: what it says about the program and its parts.

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { EXECUTABLE, run } from "../support/process.ts";

const ROOT = new URL("../../", import.meta.url);

async function version(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(["version", ...args], { onlyPermissions: ["--no-prompt"] });
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

// A source tree that may not be read, or an executable, which knows both.
const [COMMIT, BUILT] = EXECUTABLE === undefined
  ? [/^unknown$/, /^deno run$/]
  : [/^[0-9a-f]{40}(-dirty)?$|^unknown$/, /^deno compile$|^self-extracting$/];

Deno.test("tells the version first, then a fact a line", async () => {
  const [first, commit, built, ...rest] = (await version()).split("\n");
  assert.equal(first, `wsward ${config.version}`);
  assert.match(commit!.replace(/^commit /, ""), COMMIT);
  assert.match(built!.replace(/^built {2}/, ""), BUILT);
  assert.deepEqual(rest, [`deno   ${Deno.version.deno}`, `v8     ${Deno.version.v8}`, ""]);
});

Deno.test("tells the same as JSON", async () => {
  const { commit, built, ...rest } = JSON.parse(await version("--json"));
  assert.match(commit, COMMIT);
  assert.match(built, BUILT);
  assert.deepEqual(rest, { version: config.version, deno: Deno.version.deno, v8: Deno.version.v8 });
});

Deno.test("a build says what it is by another module in the import map (source tree only)", {
  ignore: EXECUTABLE !== undefined,
}, async () => {
  const folder = Deno.makeTempDirSync();
  const build = new URL(`file://${folder}/build.ts`).href;
  await Deno.writeTextFile(
    `${folder}/build.ts`,
    'export const COMMIT = "c0ffee"; export const BUILT_BY = "hand";',
  );
  await Deno.writeTextFile(
    `${folder}/map.json`,
    JSON.stringify({ imports: { ...config.imports, "wsward/build": build } }),
  );
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", `--import-map=${folder}/map.json`, "main.ts", "version"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.match(new TextDecoder().decode(stdout), /\ncommit c0ffee\nbuilt {2}hand\n/);
  await Deno.remove(folder, { recursive: true });
});

interface PackageGraph {
  readonly modules: readonly { readonly specifier: string }[];
  readonly npmPackages: Readonly<Record<string, { readonly dependencies: readonly string[] }>>;
}

/** The packages, by name and version, that the modules of the program import, and all that these need. */
async function shippedPackages(): Promise<ReadonlySet<string>> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "main.ts"],
    cwd: ROOT,
  })
    .output();
  const { modules, npmPackages }: PackageGraph = JSON.parse(new TextDecoder().decode(stdout));
  const found = new Set<string>();
  for (const { specifier } of modules) {
    const [, id] = /^npm:\/((?:@[^/]+\/)?[^/]+)/.exec(specifier) ?? [];
    if (id !== undefined) found.add(id);
  }
  for (const id of found) {
    for (const needed of npmPackages[id]!.dependencies) found.add(needed);
  }
  return found;
}

Deno.test("the bill of materials lists every package of the module graph, and no other", async () => {
  const { components } = JSON.parse(await version("--sbom"));
  const listed = components.map(({ purl }: { purl: string }) =>
    decodeURIComponent(purl.replace(/^pkg:npm\//, ""))
  );
  assert.deepEqual(listed, [...await shippedPackages()].sort());
});

Deno.test("the bill of materials has what CycloneDX 1.6 asks for, and the lock file's digests", async () => {
  const { bomFormat, specVersion, version: revision, metadata, components, dependencies } = JSON.parse(
    await version("--sbom"),
  );
  assert.deepEqual([bomFormat, specVersion, revision], ["CycloneDX", "1.6", 1]);
  assert.deepEqual(
    [metadata.component.type, metadata.component.name, metadata.component.version],
    ["application", "wsward", config.version],
  );
  const lock = JSON.parse(await Deno.readTextFile(new URL("deno.lock", ROOT)));
  for (const { type, group, name, version, purl, hashes, ...rest } of components) {
    const id = `${group === undefined ? "" : `${group}/`}${name}@${version}`;
    assert.deepEqual([type, rest], ["library", { "bom-ref": purl }]);
    assert.equal(purl, `pkg:npm/${id.replace(/^@/, "%40")}`);
    assert.equal(hashes.length, 1);
    assert.equal(hashes[0].alg, "SHA-512");
    assert.match(hashes[0].content, /^[0-9a-f]{128}$/);
    const digest = Uint8Array.fromHex(hashes[0].content).toBase64();
    assert.equal(`sha512-${digest}`, lock.npm[id].integrity);
  }

  // Each component is described once, and what is named exists.
  const refs: string[] = [metadata.component, ...components].map((component) => component["bom-ref"]);
  assert.equal(new Set(refs).size, refs.length);
  assert.deepEqual(dependencies.map(({ ref }: { ref: string }) => ref), refs);
  for (const { dependsOn } of dependencies) {
    for (const ref of dependsOn) assert.ok(refs.includes(ref), ref);
  }
  const toml = dependencies.find(({ ref }: { ref: string }) => ref.startsWith("pkg:npm/toml-eslint-parser@"));
  assert.deepEqual(toml.dependsOn.map((ref: string) => ref.replace(/@[^@]+$/, "")), [
    "pkg:npm/eslint-visitor-keys",
  ]);
});
