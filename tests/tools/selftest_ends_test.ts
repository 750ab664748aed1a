// The cases of the self-test end in time, whatever the server does.

import assert from "node:assert/strict";
import { CASES } from "../../src/tools/selftest/cases.ts";
import { makeForge, optionsFor, runCase } from "../support/selftest_case.ts";
import { TcpServer } from "../support/tool_process.ts";

const CASE_DEADLINE_MS = 20_000;

const OBSTACLES: Readonly<Record<string, () => Promise<{ readonly port: number }>>> = {
  "stalls": () =>
    Promise.resolve(new TcpServer(async () => await new Promise(() => {}), { isAbandoned: true })),
  "closes": () => Promise.resolve(new TcpServer(() => Promise.resolve())),
  "closes after a request": () =>
    Promise.resolve(
      new TcpServer(async (conn) => {
        await conn.read(new Uint8Array(100_000));
      }),
    ),
  "floods": () =>
    Promise.resolve(
      new TcpServer(async (conn) => {
        const many = new Uint8Array(64 * 1024).fill(0x81);
        await conn.write(new TextEncoder().encode("HTTP/1.1 101 x\r\n"));
        for (;;) await conn.write(many);
      }),
    ),
  "refuses": () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    return Promise.resolve({ port });
  },
};

for (const [name, start] of Object.entries(OBSTACLES)) {
  Deno.test({
    name: `each case ends in time against a server that ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const server = await start();
      const forge = await makeForge("HS256");
      const token = await forge.valid(300_000);
      const late: string[] = [];
      for (const scheme of ["ws", "wss"]) {
        const cases = CASES.filter(({ group }) => (group === "tls") === (scheme === "wss"));
        const options = optionsFor(`${scheme}://127.0.0.1:${server.port}/`, { forge, timeoutMs: 50 });
        await Promise.all(cases.map(async (one) => {
          let timer: ReturnType<typeof setTimeout> | undefined;
          const deadline = new Promise<"late">((resolve) =>
            timer = setTimeout(() => resolve("late"), CASE_DEADLINE_MS)
          );
          const run = runCase(one, one.group === "token" ? { ...options, token } : options);
          if (await Promise.race([run, deadline]) === "late") late.push(one.id);
          clearTimeout(timer);
        }));
      }
      assert.deepEqual(late, []);
    },
  });
}
