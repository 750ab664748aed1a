// The program in front of servers in other languages, and behind a proxy; the guide's servers run as they are.

import assert from "node:assert/strict";
import { RawClient } from "../support/raw_client.ts";
import { Front, makeUserToken, startForeign } from "./harness.ts";

const PYTHON = "/usr/bin/python3";

async function canRun(program: string, args: readonly string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const hasPython = await canRun(PYTHON, ["-c", "import websockets; websockets.serve"]);
const hasNginx = await canRun("nginx", ["-v"]);

// Versions before 13 know the request by another name.
const ECHO_IN_PYTHON = `
import asyncio
import websockets

async def echo(ws):
    headers = ws.request.headers if hasattr(ws, "request") else ws.request_headers
    async for message in ws:
        await ws.send(headers["X-Forwarded-User"] + ": " + message)

async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(list(server.sockets)[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
`;

/** Says hello with a token, and closes. */
async function greet(port: number, expected: string): Promise<void> {
  using client = await RawClient.connect({ port }, {
    headers: { Authorization: `Bearer ${makeUserToken()}` },
  });
  await client.sendText("hello");
  assert.equal(await client.nextText(), expected);
  const large = "é".repeat(200_000);
  await client.sendText(large);
  let size = 0;
  for (let fin = false; !fin;) {
    const frame = await client.nextFrame();
    size += frame.payload.length;
    fin = frame.fin;
  }
  assert.equal(size, expected.length - "hello".length + 400_000);
  await client.sendClose(1000);
  assert.equal((await client.nextClose()).code, 1000);
  await client.eof();
}

Deno.test({
  name: `in front of Python websockets${hasPython ? "" : ", which is not there"}`,
  ignore: !hasPython,
  async fn() {
    const server = new Deno.Command(PYTHON, { args: ["-c", ECHO_IN_PYTHON], stdout: "piped" }).spawn();
    const reader = server.stdout.getReader();
    try {
      const { value } = await reader.read();
      const port = Number(new TextDecoder().decode(value));
      await using front = new Front([`ws://127.0.0.1:${port}`]);
      await greet(await front.port(), "alice: hello");
    } finally {
      server.kill("SIGKILL");
      await server.status;
      await reader.cancel();
    }
  },
});

Deno.test("in front of a bare Deno.serve", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  });
  {
    await using front = new Front([`ws://127.0.0.1:${server.addr.port}`]);
    await greet(await front.port(), "hello");
  }
  await server.shutdown();
});

Deno.test({
  name: `nginx, wsward, npm ws: the server sees the client's address${hasNginx ? "" : "; there is no nginx"}`,
  ignore: !hasNginx,
  async fn() {
    await using foreign = await startForeign();
    await using front = new Front([foreign.url], [
      "--trust-proxy",
      "127.0.0.1",
      "--allow-host",
      "ws.example.com",
    ]);
    const folder = Deno.makeTempDirSync();
    const socket = `${folder}/nginx.sock`;
    Deno.writeTextFileSync(
      `${folder}/nginx.conf`,
      `daemon off; pid ${folder}/pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server {
    listen unix:${socket};
    location / {
      proxy_pass http://127.0.0.1:${await front.port()};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header Host ws.example.com;
      proxy_set_header X-Forwarded-For 203.0.113.9;
    }
  }
}`,
    );
    const nginx = new Deno.Command("nginx", { args: ["-c", `${folder}/nginx.conf`], stderr: "null" }).spawn();
    try {
      let client: RawClient | undefined;
      for (let tries = 0; client === undefined && tries < 200; tries++) {
        client = await RawClient.connect({ path: socket }, {
          headers: { Authorization: `Bearer ${makeUserToken()}` },
        }).catch(() => undefined);
        if (client === undefined) await new Promise((resolve) => setTimeout(resolve, 25));
      }
      await client!.sendText("hello");
      assert.equal(await client!.nextText(), "hello");
      const { headers } = foreign.requests[0]!;
      assert.equal(headers["x-forwarded-for"], "203.0.113.9");
      assert.equal(headers["x-forwarded-host"], "ws.example.com");
      client!.close();
    } finally {
      nginx.kill("SIGTERM");
      await nginx.status;
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("over TLS to the server: its name and authority are checked, and there is no way around", async () => {
  const fixtures = new URL("../fixtures/tls/", import.meta.url).pathname;
  const pem = (name: string) => Deno.readTextFileSync(`${fixtures}${name}`);
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: pem("server.pem"),
    key: pem("server.key.pem"),
    onListen: () => {},
  }, (request) => {
    const host = request.headers.get("host");
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(`${host} ${data}`);
    return response;
  });
  const url = `wss://localhost:${server.addr.port}`;
  {
    await using unknown = new Front([url]);
    assert.equal((await unknown.ask()).status, 502);
    const permissions = [`--allow-read=${fixtures}`];
    const ca = ["--upstream-ca", `${fixtures}server.pem`];
    await using wrong = new Front([url], [...ca, "--upstream-server-name", "other.example"], { permissions });
    assert.equal((await wrong.ask()).status, 502);
    await using right = new Front([url], ca, { permissions });
    using client = await right.connect();
    await client.sendText("hello");
    assert.equal(
      await client.nextText(),
      `localhost:${server.addr.port} hello`,
      "the Host is that of the URL",
    );
    client.close();
  }
  await server.shutdown();
});

Deno.test("the servers of the guide run as they are written there", async () => {
  const root = new URL("../../", import.meta.url).pathname;
  const readme = Deno.readTextFileSync(`${root}src/guide.md`);
  const section = readme.split("## Your own server behind it")[1]!.split("\n## ")[0]!;
  const folder = Deno.makeTempDirSync({ dir: `${root}tests/upstream`, prefix: ".readme-" });
  try {
    for (
      const [language, program, ...args] of [["js", Deno.execPath()], ["ts", Deno.execPath()], [
        "python",
        PYTHON,
      ]]
    ) {
      if (language === "python" && !hasPython) continue;
      const code = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(section)![1]!;
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr;
      listener.close();
      const file = `${folder}/server.${language}`;
      Deno.writeTextFileSync(file, code.replaceAll("3000", String(port)));
      const run = language === "python" ? [file] : ["run", "--no-lock", "--allow-all", file];
      const server = new Deno.Command(program!, { args: [...args, ...run], stdout: "null", stderr: "null" })
        .spawn();
      try {
        await using front = new Front([`ws://127.0.0.1:${port}`]);
        let client: RawClient | undefined;
        for (let tries = 0; client === undefined && tries < 40; tries++) {
          client = await front.connect().catch(() => undefined);
          if (client === undefined) await new Promise((resolve) => setTimeout(resolve, 100));
        }
        await client!.sendText("hello");
        assert.equal(await client!.nextText(), language === "js" ? "alice: hello" : "hello");
        client!.close();
      } finally {
        server.kill("SIGKILL");
        await server.status;
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
