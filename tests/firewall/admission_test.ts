// What all listeners share: counting, and what is recorded of a refusal.
import assert from "node:assert/strict";
import { parseSettings } from "../../src/core/settings.ts";
import { Admission } from "../../src/firewall/admission.ts";
import type { LoggedEvent } from "../support/firewall_harness.ts";

Deno.test("a refusal is recorded with its rule and, where there is one, its limit", () => {
  const events: LoggedEvent[] = [];
  const settings = {
    ...parseSettings(new Map(), () => undefined),
    maxConnections: 1,
    maxConnectionsPerIp: 2,
    denyIp: ["192.0.2.1"],
  };
  const admission = new Admission(settings, (event, fields = {}) => events.push({ event, fields }));
  const client = { expel: () => {} };
  const another = { expel: () => {} };
  assert.equal(admission.enter(), undefined);
  admission.record("192.0.2.9", "echo", admission.enter()!);
  admission.record("192.0.2.1", "echo", admission.check("192.0.2.1")!);
  admission.begin("192.0.2.2", client);
  assert.equal(admission.check("192.0.2.2"), undefined);
  admission.begin("192.0.2.2", another);
  admission.record("192.0.2.2", "echo", admission.check("192.0.2.2")!);
  admission.record("192.0.2.3", "echo", { status: 400, reason: "no" });
  assert.deepEqual(events.map(({ fields: { rule, limit } }) => [rule, limit]), [
    ["max_connections", 1],
    ["ip_rules", undefined],
    ["max_connections_per_ip", 2],
    ["handshake", undefined],
  ]);
  admission.stop();
});
