// The declared events and fields: each field belongs to an event, and none has the name of a field of every record.

import assert from "node:assert/strict";
import type { EventDeclaration } from "../../src/telemetry/event_declaration.ts";
import { EVENTS } from "../../src/telemetry/events.ts";
import { FIELDS } from "../../src/telemetry/fields.ts";

const DECLARED: readonly (readonly [string, EventDeclaration])[] = Object.entries(EVENTS);

Deno.test("no field has a name that every record has", () => {
  for (const name of ["time", "level", "event", "message", "prev"]) assert.equal(name in FIELDS, false, name);
});

Deno.test("every field belongs to an event, and no event has one twice", () => {
  const used = new Set(DECLARED.flatMap(([, { fields }]) => fields));
  assert.deepEqual(Object.keys(FIELDS).filter((name) => !used.has(name as keyof typeof FIELDS)), []);
  for (const [name, { fields }] of DECLARED) assert.equal(new Set(fields).size, fields.length, name);
});

Deno.test("names are words in lower case, and events say something in one line", () => {
  for (const [name, { text }] of DECLARED) {
    assert.match(name, /^[a-z]+\.[a-z_]+$/);
    assert.match(text, /^[A-Z][\x20-\x7e]*[^.]$/);
  }
  for (const name of Object.keys(FIELDS)) assert.match(name, /^[a-z]+(_[a-z]+)*$/);
});
