// One client on its way to a server: what becomes of the server and of the session if no connection comes of it.

import assert from "node:assert/strict";
import { parseSettings } from "../../src/core/settings/settings.ts";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import type { CloseReason } from "../../src/protocol/close_code.ts";
import { OpenGateway } from "../../src/endpoints/gateway/gateway.ts";
import { FrameCheck } from "../../src/firewall/connection/frame_check.ts";
import { Outbox } from "../../src/firewall/connection/outbox.ts";
import { EndpointCounters } from "../../src/firewall/counters.ts";
import type { Gate, Ticket } from "../../src/firewall/upstream/gate.ts";
import { Crossing, Upstream } from "../../src/firewall/upstream/route.ts";
import type { Host } from "../../src/firewall/ways/way.ts";
import { LIMITS } from "../support/firewall_harness.ts";
import { ManualSocket, until } from "../support/manual_connection.ts";
import { within } from "../endpoints/harness.ts";
import { startForeign } from "./harness.ts";

const HEAD = {
  method: "GET",
  path: "/",
  query: "",
  headers: new Map([["host", "localhost"], ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="]]),
};

/** A gate with one ticket, which notes what becomes of it; `isFirst` if the first message must ask for it. */
function ticketGate(notes: string[], { isFirst }: { readonly isFirst: boolean }) {
  const ticket: Ticket = {
    headers: [],
    opened: () => notes.push("opened"),
    closed: (code) => notes.push(`closed ${code}`),
  };
  const asked = Promise.withResolvers<void>();
  const decided = Promise.withResolvers<Ticket>();
  const gate: Gate = {
    tokenTimeoutMs: 0,
    admit: () =>
      Promise.resolve({
        query: "",
        cookie: undefined,
        subprotocols: [],
        fallback: undefined,
        ticket: isFirst ? undefined : ticket,
      }),
    authenticate() {
      asked.resolve();
      return decided.promise;
    },
  };
  return { gate, asked: asked.promise, decide: () => decided.resolve(ticket) };
}

function cross(
  url: string,
  gate: Gate = new OpenGateway(false),
): { readonly crossing: Crossing; readonly upstream: Upstream } {
  const given = { upstream: [url], upstreamTimeout: "50s", handshakeTimeout: "1m" };
  const settings = parseSettings(
    new Map(Object.entries(given) as [SettingName, GivenValue][]),
    () => undefined,
  );
  const upstream = new Upstream(settings, gate, () => {});
  const counters = new EndpointCounters();
  const crossing = new Crossing(upstream, {
    id: "c1",
    address: "192.0.2.1",
    isSecure: false,
    outbox: new Outbox(new ManualSocket(), counters),
    check: new FrameCheck(LIMITS, counters.messagesIn),
    counters,
    lackDescriptors: () => false,
  });
  return { crossing, upstream };
}

/** A connection that does nothing but note what it is told. */
function host(told: CloseReason[]): Host {
  const nothing = () => {};
  return {
    get isOpen() {
      return told.length === 0;
    },
    resume: nothing,
    charge: nothing,
    endpointCloses: nothing,
    endpointEnded: nothing,
    endpointFailed: () => assert.equal(told.length, 1),
    close: (close) => told.push(close),
    cut: nothing,
    fault: (error) => assert.fail(String(error)),
  };
}

Deno.test("a server that has accepted is told when no connection comes of it, and its place is given back", async () => {
  await using foreign = await startForeign();
  const { crossing, upstream } = cross(foreign.url);
  assert.ok("way" in await crossing.enter(HEAD));
  assert.equal(upstream.pool.servers[0]!.open, 1);
  crossing.release(1006);
  assert.deepEqual(await foreign.closed(), { code: 1001, reason: "the client is gone" });
  assert.equal(upstream.pool.servers[0]!.open, 0);
});

Deno.test("who is revoked while the 101 is on its way is told so, and not that the server is lost", async () => {
  await using foreign = await startForeign();
  const { crossing } = cross(foreign.url);
  const entered = await crossing.enter(HEAD);
  assert.ok("way" in entered);
  const REVOKED = { code: 3000, reason: "token revoked" };
  crossing.close(REVOKED);
  const told: CloseReason[] = [];
  entered.way.start(host(told));
  assert.deepEqual(told, [REVOKED]);
  entered.way.tell(REVOKED, false);
  await entered.way.ended;
  crossing.release(3000);
});

Deno.test("a drain does not wait for a server that says nothing in TLS", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { crossing, upstream } = cross(`wss://127.0.0.1:${silent.addr.port}`);
  const entering = crossing.enter(HEAD);
  const conn = await silent.accept();
  // In TLS, and not before.
  assert.ok(await conn.read(new Uint8Array(1)));
  crossing.cut();
  const refusal = await within("the refusal of a drain", entering);
  assert.equal("status" in refusal && refusal.status, 503);
  crossing.release(1006);
  assert.equal(upstream.pool.servers[0]!.open, 0);
  conn.close();
});

Deno.test("the session is given back before the client hears that no server takes it", async () => {
  const notes: string[] = [];
  const { crossing } = cross("ws://127.0.0.1:1", ticketGate(notes, { isFirst: false }).gate);
  const refusal = await crossing.enter(HEAD);
  assert.equal("status" in refusal && refusal.status, 502);
  assert.deepEqual(notes, ["closed 1006"]);
  crossing.release(1006);
  assert.deepEqual(notes, ["closed 1006"]);
});

Deno.test("the session of a client that has left while its token was judged is given back", async () => {
  const notes: string[] = [];
  const { gate, asked, decide } = ticketGate(notes, { isFirst: true });
  const { crossing } = cross("ws://127.0.0.1:1", gate);
  const entered = await crossing.enter(HEAD);
  assert.ok("way" in entered);
  entered.way.start(host([]));
  await asked;
  crossing.release(1006);
  decide();
  await until("the session is given back", () => notes.length > 0);
  assert.deepEqual(notes, ["closed 1006"]);
});
