// Checks the module graph: imports point down only, each package is imported by its layers only, and a start loads
// nothing large.

/** One module: its path from the root of the repository, and what it imports. */
export interface Module {
  readonly path: string;
  readonly imports: readonly Import[];
}

/** One import: a file of the repository by its path from the root, or anything else by the name in the import. */
export type Import = ({ readonly file: string } | { readonly name: string }) & {
  /** Whether it is only a type, or loaded when it is needed. */
  readonly isLate?: boolean;
};

/** An import that breaks a rule, and the rule. */
export interface WrongImport {
  readonly from: string;
  readonly to: string;
  readonly rule: string;
}

// Layers of the same height must not import each other.
const LAYER_HEIGHTS: Readonly<Record<string, number>> = {
  core: 0,
  config: 1,
  protocol: 1,
  telemetry: 2,
  process: 3,
  redis: 3,
  auth: 3,
  endpoints: 4,
  firewall: 4,
  cluster: 5,
  admin: 6,
  tools: 6,
  app: 7,
  cli: 8,
  main: 9,
};

// Each package, or scope of packages, and the layers that may import it.
const PACKAGE_LAYERS: Readonly<Record<string, readonly string[]>> = {
  "commander": ["cli"],
  "jose": ["auth"],
  "jsonc-parser": ["config"],
  "toml-eslint-parser": ["config"],
  "valibot": ["endpoints", "admin"],
  "validator": ["endpoints"],
};

/** The entry points of all that is loaded before the server is ready. */
const START_MODULES = ["main.ts", "src/app/program.ts"];
/** Each of these, and each Node module, takes longer to load than the whole server. */
const LATE_PACKAGES: ReadonlySet<string> = new Set([
  "commander",
  "jose",
  "valibot",
  "validator",
]);

/** The imports of `modules` that break a rule, in the order of the modules. */
export function findWrongImports(modules: readonly Module[]): readonly WrongImport[] {
  const wrong: WrongImport[] = [];
  for (const { path, imports } of modules) {
    for (const imported of imports) {
      const rule = "file" in imported ? judgeFile(path, imported.file) : judgeName(path, imported.name);
      const to = "file" in imported ? imported.file : imported.name;
      if (rule !== undefined) wrong.push({ from: path, to, rule });
    }
  }
  return [...wrong, ...findCycles(modules), ...findEarlyImports(modules)];
}

function findEarlyImports(modules: readonly Module[]): readonly WrongImport[] {
  const importsOf = new Map(modules.map(({ path, imports }) => [path, imports]));
  return [
    ...walkEarly(importsOf, START_MODULES, (imported) =>
      "name" in imported &&
        (imported.name.startsWith("node:") || LATE_PACKAGES.has(imported.name.split("/", 1)[0]!))
        ? "a start must not wait for this: import it where it is used"
        : undefined),
    // A start whose flags are read by the command-line library.
    ...walkEarly(
      importsOf,
      [...START_MODULES, "src/cli/run.ts"],
      (imported) =>
        "file" in imported && layerOf(imported.file) === "tools"
          ? "a start has no use for the tools: import them in the command"
          : undefined,
    ),
  ];
}

/** Follows the imports that are not late, and judges each of them. */
function walkEarly(
  importsOf: ReadonlyMap<string, readonly Import[]>,
  starts: readonly string[],
  judge: (imported: Import) => string | undefined,
): readonly WrongImport[] {
  const wrong: WrongImport[] = [];
  const early = new Set(starts);
  // The loop also visits what is added to the set on the way.
  for (const path of early) {
    for (const imported of importsOf.get(path) ?? []) {
      if (imported.isLate) continue;
      const rule = judge(imported);
      const to = "file" in imported ? imported.file : imported.name;
      if (rule !== undefined) wrong.push({ from: path, to, rule });
      else if ("file" in imported) early.add(imported.file);
    }
  }
  return wrong;
}

function judgeFile(from: string, to: string): string | undefined {
  const layer = layerOf(from);
  const height = layer === undefined ? undefined : LAYER_HEIGHTS[layer];
  if (layer === undefined || height === undefined) return "this file is in no layer";
  // The version and the packages are declared in one place, and the command line prints them.
  if (to === "deno.json" || to === "deno.lock") {
    return layer === "cli" ? undefined : `only src/cli reads ${to}`;
  }
  const toLayer = layerOf(to);
  const toHeight = toLayer === undefined ? undefined : LAYER_HEIGHTS[toLayer];
  if (toLayer === undefined || toHeight === undefined) return "what is imported is in no layer";
  if (layer === toLayer || toHeight < height) return undefined;
  return toHeight === height ? `${layer} and ${toLayer} do not import each other` : "imports point down only";
}

function judgeName(from: string, name: string): string | undefined {
  if (name.startsWith("node:")) return undefined;
  if (name.includes(":")) return "packages are imported by their bare names from deno.json";
  const [scope = ""] = name.split("/", 1);
  const owners = PACKAGE_LAYERS[scope];
  if (owners === undefined) {
    return "this package belongs to no layer yet: give it one in scripts/check_layers.ts";
  }
  if (owners.includes(layerOf(from) ?? "")) return undefined;
  return `only ${owners.map((layer) => `src/${layer}`).join(" and ")} imports ${scope}`;
}

// src/auth/token.ts is in auth; main.ts is a layer of its own.
function layerOf(path: string): string | undefined {
  if (path === "main.ts") return "main";
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function findCycles(modules: readonly Module[]): readonly WrongImport[] {
  const importsOf = new Map(modules.map(({ path, imports }) => [path, imports]));
  const finished = new Set<string>();
  const open: string[] = [];
  const wrong: WrongImport[] = [];

  function visit(path: string): void {
    open.push(path);
    for (const imported of importsOf.get(path) ?? []) {
      if (!("file" in imported) || finished.has(imported.file)) continue;
      const start = open.indexOf(imported.file);
      if (start === -1) visit(imported.file);
      else {wrong.push({
          from: path,
          to: imported.file,
          rule: `no cycles: ${describeCycle(open.slice(start))}`,
        });}
    }
    open.pop();
    finished.add(path);
  }

  for (const { path } of modules) if (!finished.has(path)) visit(path);
  return wrong;
}

function describeCycle(paths: readonly string[]): string {
  return [...paths, paths[0]].join(" -> ");
}

interface GraphImport {
  readonly specifier: string;
  readonly code?: { readonly specifier?: string };
  readonly type?: { readonly specifier?: string };
  readonly isDynamic?: boolean;
}

interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly GraphImport[];
  }[];
}

/**
 * The repository's own modules from the output of `deno info --json`; `root` is the URL of the repository's folder.
 * Throws an `Error` if a module could not be loaded, because what it imports is then not known.
 */
export function readGraph(graph: Graph, root: string): readonly Module[] {
  return graph.modules.filter(({ specifier }) => specifier.startsWith(root)).map((module) => {
    if (module.error !== undefined) throw new Error(`Cannot read the module graph: ${module.error}`);
    const imports = (module.dependencies ?? []).map(({ specifier, code, type, isDynamic }) => {
      const resolved = code?.specifier ?? type?.specifier ?? "";
      const late = code === undefined || isDynamic === true ? { isLate: true } : {};
      return resolved.startsWith(root)
        ? { file: resolved.slice(root.length), ...late }
        : { name: specifier, ...late };
    });
    return { path: module.specifier.slice(root.length), imports };
  });
}

async function loadGraph(root: URL): Promise<Graph> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "main.ts"],
    cwd: root,
  }).output();
  if (!success) throw new Error(`Cannot read the module graph: ${new TextDecoder().decode(stderr).trim()}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function main(): Promise<number> {
  const root = new URL("../", import.meta.url);
  const modules = readGraph(await loadGraph(root), root.href);
  const wrong = findWrongImports(modules);
  for (const { from, to, rule } of wrong) console.error(`${from} imports ${to}: ${rule}`);
  if (wrong.length > 0) return 1;
  console.log(`Layers: the imports of ${modules.length} modules point down only`);
  return 0;
}

if (import.meta.main) Deno.exit(await main());
