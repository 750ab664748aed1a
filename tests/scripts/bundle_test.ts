// The bundle: it is the program, and a start loads no Node module.

import assert from "node:assert/strict";
import { bundle, joinEarly } from "../../scripts/compile/bundle.ts";
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

/** The least that a bundle has, and its functions in every form; `main.js` prints what comes of them. */
const PARTS = {
  "main.js": 'import{a}from"./c.js";console.log(a(1)+await b()+[...d()]);' +
    'async function b(){return a(1)}function*d(){yield a(2)}a.x=import("./program-A.js");import("./late.js");',
  "program-A.js": 'import"./d.js";',
  "c.js": "export{a};function a(n){return a=(m)=>m+n,n*10}",
  "d.js": 'var x="away from",y="node:fs"',
  "late.js": 'import f from"node:fs";f',
};

Deno.test("all that a start loads is in one file, and works as it did", async () => {
  for (const hideLate of [true, false]) {
    const joined = await joinEarly(new Map(Object.entries(PARTS)), hideLate);
    assert.deepEqual([...joined.keys()].sort(), ["late.js", "main.js", "start.js"]);
    const folder = await Deno.makeTempDir();
    for (const [name, text] of joined) await Deno.writeTextFile(`${folder}/${name}`, text);
    const { code, stdout } = await start(folder).output();
    assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "123\n"]);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("late files are hidden on request", async () => {
  const files = new Map(Object.entries(PARTS));
  const hidden = (await joinEarly(files, true)).get("main.js")!;
  assert.match(hidden, /import\(new URL\('\.\/late\.js',import\.meta\.url\)\.href\)/);
  assert.match((await joinEarly(files, false)).get("main.js")!, /import\('\.\/late\.js'\)/);
});

Deno.test("a file of a bundle asks for modules of Node's one by one", async () => {
  const text =
    'import{createRequire as a} from "node:module";var m=a(import.meta.url);m("util");import("./program-A.js");';
  const joined = await joinEarly(new Map([["main.js", text], ["program-A.js", ""]]), true);
  assert.match(
    joined.get("main.js")!,
    /var m=\(id\)=>globalThis\.process\.getBuiltinModule\(id\);m\("util"\);/,
  );
});

Deno.test("a bundle of which every start loads a module of Node's is refused", async () => {
  for (const name of ["main.js", "program-A.js", "c.js", "d.js"] as const) {
    const slow = { ...PARTS, [name]: `import"node:util";${PARTS[name]}` };
    await assert.rejects(
      () => joinEarly(new Map(Object.entries(slow)), true),
      new RegExp(`${name}, which every start loads, imports node:util`),
    );
  }
  await assert.rejects(() => joinEarly(new Map([["main.js", ""]]), true), /no program-/);
});
