// The bundle: that it is the program, and that a start loads nothing of Node's.

import assert from "node:assert/strict";
import { bundle, quicken, refuseSlowStart } from "../../scripts/compile/bundle.ts";
import { RawClient } from "../support/raw_client.ts";

const SELF_CONTAINED = ["--no-config", "--no-lock", "--no-npm", "--no-remote"];

/** Starts the program of a bundle in its folder; the folder is all that it may read and write. */
function start(folder: string, ...args: readonly string[]): Deno.ChildProcess {
  const permissions = [
    "--no-prompt",
    "--allow-net",
    `--allow-read=${folder}`,
    `--allow-write=${folder}`,
    "--allow-env=WSWARD_*",
  ];
  return new Deno.Command(Deno.execPath(), {
    args: ["run", ...SELF_CONTAINED, ...permissions, "main.js", ...args],
    cwd: folder,
    env: { NO_COLOR: "1", WSWARD_RUNTIME_DIR: `${folder}/run` },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

for (const hideLate of [true, false]) {
  Deno.test(`serves from a bundle, with sessions and administration (late files ${hideLate ? "hidden" : "foreseen"})`, async () => {
    const folder = await Deno.makeTempDir();
    await bundle({ outDir: folder, hideLate });
    const ports = ["--echo-port=0", "--secure-port=0", "--admin-listen=127.0.0.1:0"];
    const server = start(folder, "serve", ...ports);
    const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("Admin on")) {
      text += (await lines.read()).value ?? assert.fail(`ended with ${text}`);
    }
    const [, secure, url] = /:(\d+)\/ \(secure\)\nAdmin on (\S+)/.exec(text)!;

    const minted = await start(folder, "token", "create", "--user", "alice").output();
    const token = new TextDecoder().decode(minted.stdout).trim();
    using client = await RawClient.connect({ port: Number(secure) }, {
      headers: { "Sec-WebSocket-Protocol": "wsward.v1" },
    });
    await client.sendText(token);
    assert.equal(await client.nextText(), "Authenticated!");
    await client.sendText('{"jsonrpc":"2.0","id":1,"method":"digest","params":{"data":""}}');
    assert.match(await client.nextText(), /"digest":"e3b0c442/);
    client.close();
    const health = await start(folder, "health", "--url", url!).output();
    assert.equal(new TextDecoder().decode(health.stdout), "Alive\n");

    server.kill("SIGTERM");
    await lines.cancel();
    assert.equal((await server.status).code, 0);
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("a file of a bundle asks for modules of Node's one by one, and hides late files on request", () => {
  const text =
    'import{createRequire as a} from "node:module";var m=a(import.meta.url);m("util");import("./b.js");';
  const require = "var m=(id)=>globalThis.process.getBuiltinModule(id);";
  assert.equal(quicken(text, false), `${require}m("util");import("./b.js");`);
  assert.equal(quicken(text, true), `${require}m("util");import(new URL("./b.js",import.meta.url).href);`);
});

Deno.test("a bundle of which every start loads a module of Node's is refused", () => {
  const files = {
    "main.js": 'import"./c.js";import("./late.js")',
    "app-A.js": 'import{a}from"./d.js";',
    "c.js": "",
    "d.js": 'var x="away from",y="node:fs"',
    "late.js": 'import f from"node:fs"',
  };
  refuseSlowStart(new Map(Object.entries(files)));
  for (const name of ["main.js", "app-A.js", "c.js", "d.js"]) {
    const slow = { ...files, [name]: `${files[name as keyof typeof files]};import{b}from"node:util"` };
    assert.throws(
      () => refuseSlowStart(new Map(Object.entries(slow))),
      new RegExp(`${name}.* imports node:util`),
    );
  }
  assert.throws(() => refuseSlowStart(new Map([["main.js", ""]])), /no app-/);
});
