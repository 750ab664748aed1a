// Bundles the program into a folder of files, of which a start loads no more than it needs.

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

const ROOT = new URL("../../", import.meta.url);

// How `deno bundle` lets a CommonJS package ask for a module of Node's. It would load all of Node's at every start.
const REQUIRE =
  /import\s*\{\s*createRequire as (\w+)\s*\}\s*from\s*"node:module";\s*var (\w+)\s*=\s*\1\(import\.meta\.url\);/g;
const LATE_IMPORT = /\bimport\("(\.\/[^"]+)"\)/g;
const STATIC_IMPORT = /\b(?:from|import)\s*"((?:\.\/|node:)[^"]+)"/g;

/** The files that are loaded before the server is ready, besides what they import: the program, and the server. */
const START_FILES = /^(?:main|app-\w+)\.js$/;

/** Throws an `Error` if it can't be bundled, or a start would load a module of Node's. */
export async function bundle({ outDir, importMap, hideLate = true }: BundleOptions): Promise<void> {
  const map = importMap === undefined ? [] : [`--import-map=${importMap}`];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--platform=deno",
      "--minify",
      // So that what is loaded late stays in files of its own.
      "--code-splitting",
      ...map,
      `--outdir=${outDir}`,
      "main.ts",
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) throw new Error(`Cannot bundle the program: ${new TextDecoder().decode(stderr).trim()}`);
  const names = Array.from(Deno.readDirSync(outDir), ({ name }) => name);
  const files = new Map(names.map((name) => [name, Deno.readTextFileSync(`${outDir}/${name}`)]));
  for (const [name, text] of files) {
    const quick = quicken(text, hideLate);
    files.set(name, quick);
    Deno.writeTextFileSync(`${outDir}/${name}`, quick);
  }
  refuseSlowStart(files);
}

/** One file of a bundle, without what makes every start slower. */
export function quicken(text: string, hideLate: boolean): string {
  const quick = text.replace(
    REQUIRE,
    (_, _createRequire, require) => `var ${require}=(id)=>globalThis.process.getBuiltinModule(id);`,
  );
  if (!hideLate) return quick;
  return quick.replace(LATE_IMPORT, (_, path) => `import(new URL("${path}",import.meta.url).href)`);
}

/** Throws an `Error` if a start would load a module of Node's; `files` are all files of a bundle, by name. */
export function refuseSlowStart(files: ReadonlyMap<string, string>): void {
  const early = new Set([...files.keys()].filter((name) => START_FILES.test(name)));
  if (early.size < 2) {
    throw new Error("Cannot tell what a start loads: the bundle has no main.js or no app-*.js");
  }
  // A set is walked to its end, also to what is added on the way.
  for (const name of early) {
    for (const [, imported = ""] of (files.get(name) ?? "").matchAll(STATIC_IMPORT)) {
      if (imported.startsWith("node:")) {
        throw new Error(`Cannot use the bundle: ${name}, which every start loads, imports ${imported}`);
      }
      early.add(imported.slice("./".length));
    }
  }
}
