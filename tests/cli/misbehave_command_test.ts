// The command `misbehave`, and `connect` against it.

import assert from "node:assert/strict";
import { Program } from "../support/process.ts";
import { runTool, TOOL_PERMISSIONS } from "../support/tool_process.ts";

const PERMISSIONS = ["--no-prompt", "--allow-net=127.0.0.1,[::1],localhost"];

/** Where a client waits for what does not come. */
const SILENT: readonly string[] = ["never", "close/never-answer", "stall", "never-read"];

Deno.test("serves its catalogue and its paths until SIGTERM", async () => {
  await using server = new Program(["misbehave", "--port", "0"], { onlyPermissions: PERMISSIONS });
  const [, url] = await server.stdout.until(/^Misbehaving on (http:\/\/127\.0\.0\.1:\d+\/) /);
  const page = await fetch(url!);
  assert.match(await page.text(), /<h1>A WebSocket server that misbehaves/);
  const target = url!.replace("http", "ws");
  const cases = [
    ["close/4001?reason=x", 1, /by the server: 4001 private use: x/],
    ["close/1000", 0, /by the server: 1000/],
    ["drop", 5, /Closed lost: 1006/],
    ["reset", 5, /ended the connection with a RST/],
    ["bad/masked", 1, /1002 .*masked/],
    ["bad/huge-claim", 1, /1009/],
    ["status/503", 4, /Refused: 503/],
    ["handshake/wrong-accept", 3, /does not answer the key/],
    ["handshake/huge-header", 3, /does not speak HTTP/],
    ["never", 3, /no answer to the handshake/],
    ["close/never-answer", 5, /did not answer the Close/],
    ["stall", 5, /did not answer the Close/],
    ["never-read", 5, /did not answer the Close/],
  ] as const;
  for (const [path, expected, said] of cases) {
    // Only what never comes is waited for shortly.
    const wait = SILENT.includes(path) ? "300ms" : "20s";
    const args = ["connect", target + path, "--timeout", wait, "-x", "a", "-w", wait];
    const { code, stderr } = await runTool(args, { permissions: TOOL_PERMISSIONS });
    assert.match(stderr, said, path);
    assert.equal(code, expected, path);
  }
  // A flood of Pings, a size and fragments are what a good client gets through.
  for (const path of ["pings/1000/s", "fragments/1000", "chop/3", "pong/unasked"]) {
    const { code } = await runTool(["connect", target + path, "-x", "a", "-1"]);
    assert.equal(code, 0, path);
  }
  server.signal("SIGTERM");
  assert.equal((await server.result()).code, 0);
});

Deno.test("lists all paths and what clients make of them", async () => {
  const { code, stdout } = await runTool(["misbehave", "--list"]);
  assert.equal(code, 0);
  assert.match(stdout, /^PATH +WHAT IT DOES +WS +WEBSOCKETS +CHROMIUM\n/);
  assert.match(stdout, /\n\/close\/CODE +sends a Close with any code.*close 4001/);
  const json = JSON.parse((await runTool(["misbehave", "--list", "--json"])).stdout);
  assert.equal(
    json.find(({ path }: { path: string }) => path === "/bad/rsv1").seen.ws.startsWith("open; error"),
    true,
  );
});

Deno.test("says what is wrong with a command line, and what would be right", async () => {
  const cases = [
    [["--host", "0.0.0.0"], 2, /--host "0\.0\.0\.0": it must be a loopback address/],
    [["--port", "x"], 2, /--port "x": it must be from 0 to 65535/],
    [["--max-sent", "0B"], 2, /--max-sent "0B"/],
  ] as const;
  for (const [args, expected, said] of cases) {
    const { code, stderr } = await runTool(["misbehave", ...args]);
    assert.match(stderr, said);
    assert.equal(code, expected);
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { code, stderr } = await runTool(["misbehave", "--port", String(listener.addr.port)]);
  listener.close();
  assert.equal(code, 1);
  assert.match(stderr, /Cannot listen on 127\.0\.0\.1:\d+/);
});
