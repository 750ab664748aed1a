// Bundles the program into a folder of files, so that a start loads no more than it needs.

import { type Plugin, rollup } from "rollup";

/** How to bundle the program. */
export interface BundleOptions {
  /** The folder to write to; `main.js` is the program. */
  readonly outDir: string;
  /** A file that replaces the imports of deno.json. */
  readonly importMap?: string;
  /**
   * Whether to hide the names of files that are loaded late from Deno, which reads all whose names it sees at every
   * start; true if left out. False for `deno compile`, which embeds only files that it sees; there they cost nothing.
   */
  readonly hideLate?: boolean;
}

/** Files by name, with their text. */
type Files = ReadonlyMap<string, string>;

const ROOT = new URL("../../", import.meta.url);

// How `deno bundle` lets a CommonJS package require a Node module. It would load all Node modules at every start.
const REQUIRE =
  /import\s*\{\s*createRequire as (\w+)\s*\}\s*from\s*"node:module";\s*var (\w+)\s*=\s*\1\(import\.meta\.url\);/g;

// The files that are loaded before the server is ready, besides what they import.
const PROGRAM = "main.js";
const SERVER = /^program-\w+\.js$/;
/** The name, without `.js`, of the file that these and what they import are joined into, all but the program. */
const START = "start";

/** Bundles the program. Throws an `Error` if that fails, or if a start would load a Node module. */
export async function bundle({ outDir, importMap, hideLate = true }: BundleOptions): Promise<void> {
  const files = await joinEarly(await split(importMap), hideLate);
  await Deno.mkdir(outDir, { recursive: true });
  for (const [name, text] of files) await Deno.writeTextFile(`${outDir}/${name}`, text);
}

/** One file for each part that is loaded late, and one for each set of modules that several of them share. */
async function split(importMap: string | undefined): Promise<Files> {
  const map = importMap === undefined ? [] : [`--import-map=${importMap}`];
  const folder = await Deno.makeTempDir();
  try {
    const options = ["--platform=deno", "--minify", "--code-splitting", ...map, `--outdir=${folder}`];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", ...options, "main.ts"],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) throw new Error(`Cannot bundle the program: ${new TextDecoder().decode(stderr).trim()}`);
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    return new Map(names.map((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Joins all that is loaded before the server is ready into `start.js`, because each file costs time; `main.js` stays
 * the program. Throws an `Error` if a Node module is loaded so early, or if `files` are not a bundle of the program.
 */
export async function joinEarly(files: Files, hideLate: boolean): Promise<Files> {
  const inMemory: Plugin = {
    name: "in-memory",
    resolveId: (name) => name.replace("./", ""),
    load: (name) => files.get(name),
    transform: askOneByOne,
    renderDynamicImport: () =>
      hideLate ? { left: "import(new URL(", right: ",import.meta.url).href)" } : null,
  };
  const program = await rollup({
    input: PROGRAM,
    external: /^node:/,
    plugins: [inMemory],
    preserveEntrySignatures: false,
    treeshake: false,
  });
  const { output } = await program.generate({
    compact: true,
    chunkFileNames: "[name].js",
    manualChunks: (name, { getModuleIds, getModuleInfo }) => {
      const early = new Set(Array.from(getModuleIds()).filter((id) => id === PROGRAM || SERVER.test(id)));
      if (early.size < 2) throw new Error("Cannot tell what a start loads: the bundle has no program-*.js");
      // The loop also visits what is added to the set on the way.
      for (const id of early) {
        for (const imported of getModuleInfo(id)?.importedIds ?? []) {
          if (imported.startsWith("node:")) {
            throw new Error(`Cannot use the bundle: ${id}, which every start loads, imports ${imported}`);
          }
          early.add(imported);
        }
      }
      // main.js awaits the end of the program, so nothing that is loaded late may import it: it would wait for ever.
      return early.has(name) && name !== PROGRAM ? START : undefined;
    },
  });
  return new Map(
    output.flatMap((file) => file.type === "chunk" ? [[file.fileName, file.code] as const] : []),
  );
}

/** Makes a file load each Node module only when it needs it. */
function askOneByOne(text: string): string {
  return text.replace(
    REQUIRE,
    (_, _createRequire, require) => `var ${require}=(id)=>globalThis.process.getBuiltinModule(id);`,
  );
}
