// Tests of serving an endpoint: the native upgrade, contained failures, the end of connections and of the endpoint.
import assert from "node:assert/strict";
import { StartError } from "../../src/core/errors.ts";
import type { CloseReason } from "../../src/protocol/close_code.ts";
import { createEchoHandler } from "../../src/endpoints/echo.ts";
import { type Peer, type SocketHandler, startEndpoint } from "../../src/endpoints/endpoint.ts";
import { concat, frame, OPCODE, RawClient, requestHead } from "../support/raw_client.ts";
import { withEndpoint, within } from "./harness.ts";

const createEcho = createEchoHandler({ prefix: "" });

Deno.test("takes connection id and address from the firewall's headers, never from the client's", async () => {
  const createHandler = (peer: Peer): SocketHandler => ({
    message: () => peer.send(`${peer.connection} ${peer.address}`),
  });
  await withEndpoint({ createHandler }, async ({ port }) => {
    const headers = { "X-Connection-Id": "c42", "X-Forwarded-For": "2001:db8::1" };
    const seen = new Set<string>();
    for (const options of [{ headers }, {}]) {
      using client = await RawClient.connect({ port }, options);
      await client.sendText("who am I");
      const [connection = "", address] = (await client.nextText()).split(" ");
      assert.equal(address, "127.0.0.1");
      assert.match(connection, /^[a-z0-9]+-[a-z0-9]+$/);
      seen.add(connection);
    }
    assert.equal(seen.size, 2);
  });
});

Deno.test("counts the connections that are open", async () => {
  const closed = Promise.withResolvers<void>();
  const createHandler = (peer: Peer): SocketHandler => ({
    message: (data) => peer.send(data),
    close: () => closed.resolve(),
  });
  await withEndpoint({ createHandler }, async ({ endpoint, port }) => {
    assert.equal(endpoint.connections, 0);
    using one = await RawClient.connect({ port });
    await one.sendText("a");
    await one.nextText();
    assert.equal(endpoint.connections, 1);
    using two = await RawClient.connect({ port });
    await two.sendText("b");
    await two.nextText();
    assert.equal(endpoint.connections, 2);
    one.close();
    await within("the end of a connection", closed.promise);
    assert.equal(endpoint.connections, 1);
  });
});

Deno.test("tells the handler open, messages in order and close, once each", async () => {
  const told: string[] = [];
  const closed = Promise.withResolvers<void>();
  const createHandler = (): SocketHandler => ({
    open: () => void told.push("open"),
    message: (data) => void told.push(typeof data === "string" ? data : `${data.byteLength} bytes`),
    close(code, reason) {
      told.push(`close ${code} ${reason}`);
      closed.resolve();
    },
  });
  await withEndpoint({ createHandler }, async ({ port }) => {
    using client = await RawClient.connect({ port });
    await client.sendText("one");
    await client.sendBinary(new Uint8Array(2));
    await client.sendClose(4321, "enough");
    assert.equal((await client.nextClose()).code, 4321);
    await within("the close event", closed.promise);
    await client.eof();
  });
  assert.deepEqual(told, ["open", "one", "2 bytes", "close 4321 enough"]);
});

Deno.test("reports a connection that ends without a Close frame once, as 1006", async () => {
  const codes: number[] = [];
  const closed = Promise.withResolvers<void>();
  const createHandler = (peer: Peer): SocketHandler => ({
    message: (data) => peer.send(data),
    close(code) {
      codes.push(code);
      closed.resolve();
    },
  });
  await withEndpoint({ createHandler }, async ({ endpoint, port }) => {
    const lost = await RawClient.connect({ port });
    await lost.sendText("x");
    await lost.nextText();
    lost.close();
    await within("the close event", closed.promise);
    using next = await RawClient.connect({ port });
    await next.sendText("alive");
    assert.equal(await next.nextText(), "alive");
    assert.equal(endpoint.connections, 1);
  });
  // The second one is the connection that the end of the endpoint closed.
  assert.deepEqual(codes.slice(0, 1), [1006]);
  assert.ok(codes.length <= 2);
});

Deno.test("refuses what does not come through the firewall and goes on", async () => {
  await withEndpoint({ createHandler: createEcho }, async ({ port, path }) => {
    using stray = await RawClient.open({ path });
    assert.equal((await stray.handshake()).status, 400);
    using client = await RawClient.connect({ port });
    await client.sendText("hello");
    assert.equal(await client.nextText(), "hello");
  });
});

const FAILURES: Readonly<Record<string, (peer: Peer) => SocketHandler>> = {
  "when it is made": () => {
    throw new RangeError("The handler broke");
  },
  "in open": () => ({
    open() {
      throw new RangeError("The handler broke");
    },
    message() {},
  }),
  "in the promise of open": () => ({
    open: () => Promise.reject(new RangeError("The handler broke")),
    message() {},
  }),
  "in message": () => ({
    message() {
      throw new RangeError("The handler broke");
    },
  }),
  "in the promise of message": () => ({
    message: () => Promise.reject(new RangeError("The handler broke")),
  }),
};

for (const [where, createHandler] of Object.entries(FAILURES)) {
  Deno.test(`a handler that fails ${where} costs its own connection only`, async () => {
    let isFirst = true;
    const createEither = (peer: Peer): SocketHandler => {
      const create = isFirst ? createEcho : createHandler;
      isFirst = false;
      return create(peer);
    };
    await withEndpoint({ createHandler: createEither }, async ({ port, memory }) => {
      using other = await RawClient.connect({ port });
      using client = await RawClient.connect({ port });
      await client.sendText("secret");
      assert.equal(await client.nextText(), "Internal Error");
      assert.deepEqual(await client.nextClose(), { code: 1011, reason: "internal error" });
      const [record] = memory.records;
      const { stack, ...fields } = record!.fields;
      assert.match(String(stack), /endpoint_test\.ts:\d/);
      assert.deepEqual([memory.records.length, record!.event, fields], [1, "handler.error", {
        connection: "c1",
        peer: "127.0.0.1",
        endpoint: "echo",
        error: "RangeError",
        detail: "The handler broke",
      }]);
      await other.sendText("undisturbed");
      assert.equal(await other.nextText(), "undisturbed");
    });
  });
}

Deno.test("no message comes before the handler has opened", async () => {
  const opening = Promise.withResolvers<void>();
  const told: string[] = [];
  const createHandler = (peer: Peer): SocketHandler => ({
    async open() {
      await opening.promise;
      told.push("open");
    },
    message(data) {
      told.push(`${data}`);
      peer.send(data);
    },
  });
  await withEndpoint({ createHandler }, async ({ port }) => {
    using client = await RawClient.connect({ port });
    await client.sendText("early");
    // It has been there for as long as it takes to serve another one from its beginning to its end.
    using other = await RawClient.connect({ port });
    other.close();
    assert.deepEqual(told, []);
    opening.resolve();
    assert.equal(await client.nextText(), "early");
    assert.equal(told[0], "open");
  });
});

Deno.test("stop does not wait for a handshake that is never decided", async () => {
  const asked = Promise.withResolvers<void>();
  const decision = Promise.withResolvers<Response>();
  const admit = () => {
    asked.resolve();
    return decision.promise;
  };
  await withEndpoint({ createHandler: createEcho, admit }, async ({ endpoint, path }) => {
    using stray = await RawClient.open({ path });
    await stray.send(requestHead());
    await within("the handshake to be asked about", asked.promise);
    await within("the end of the endpoint", endpoint.stop());
    decision.resolve(new Response("late", { status: 503 }));
    await stray.eof();
  });
});

Deno.test("a handler that fails in close leaves a record and nothing else", async () => {
  const createHandler = (): SocketHandler => ({
    message() {},
    close() {
      throw "a string";
    },
  });
  await withEndpoint({ createHandler }, async ({ endpoint, port, memory }) => {
    using client = await RawClient.connect({ port });
    await client.sendClose(1000);
    await client.eof();
    assert.equal((await memory.first("handler.error")).error, "string");
    assert.equal(endpoint.connections, 0);
  });
});

Deno.test("drops messages that arrive after it closed", async () => {
  let calls = 0;
  const closed = Promise.withResolvers<CloseReason>();
  const createHandler = (peer: Peer): SocketHandler => ({
    message() {
      calls++;
      peer.close(4000, "enough");
      peer.close(4001, "not twice");
      peer.send("too late");
    },
    close: (code, reason) => closed.resolve({ code, reason }),
  });
  await withEndpoint({ createHandler }, async ({ port }) => {
    using client = await RawClient.connect({ port });
    // Data that is there already when the endpoint closes must not cost the Close frame.
    await client.send(
      concat(...["one", "two", "three"].map((payload) => frame({ opcode: OPCODE.text, payload }))),
    );
    assert.deepEqual(await client.nextClose(), { code: 4000, reason: "enough" });
    await client.sendText("four");
    await client.eof();
    assert.equal(calls, 1);
    assert.deepEqual(await within("the close event", closed.promise), { code: 4000, reason: "enough" });
  });
});

Deno.test("sending to a peer that is gone does nothing", async () => {
  const gate = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const called = Promise.withResolvers<void>();
  const finished = Promise.withResolvers<void>();
  const createHandler = (peer: Peer): SocketHandler => ({
    async message() {
      called.resolve();
      await gate.promise;
      peer.send("anyone there?");
      peer.close(1000, "");
      finished.resolve();
    },
    close: () => closed.resolve(),
  });
  await withEndpoint({ createHandler }, async ({ port, firewall, memory }) => {
    using client = await RawClient.connect({ port });
    await client.sendText("one");
    await within("the message", called.promise);
    // Its end is not looked for while a message is under way, so something else has to end it.
    void firewall.drain({ code: 1001, reason: "stop" }, 0);
    await within("the close event", closed.promise);
    gate.resolve();
    await within("the end of the handler", finished.promise);
    assert.deepEqual(memory.records, []);
  });
});

Deno.test("stop sends 1001, ends with a peer that answers nothing, and can be repeated", async () => {
  await withEndpoint({ createHandler: createEcho }, async ({ endpoint, port, path, memory }) => {
    using client = await RawClient.connect({ port });
    await client.sendText("hello");
    await client.nextText();
    await within("the end of the endpoint", Promise.all([endpoint.stop(), endpoint.stop()]));
    assert.equal((await client.nextClose()).code, 1001);
    await assert.rejects(RawClient.open({ path }));
    assert.deepEqual(memory.records, []);
  });
});

Deno.test("a path that can't be listened on is a start error that names it", () => {
  const socketPath = `${import.meta.dirname}/no-such-folder/endpoint.sock`;
  assert.throws(
    () =>
      startEndpoint({
        name: "echo",
        socketPath,
        createHandler: createEcho,
        linkOf: () => undefined,
        log: () => {},
      }),
    (error) => error instanceof StartError && error.message.startsWith(`Cannot listen on "${socketPath}": `),
  );
});

Deno.test({
  name: "serves again on the same path after its listener died of missing file descriptors",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/endpoint.sock`;
    const script = new URL("starved_endpoint.ts", import.meta.url).pathname;
    const command = new Deno.Command("sh", {
      args: [
        "-c",
        'ulimit -n 64; exec "$@"',
        "sh",
        Deno.execPath(),
        "run",
        "--no-prompt",
        "-A",
        script,
        path,
      ],
      stdin: "piped",
      stdout: "piped",
    });
    await using child = command.spawn();
    const lines = readLines(child.stdout);
    const stdin = child.stdin.getWriter();
    const tell = (line: string) => stdin.write(new TextEncoder().encode(`${line}\n`));
    try {
      assert.equal(await within("the endpoint", lines.next()), "ready");
      await tell("starve");
      assert.equal(await within("exhaustion", lines.next()), "starved");
      // This one is what the accept fails on; whether it sees more than a reset is a matter of luck.
      const lost = RawClient.open({ path }).catch(() => undefined);
      assert.equal(await within("the end of the listener", lines.next()), "ended");
      await tell("feed");
      assert.equal(await within("the restart", lines.next()), "endpoint.restarted echo");
      (await lost)?.close();
      // It answers, if only that no firewall sent this.
      using client = await RawClient.open({ path });
      assert.equal((await client.handshake()).status, 400);
    } finally {
      child.kill("SIGKILL");
      await stdin.close().catch(() => {});
      await lines.cancel();
      await child.status;
      await Deno.remove(folder, { recursive: true });
    }
  },
});

interface Lines {
  next(): Promise<string | undefined>;
  cancel(): Promise<void>;
}

function readLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Lines {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    async next() {
      while (!text.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) return undefined;
        text += value;
      }
      const end = text.indexOf("\n");
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      return line;
    },
    cancel: () => reader.cancel(),
  };
}
