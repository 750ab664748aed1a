// The bill of materials: the packages in the program, with their digests from the lock file.

import { Buffer } from "node:buffer";
import config from "../../../deno.json" with { type: "json" };
import lockText from "../../../deno.lock" with { type: "text" };

/** The packages of deno.json that are part of the program; the others belong to tests and scripts. */
const SHIPPED = [
  "commander",
  "jose",
  "jsonc-parser",
  "toml-eslint-parser",
  "valibot",
  "validator",
] as const;

interface Lock {
  /** Which version each specifier stands for: `npm:jose@6.2.17` for `6.2.17`. */
  readonly specifiers: Readonly<Record<string, string>>;
  /** By name and version: `jose@6.2.17`. */
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  /** As of Subresource Integrity: `sha512-` and base64. */
  readonly integrity: string;
  /** By name if there is only one version, or else by name and version. */
  readonly dependencies?: readonly string[];
}

/** A bill of materials (CycloneDX 1.6). The same program always has the same one. */
export interface Bom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  /** What each component needs; refs are those of the components. */
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** The program, or a package that it is made of. */
export interface Component {
  readonly type: "application" | "library";
  readonly "bom-ref": string;
  /** The scope of an npm package: `@opentelemetry`. */
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
  readonly licenses?: readonly { readonly license: { readonly id: string } }[];
}

/** Makes the bill of materials of this program. */
export function createBom(): Bom {
  const lock: Lock = JSON.parse(lockText);
  const direct = SHIPPED.map((name) => {
    const specifier = config.imports[name];
    return `${name}@${lock.specifiers[specifier]}`;
  });
  const shipped = collect(lock, direct);
  const program = `pkg:generic/wsward@${config.version}`;
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": program,
        name: "wsward",
        version: config.version,
        purl: program,
        licenses: [{ license: { id: config.license } }],
      },
    },
    components: shipped.map((id) => describe(id, lock.npm[id]!)),
    dependencies: [
      { ref: program, dependsOn: direct.map(purlOf) },
      ...shipped.map((id) => ({ ref: purlOf(id), dependsOn: needsOf(lock, id).map(purlOf) })),
    ],
  };
}

/** The packages `direct` and all that they need, sorted. */
function collect(lock: Lock, direct: readonly string[]): readonly string[] {
  const found = new Set(direct);
  // A loop over a set also visits items that are added on the way.
  for (const id of found) for (const needed of needsOf(lock, id)) found.add(needed);
  return [...found].sort();
}

function needsOf(lock: Lock, id: string): readonly string[] {
  return (lock.npm[id]?.dependencies ?? []).map((needed) =>
    needed in lock.npm ? needed : Object.keys(lock.npm).find((other) => splitId(other).name === needed)!
  );
}

function describe(id: string, { integrity }: LockedPackage): Component {
  const { name, version } = splitId(id);
  const [, scope, local = name] = /^(@[^/]+)\/(.+)$/.exec(name) ?? [];
  const content = Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
  return {
    type: "library",
    "bom-ref": purlOf(id),
    ...(scope === undefined ? {} : { group: scope }),
    name: local,
    version,
    purl: purlOf(id),
    hashes: [{ alg: "SHA-512", content }],
  };
}

/** The package's URL: `pkg:npm/%40opentelemetry/api@1.10.0`. */
function purlOf(id: string): string {
  const { name, version } = splitId(id);
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** After an underscore the lock file names the peer packages of this one. */
function splitId(id: string): { readonly name: string; readonly version: string } {
  const at = id.indexOf("@", 1);
  return { name: id.slice(0, at), version: id.slice(at + 1).split("_", 1)[0]! };
}
