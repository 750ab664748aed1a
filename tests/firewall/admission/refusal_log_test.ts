// What of a flood of refusals reaches the log, on a manual clock.

import assert from "node:assert/strict";
import {
  MAX_REPETITIONS,
  type RefusalFields,
  RefusalLog,
  REPETITION_WINDOW_MS,
} from "../../../src/firewall/admission/refusal_log.ts";
import type { EventName } from "../../../src/telemetry/events.ts";
import type { LogFields } from "../../../src/telemetry/log.ts";

function createLog() {
  const records: [EventName, LogFields][] = [];
  const refusals = new RefusalLog((event, fields = {}) => void records.push([event, fields]));
  return { records, refusals, take: () => records.splice(0) };
}

function fieldsOf(peer: string, reason = "because"): RefusalFields {
  return { peer, endpoint: "echo", status: 403, reason };
}

const FIELDS = fieldsOf("192.0.2.1");

Deno.test("the first refusal is logged at once and repetitions as one count at the end of the window", () => {
  const { refusals, take } = createLog();
  refusals.record("192.0.2.1", FIELDS, 0);
  assert.deepEqual(take(), [["handshake.refused", FIELDS]]);
  for (let i = 0; i < 1000; i++) refusals.record("192.0.2.1", FIELDS, 5);
  refusals.sweep(REPETITION_WINDOW_MS - 1);
  assert.deepEqual(take(), []);
  refusals.sweep(REPETITION_WINDOW_MS);
  assert.deepEqual(take(), [["handshake.refused_repeatedly", { ...FIELDS, count: 1000 }]]);
});

Deno.test("who goes on is logged once a window, and is new again after a quiet one", () => {
  const { refusals, take } = createLog();
  refusals.record("192.0.2.1", FIELDS, 0);
  for (let window = 1; window <= 3; window++) {
    refusals.record("192.0.2.1", FIELDS, 0);
    refusals.sweep(window * REPETITION_WINDOW_MS);
  }
  assert.deepEqual(take().map(([event]) => event), [
    "handshake.refused",
    "handshake.refused_repeatedly",
    "handshake.refused_repeatedly",
    "handshake.refused_repeatedly",
  ]);
  refusals.sweep(4 * REPETITION_WINDOW_MS);
  assert.deepEqual(take(), []);
  refusals.record("192.0.2.1", FIELDS, 4 * REPETITION_WINDOW_MS);
  assert.deepEqual(take(), [["handshake.refused", FIELDS]]);
});

Deno.test("other clients, reasons and endpoints are logged for themselves", () => {
  const { refusals, take } = createLog();
  const secure = { ...FIELDS, endpoint: "secure" };
  for (let i = 0; i < 2; i++) {
    refusals.record("192.0.2.1", FIELDS, 0);
    refusals.record("192.0.2.2", fieldsOf("192.0.2.2"), 0);
    refusals.record("192.0.2.1", fieldsOf("192.0.2.1", "other"), 0);
    refusals.record("192.0.2.1", secure, 0);
  }
  assert.equal(take().length, 4);
  refusals.sweep(REPETITION_WINDOW_MS);
  assert.deepEqual(take().map(([, { count }]) => count), [1, 1, 1, 1]);
});

Deno.test("a refusal that is not repeated leaves one record", () => {
  const { refusals, take } = createLog();
  refusals.record("192.0.2.1", FIELDS, 0);
  refusals.sweep(REPETITION_WINDOW_MS);
  refusals.flush();
  assert.equal(take().length, 1);
});

Deno.test("a flood from many addresses is bounded: those beyond the table are counted together", () => {
  const { refusals, take } = createLog();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < MAX_REPETITIONS + 100; i++) refusals.record(`client${i}`, fieldsOf(`client${i}`), 0);
  }
  assert.equal(take().length, MAX_REPETITIONS);
  refusals.sweep(REPETITION_WINDOW_MS);
  const records = take();
  assert.equal(records.length, MAX_REPETITIONS + 1);
  assert.deepEqual(records.at(-1), ["handshake.refused_repeatedly", { peer: "others", count: 200 }]);
  refusals.sweep(2 * REPETITION_WINDOW_MS);
  refusals.record("new", fieldsOf("new"), 2 * REPETITION_WINDOW_MS);
  assert.deepEqual(take(), [["handshake.refused", fieldsOf("new")]]);
});

Deno.test("a flush logs what has been counted, once", () => {
  const { refusals, take } = createLog();
  for (let i = 0; i < 3; i++) refusals.record("192.0.2.1", FIELDS, 0);
  take();
  refusals.flush();
  assert.deepEqual(take(), [["handshake.refused_repeatedly", { ...FIELDS, count: 2 }]]);
  refusals.flush();
  assert.deepEqual(take(), []);
});
