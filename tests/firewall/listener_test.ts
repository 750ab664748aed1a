// A listener in front of silent or broken endpoints, and with planted faults: it contains them, and ends.

import assert from "node:assert/strict";
import type { Settings } from "../../src/core/settings/declarations.ts";
import { parseSettings } from "../../src/core/settings/settings.ts";
import { Admission } from "../../src/firewall/admission.ts";
import type { RequestRule } from "../../src/firewall/admission/request_rules.ts";
import { FirewallListener } from "../../src/firewall/listener.ts";
import { MemoryBudget } from "../../src/firewall/memory_budget.ts";
import type { LoggedEvent } from "../support/firewall_harness.ts";
import { RawClient } from "../support/raw_client.ts";

const STOPPING = { code: 1001, reason: "the test is over" };
const WELCOME = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/** What is in front of what, and what of it is broken. */
interface Parts {
  /** What the endpoint answers to a head; nothing for ever if left out. */
  readonly answer?: string;
  readonly requestRules?: readonly RequestRule[];
  readonly budget?: MemoryBudget;
  readonly limits?: Partial<
    Pick<Settings, "handshakeTimeout" | "authTimeout" | "denyIp" | "maxConnections" | "handshakeRate">
  >;
  readonly wrapAdmission?: (admission: Admission) => void;
  /** Wraps the listener. */
  readonly wrap?: (listener: Deno.TcpListener) => Deno.TcpListener;
}

interface Running {
  readonly port: number;
  readonly firewall: FirewallListener;
  readonly events: readonly LoggedEvent[];
  /** Resolves when the endpoint has got a head. */
  readonly asked: Promise<void>;
  /** How many places the admission counts as taken. */
  taken(): number;
}

async function withListener(parts: Parts, test: (running: Running) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  const socketPath = `${folder}/inner.sock`;
  const asked = Promise.withResolvers<void>();
  const inner = Deno.listen({ transport: "unix", path: socketPath });
  const hops: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const hop of inner) {
      hops.push(hop);
      await hop.read(new Uint8Array(4096));
      asked.resolve();
      if (parts.answer !== undefined) await hop.write(new TextEncoder().encode(parts.answer));
    }
  })();
  const events: LoggedEvent[] = [];
  const settings = { ...parseSettings(new Map(), () => undefined), ...parts.limits };
  let taken = 0;
  const admission = new Admission(settings, (event, fields = {}) => void events.push({ event, fields }));
  parts.wrapAdmission?.(admission);
  const { enter, leave } = admission;
  admission.enter = (visitor) => {
    const refusal = enter.call(admission, visitor);
    taken++;
    return refusal;
  };
  admission.leave = (visitor) => (taken--, leave.call(admission, visitor));
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const firewall = new FirewallListener({
    endpoint: "echo",
    listener: parts.wrap?.(listener) ?? listener,
    inside: socketPath,
    requestRules: parts.requestRules ?? [],
    limits: settings,
    admission,
    budget: parts.budget ?? new MemoryBudget(Infinity),
    log: (event, fields = {}) => void events.push({ event, fields }),
  });
  try {
    await test({ port: listener.addr.port, firewall, events, asked: asked.promise, taken: () => taken });
  } finally {
    await within("the drain", firewall.drain(STOPPING, 0));
    assert.equal(taken, 0, "places that were not given back");
    admission.stop();
    inner.close();
    await serving;
    for (const hop of hops) hop.close();
    await Deno.remove(folder, { recursive: true });
  }
}

async function within<Value>(what: string, wait: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) =>
    timer = setTimeout(() => reject(new Error(`Timed out waiting for ${what}`)), 20_000)
  );
  try {
    return await Promise.race([wait, late]);
  } finally {
    clearTimeout(timer);
  }
}

function namesOf(events: readonly LoggedEvent[]): readonly string[] {
  return events.map(({ event }) => event);
}

Deno.test("a drain ends although an endpoint does not answer a handshake", async () => {
  await withListener({}, async ({ port, firewall, asked }) => {
    using client = await RawClient.open({ port });
    const handshake = assert.rejects(client.handshake(), /ended/);
    await within("the endpoint to be asked", asked);
    await within("the drain", firewall.drain(STOPPING, 50));
    await handshake;
  });
});

Deno.test("a drain ends although a peer sends no head, and one that comes meanwhile is told", async () => {
  await withListener({ answer: WELCOME }, async ({ port, firewall }) => {
    using silent = await RawClient.open({ port });
    using late = await RawClient.open({ port });
    using known = await RawClient.connect({ port });
    // Both were accepted before the one that is connected by now.
    const drained = firewall.drain(STOPPING, 300);
    assert.equal((await late.handshake()).status, 503);
    await within("the drain", drained);
    await silent.eof();
    await known.eof();
  });
});

Deno.test("an endpoint that never answers is 503 when its time is over", async () => {
  await withListener({ limits: { handshakeTimeout: 50, authTimeout: 50 } }, async ({ port }) => {
    using client = await RawClient.open({ port });
    assert.equal((await client.handshake()).status, 503);
  });
});

Deno.test("an endpoint that ends, or answers nonsense, is 503", async () => {
  for (const answer of ["nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 101 X\r\na b: c\r\n\r\n"]) {
    await withListener({ answer }, async ({ port, events }) => {
      using client = await RawClient.open({ port });
      assert.equal((await client.handshake()).status, 503, answer);
      assert.ok(!namesOf(events).includes("connection.fault"));
    });
  }
});

Deno.test("a 101 may be as long as a request, because a token may come back in it", async () => {
  const lengthOf = (size: number) => "a".repeat(size - WELCOME.length - "X-A: \r\n".length);
  for (const [size, status] of [[16_384, 101], [16_385, 503]] as const) {
    const answer = WELCOME.replace("\r\n\r\n", `\r\nX-A: ${lengthOf(size)}\r\n\r\n`);
    await withListener({ answer }, async ({ port }) => {
      using client = await RawClient.open({ port });
      assert.equal((await client.handshake()).status, status, `${answer.length} bytes`);
    });
  }
});

Deno.test("a fault before the 101 is 500, one record with its stack, and nobody else's trouble", async () => {
  let isBroken = true;
  const broken: RequestRule = () => {
    if (isBroken) throw new TypeError('Cannot read "secret"');
    return undefined;
  };
  await withListener({ answer: WELCOME, requestRules: [broken] }, async ({ port, events }) => {
    using client = await RawClient.open({ port });
    assert.equal((await client.handshake()).status, 500);
    await client.eof();
    isBroken = false;
    using other = await RawClient.connect({ port });
    assert.equal(other.response?.status, 101);
    const faults = events.filter(({ event }) => event === "connection.fault");
    assert.equal(faults.length, 1);
    const { error, stack, peer } = faults[0]!.fields;
    assert.deepEqual([error, peer], ['TypeError: Cannot read "…"', "127.0.0.1"]);
    assert.match(
      String(stack),
      /^(Array\.)?broken listener_test\.ts:\d+:\d+ < firstRefusal request_rules\.ts:/,
    );
    assert.ok(!namesOf(events).includes("handshake.failed"));
  });
});

Deno.test("a fault of a connection is 1011, one record, and the connection is left", async () => {
  class BrokenBudget extends MemoryBudget {
    override add(): void {
      throw new TypeError("broken");
    }
  }
  const budget = new BrokenBudget(Infinity);
  await withListener({ answer: WELCOME, budget }, async ({ port, events, firewall }) => {
    using client = await RawClient.connect({ port });
    assert.deepEqual(await client.nextClose(), { code: 1011, reason: "internal error" });
    client.close();
    await within("the drain", firewall.drain(STOPPING, 60_000));
    assert.equal(firewall.connections, 0);
    assert.equal(namesOf(events).filter((name) => name === "connection.fault").length, 1);
    assert.ok(!namesOf(events).includes("handshake.failed"));
  });
});

Deno.test("whatever makes an accept fail is recorded once, and it goes on", async () => {
  const failures = [new TypeError("broken"), new Error("Too many open files (os error 24)")];
  const wrap = (listener: Deno.TcpListener) =>
    new Proxy(listener, {
      get(target, key) {
        if (key === "accept" && failures.length > 0) return () => Promise.reject(failures.shift());
        const value = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  await withListener({ answer: WELCOME, wrap }, async ({ port, events }) => {
    using client = await RawClient.connect({ port });
    assert.equal(client.response?.status, 101);
    assert.deepEqual(namesOf(events).slice(0, 2), ["server.accept_failed", "server.accepting"]);
  });
});

/** A socket whose peer has gone already, or says nothing; `onWrite` is called for each answer. */
function madeSocket(isGone: boolean, onWrite: () => void): Deno.TcpConn {
  const closed = Promise.withResolvers<null>();
  if (isGone) closed.resolve(null);
  const made = {
    remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
    read: () => closed.promise,
    write: (bytes: Uint8Array) => Promise.resolve((onWrite(), bytes.length)),
    closeWrite: () => Promise.resolve(),
    setNoDelay() {},
    close: () => closed.resolve(null),
    [Symbol.dispose]: () => closed.resolve(null),
  };
  return made as unknown as Deno.TcpConn;
}

/** A listener with `count` sockets that can be accepted at once, and what has been done with them. */
function crowd(count: number, isGone = true) {
  const done = { accepted: 0, answered: 0 };
  const wrap = (listener: Deno.TcpListener) =>
    new Proxy(listener, {
      get(target, key) {
        if (key === "accept" && done.accepted < count) {
          return () => Promise.resolve((done.accepted++, madeSocket(isGone, () => done.answered++)));
        }
        const value = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  return { done, wrap };
}

Deno.test("of many that wait to be accepted, some are in a turn of the event loop, and others get on", async () => {
  const { done, wrap } = crowd(1000);
  await withListener({ wrap }, async () => {
    const turns: number[] = [];
    for (let before = 0; before < 1000; before = done.accepted) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      turns.push(done.accepted - before);
    }
    assert.ok(turns.every((count) => count <= 2 * 64), turns.join());
  });
});

Deno.test("of those that are refused before they ask, a thousand a second are told why", async () => {
  for (const count of [999, 1000, 3000]) {
    const { done, wrap } = crowd(count);
    const startedMs = performance.now();
    await withListener({ wrap, limits: { denyIp: ["127.0.0.1"] } }, async ({ firewall, events, taken }) => {
      while (firewall.counters.sockets < count || taken() > 0) {
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      const more = performance.now() - startedMs;
      assert.equal(events.length, count);
      assert.ok(done.answered >= Math.min(count, 1000) && done.answered <= 1000 + more, `${done.answered}`);
    });
  }
});

Deno.test("of those that lose their place to others, a thousand a second are told why", async () => {
  const { done, wrap } = crowd(3000, false);
  const startedMs = performance.now();
  const limits = { maxConnections: 4, handshakeRate: Infinity };
  await withListener({ wrap, limits }, async ({ firewall, taken }) => {
    while (firewall.counters.sockets < 3000 || taken() > 4) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const more = performance.now() - startedMs;
    assert.ok(done.answered >= 1000 && done.answered <= 1000 + more, `${done.answered}`);
  });
});

Deno.test("a fault where a place is given or taken back, or an end is looked after, costs that connection only", async () => {
  for (const name of ["enter", "check", "begin", "settle", "end"] as const) {
    let isBroken = true;
    const wrapAdmission = (admission: Admission) => {
      const { [name]: method } = admission as unknown as Record<string, (...args: unknown[]) => unknown>;
      Object.defineProperty(admission, name, {
        writable: true,
        value(...args: unknown[]) {
          const result = name === "end" ? method!.apply(admission, args) : undefined;
          if (isBroken) {
            isBroken = false;
            throw new TypeError("broken");
          }
          return result ?? method!.apply(admission, args);
        },
      });
    };
    await withListener({ answer: WELCOME, wrapAdmission }, async ({ port, events, firewall }) => {
      using client = await RawClient.open({ port });
      const { status } = await client.handshake();
      assert.equal(status, name === "end" ? 101 : 500, name);
      client.close();
      using other = await RawClient.connect({ port });
      assert.equal(other.response?.status, 101, name);
      other.close();
      await within("the drain", firewall.drain(STOPPING, 0));
      assert.equal(namesOf(events).filter((event) => event === "connection.fault").length, 1, name);
    });
  }
});

Deno.test("a peer that is lost during the handshake is no fault", async () => {
  await withListener({ answer: WELCOME }, async ({ port, events, taken }) => {
    for (const head of ["", "GET / HT", "GET / HTTP/1.1\r\n\r\n"]) {
      using client = await RawClient.open({ port });
      await client.send(head);
    }
    using last = await RawClient.connect({ port });
    assert.equal(last.response?.status, 101);
    assert.ok(taken() >= 1);
    assert.ok(!namesOf(events).includes("connection.fault"));
  });
});
