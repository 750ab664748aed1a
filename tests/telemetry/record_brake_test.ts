// No stranger can fill the log: every event has a brake, or a reason why it needs none.
import assert from "node:assert/strict";
import { clientKey } from "../../src/firewall/admission/network_set.ts";
import type { EventDeclaration } from "../../src/telemetry/event_declaration.ts";
import { type EventName, EVENTS } from "../../src/telemetry/events.ts";
import type { Log, LogFields } from "../../src/telemetry/log.ts";
import { MAX_KINDS, MOST_AT_ONCE, RecordBrake } from "../../src/telemetry/record_brake.ts";

const ONCE = "comes once, at the start, the end or an outage of the log";
const OPERATOR = "an administrator, a signal or the service manager causes it";
const ADMITTED = "tells who was let in, once for each; --handshake-rate says how often that is";
const OWN_BRAKE = "is braked where it is made";
const OUTAGE = "comes once in each outage of something of the operator's";
const NEW_TOKEN = "takes a valid token that lasts longer than the one before";

/** Why no stranger causes many of these. */
const UNBRAKED: Partial<Record<EventName, string>> = {
  "server.started": ONCE,
  "server.stdout_failed": ONCE,
  "server.few_descriptors": ONCE,
  "server.draining": ONCE,
  "server.stopped": ONCE,
  "server.plaintext": ONCE,
  "server.not_migrated": ONCE,
  "server.notify_failed": OPERATOR,
  "process.unhandled": OWN_BRAKE,
  "process.debugger_opened": ONCE,
  "key.created": ONCE,
  "keys.doubtful": OPERATOR,
  "keys.reloaded": OPERATOR,
  "keys.reload_failed": OPERATOR,
  "connection.opened": ADMITTED,
  "connection.closed": ADMITTED,
  "tls.certificate_not_valid": OPERATOR,
  "tls.reloaded": OPERATOR,
  "tls.reload_failed": OPERATOR,
  "tls.key_open": OPERATOR,
  "redis.connected": OUTAGE,
  "redis.lost": OUTAGE,
  "redis.evicts": OUTAGE,
  "redis.reloaded": OPERATOR,
  "redis.reload_failed": OPERATOR,
  "rules.reloaded": OPERATOR,
  "rules.reload_failed": OPERATOR,
  "session.opened": ADMITTED,
  "session.closed": ADMITTED,
  "session.refreshed": NEW_TOKEN,
  "revocation.added": OPERATOR,
  "revocation.not_stored": OPERATOR,
  "revocation.removed": OPERATOR,
  "upstream.reloaded": OPERATOR,
  "upstream.reload_failed": OPERATOR,
  "admin.changed": OPERATOR,
  "metrics.token_reloaded": OPERATOR,
  "metrics.token_reload_failed": OPERATOR,
  "log.write_failed": ONCE,
  "log.terminal_failed": ONCE,
  "log.records_lost": ONCE,
  "log.rotation_failed": ONCE,
};

/** A brake before a log in memory. */
function start(): { log: Log; flush: () => void; records: { event: EventName; fields: LogFields }[] } {
  const records: { event: EventName; fields: LogFields }[] = [];
  const brake = new RecordBrake((event, fields = {}) => records.push({ event, fields }), clientKey);
  return { log: brake.log, flush: () => brake.flush(), records };
}

for (const [name, declared] of Object.entries(EVENTS)) {
  const { isBraked, mostAtOnce = MOST_AT_ONCE, fields }: EventDeclaration = declared;
  const event = name as EventName;
  Deno.test(`${name} ${isBraked ? "can't fill the log" : UNBRAKED[event]}`, () => {
    assert.notEqual(
      isBraked === true,
      event in UNBRAKED,
      "say in the table why it needs no brake, or brake it",
    );
    if (!isBraked) return;
    assert.ok(fields.includes("count"), "what repetitions are told by");
    const { log, flush, records } = start();
    for (let i = 0; i < 1000; i++) {
      log(event, { peer: "192.0.2.1", connection: `c${i}`, detail: `made up ${i}` });
    }
    assert.equal(records.length, mostAtOnce);
    flush();
    assert.equal(records.length, mostAtOnce + 1);
    const { event: told, fields: { count, connection } } = records.at(-1)!;
    assert.deepEqual([told, count, connection], [event, 1000 - mostAtOnce, "c999"]);
    flush();
  });
}

Deno.test("one more than is logged at once is counted, and as many are not", () => {
  for (const more of [0, 1]) {
    const { log, flush, records } = start();
    for (let i = 0; i < MOST_AT_ONCE + more; i++) log("endpoint.lost", { peer: "192.0.2.1" });
    flush();
    assert.deepEqual(
      records.slice(MOST_AT_ONCE).map(({ fields }) => fields),
      more === 0 ? [] : [{ peer: "192.0.2.1", count: 1 }],
    );
    flush();
  }
});

Deno.test("who goes on is told of once each time, and who has stopped is new again", () => {
  const { log, flush, records } = start();
  const many = () => {
    for (let i = 0; i < 100; i++) log("endpoint.lost", { peer: "192.0.2.1" });
  };
  many();
  flush();
  many();
  flush();
  assert.deepEqual(records.slice(MOST_AT_ONCE).map(({ fields: { count } }) => count), [
    100 - MOST_AT_ONCE,
    100,
  ]);
  flush();
  many();
  assert.equal(records.length, 2 * MOST_AT_ONCE + 2);
  flush();
  flush();
});

Deno.test("clients and rules are told apart, the addresses of one network are not", () => {
  const { log, flush, records } = start();
  for (let i = 0; i < 100; i++) {
    log("protocol.error", { peer: `2001:db8::${i.toString(16)}`, rule: "reserved_bits" });
    log("protocol.error", { peer: `2001:db8::${i.toString(16)}`, rule: "reserved_opcode" });
  }
  log("protocol.error", { peer: "2001:db8:0:1::1", rule: "reserved_bits" });
  assert.equal(records.length, 2 * MOST_AT_ONCE + 1);
  flush();
  flush();
});

Deno.test("more clients than are told apart are counted together", () => {
  const { log, flush, records } = start();
  for (let i = 0; i < MAX_KINDS + 100; i++) log("endpoint.lost", { peer: `192.0.${i >> 8}.${i & 255}` });
  assert.equal(records.length, MAX_KINDS);
  flush();
  assert.deepEqual(records.slice(MAX_KINDS).map(({ fields }) => fields), [{ peer: "others", count: 100 }]);
  flush();
});

Deno.test("whoever fills the log with one event, the others are told of as ever", () => {
  const { log, flush, records } = start();
  for (let i = 0; i < MAX_KINDS + 100; i++) log("endpoint.lost", { peer: `192.0.${i >> 8}.${i & 255}` });
  log("upstream.down", { upstream: "10.0.0.1:80" });
  assert.deepEqual(records.at(-1), { event: "upstream.down", fields: { upstream: "10.0.0.1:80" } });
  flush();
  flush();
});

Deno.test("what has no brake passes as it is, however often", () => {
  const { log, records } = start();
  for (let i = 0; i < 100; i++) log("connection.opened", { peer: "192.0.2.1" });
  assert.equal(records.length, 100);
});
