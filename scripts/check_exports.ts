// Finds useless exports in src/: values that no other file names, or that only tests use.

/** Files by their path from the root, with their text. */
export type Sources = ReadonlyMap<string, string>;

/** A useless export, and why it is. */
export interface VainExport {
  readonly path: string;
  readonly name: string;
  readonly reason: "no other file names it" | "only tests use it";
}

/** Types are left out: they describe parameters and results, also for callers that don't name them. */
const EXPORT = /^export (?:abstract )?(?:async )?(?:function\*?|const|let|class) (\w+)/gm;

/** Goes by names alone: one that several files use for different things passes. */
export function findVainExports(sources: Sources): readonly VainExport[] {
  const words = new Map(Array.from(sources, ([path, text]) => [path, countWords(text)] as const));
  return Array.from(sources).filter(([path]) => path.startsWith("src/")).flatMap(([path, text]) =>
    Array.from(text.matchAll(EXPORT), ([, name = ""]) => name).flatMap((name): VainExport[] => {
      const users = Array.from(words.keys()).filter((other) => other !== path && words.get(other)!.has(name));
      if (users.length === 0) return [{ path, name, reason: "no other file names it" }];
      const isUsedHere = words.get(path)!.get(name)! > 1;
      if (isUsedHere || users.some((user) => !user.startsWith("tests/"))) return [];
      return [{ path, name, reason: "only tests use it" }];
    })
  );
}

/** How often each word is in the code. Comments don't count: a name in them is no use. */
function countWords(text: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const code = text.replace(/^\s*(?:\/\*[^]*?\*\/|\/\/.*$)/gm, "");
  for (const [word] of code.matchAll(/\b[A-Za-z_]\w*/g)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

async function readSources(): Promise<Sources> {
  const root = new URL("../", import.meta.url);
  const sources = new Map([["main.ts", await Deno.readTextFile(new URL("main.ts", root))]]);
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      const path = folder + name;
      if (isDirectory) await walk(`${path}/`);
      else if (path.endsWith(".ts")) sources.set(path, await Deno.readTextFile(new URL(path, root)));
    }
  };
  for (const folder of ["src/", "scripts/", "tests/"]) await walk(folder);
  return sources;
}

async function main(): Promise<number> {
  const vain = findVainExports(await readSources());
  for (const { path, name, reason } of vain) console.error(`${path} exports ${name}: ${reason}`);
  return vain.length > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
