// What the guide says about an upstream server: the headers that it may trust, and the service and container before it.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { encodeUpstreamRequest } from "../../src/firewall/upstream/request.ts";
import { readShipped } from "../support/deploy.ts";
import { Program, run } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { startForeign } from "./harness.ts";

const SECTION = Deno.readTextFileSync(new URL("../../src/guide.md", import.meta.url))
  .split("## Your own server behind it")[1]!.split("\n## ")[0]!;

Deno.test("the guide names each header that a server is sent, and no other", () => {
  const [, table] = /\n\| header .*\n\| --.*\n([^]*?)\n\n/.exec(SECTION)!;
  const passed = ["Host", "Origin", "Cookie", "User-Agent", "Accept-Language"];
  const all = [...passed, "traceparent", "tracestate", "Sec-WebSocket-Key"].map((
    name,
  ) => [name.toLowerCase(), "x"]);
  const request = encodeUpstreamRequest({
    head: { method: "GET", path: "/", query: "", headers: new Map(all as [string, string][]) },
    pass: { query: "", cookie: "x", subprotocols: ["x"], fallback: undefined, ticket: undefined },
    ticket: { headers: [["X-Forwarded-User", "x"]], opened: () => {}, closed: () => {} },
    server: { kind: "tcp", name: "", hostname: "127.0.0.1", port: 1 },
    host: undefined,
    connection: "x",
    address: "192.0.2.1",
    isSecure: false,
  });
  const sent = Array.from(new TextDecoder().decode(request).matchAll(/^([\w-]+): /gm), ([, name]) => name!)
    .filter((name) => !/^(Upgrade|Connection|Sec-WebSocket-.*|trace.*)$/.test(name));
  const named = [...table!.matchAll(/\b(X-[\w-]+)/g)].map(([, name]) => name!).filter((name) =>
    name !== "X-Role"
  );
  assert.deepEqual(sent.toSorted(), [...new Set([...named, ...passed])].toSorted());
  for (const name of [...passed, "trace state"]) assert.ok(table!.includes(name), name);
});

/** The variables that a service of the unit, or a container, has. */
const SURROUNDINGS: Readonly<Record<string, () => string[]>> = {
  "the unit for systemd": () =>
    Array.from(
      readShipped("wsward.service").matchAll(/^Environment=(WSWARD_.*)$/gm),
      ([, assignment]) => assignment!,
    ),
  "the container": () => readShipped("Containerfile").match(/\bWSWARD_\w+=\S+/g)!,
};

for (const [name, assignments] of Object.entries(SURROUNDINGS)) {
  Deno.test(`${name} in front of a server, by the variable of the guide`, async () => {
    await using foreign = await startForeign();
    const folder = Deno.makeTempDirSync();
    const env: Record<string, string> = {};
    for (const assignment of assignments()) {
      const [variable, ...value] = assignment.split("=");
      // Folders of this machine, and free ports.
      const place = value.join("=").replace(/^(%\w|\/var\/lib)(\/wsward(?=\/|$))?/, folder);
      env[variable!] = place.replace(/:\d+$/, ":0");
    }
    const urls = SECTION.match(/WSWARD_UPSTREAM=ws:\/\/[\w.]+:3000/g)!;
    assert.equal(urls.length, 2);
    const [variable] = urls[0]!.split("=");
    env[variable!] = foreign.url;
    env.WSWARD_SECURE_PORT = "0";
    env.WSWARD_KEY_FILE ??= `${folder}/wsward.key`;
    if (!existsSync(env.WSWARD_KEY_FILE)) {
      await run(["key", "create", "--out", env.WSWARD_KEY_FILE], { folder });
    }
    const { stdout: token } = await run(["token", "create", "--user", "alice"], { folder, env });
    await using program = new Program(["serve"], { folder, env });
    using client = await RawClient.connect({ port: await program.port("upstream") }, {
      headers: { Authorization: `Bearer ${token.trim()}` },
    });
    await client.sendText("hello");
    assert.equal(await client.nextText(), "hello");
    assert.doesNotMatch(program.stdout.text, /\(echo\)|\(secure\)/);
    client.close();
    program.signal("SIGTERM");
    assert.equal((await program.result()).code, 0, program.stderr.text);
    await Deno.remove(folder, { recursive: true });
  });
}
