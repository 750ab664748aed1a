// Bundles the program into a folder of files, of which a start loads no more than it needs.

import { type Plugin, rollup } from "rollup";

/** What is bundled, and where to. */
export interface BundleOptions {
  /** The folder to write to; `main.js` is the program. */
  readonly outDir: string;
  /** A file in place of the imports of deno.json. */
  readonly importMap?: string;
  /**
   * Whether files that are loaded late are named in a way that the runtime can't foresee; true if left out. It reads all
   * those that it foresees at every start. What is to be embedded by `deno compile` has to be foreseen, and costs nothing.
   */
  readonly hideLate?: boolean;
}

/** Files by name, with their text. */
type Files = ReadonlyMap<string, string>;

const ROOT = new URL("../../", import.meta.url);

// How `deno bundle` lets a CommonJS package ask for a module of Node's. It would load all of Node's at every start.
const REQUIRE =
  /import\s*\{\s*createRequire as (\w+)\s*\}\s*from\s*"node:module";\s*var (\w+)\s*=\s*\1\(import\.meta\.url\);/g;

// The files that are loaded before the server is ready, besides what they import.
const PROGRAM = "main.js";
const SERVER = /^program-\w+\.js$/;
/** The name, without `.js`, of the file into which all of them but the program are joined. */
const START = "start";

/** Throws an `Error` if it can't be bundled, or a start would load a module of Node's. */
export async function bundle({ outDir, importMap, hideLate = true }: BundleOptions): Promise<void> {
  const files = await joinEarly(await split(importMap), hideLate);
  await Deno.mkdir(outDir, { recursive: true });
  for (const [name, text] of files) await Deno.writeTextFile(`${outDir}/${name}`, text);
}

/** A file for each part of the program that is loaded late, and one for whatever some of them have in common. */
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
 * Joins all that is loaded before the server is ready into `start.js`, because each file costs a start time; `main.js` is
 * the program. Throws an `Error` if a module of Node's is loaded so early, or `files` are no bundle of the program.
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
      // A set is walked to its end, also to what is added on the way.
      for (const id of early) {
        for (const imported of getModuleInfo(id)?.importedIds ?? []) {
          if (imported.startsWith("node:")) {
            throw new Error(`Cannot use the bundle: ${id}, which every start loads, imports ${imported}`);
          }
          early.add(imported);
        }
      }
      // main.js waits for the end of the program, so that nothing which is loaded late may wait for it.
      return early.has(name) && name !== PROGRAM ? START : undefined;
    },
  });
  return new Map(
    output.flatMap((file) => file.type === "chunk" ? [[file.fileName, file.code] as const] : []),
  );
}

/** Lets a file ask for a module of Node's when it needs it, and for no other. */
function askOneByOne(text: string): string {
  return text.replace(
    REQUIRE,
    (_, _createRequire, require) => `var ${require}=(id)=>globalThis.process.getBuiltinModule(id);`,
  );
}
