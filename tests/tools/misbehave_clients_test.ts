// What clients show their users of each path of `misbehave`: the same as the catalogue says.

import assert from "node:assert/strict";
import { CATALOGUE } from "../../src/tools/misbehave/catalogue.ts";
import { CLIENTS, SEEN } from "../../src/tools/misbehave/clients.ts";
import { MisbehaveServer } from "../../src/tools/misbehave/server.ts";
import { findProgram } from "../support/deploy.ts";
import { findPython, visitsOf, WATCHES } from "../support/misbehave_clients.ts";

const MISSING: Readonly<Record<typeof CLIENTS[number], boolean>> = {
  "ws": false,
  "websockets": findPython() === undefined,
  "Chromium": findProgram("chromium") === undefined,
};

/** How an error is worded, and how many of them there are, is of a version of a client. */
function normalize(seen: string | undefined): string | undefined {
  return seen?.replace(
    /error "(?:[^"\\]|\\.)*"|[A-Za-z]+(?:Error|OK|Code|Value|Header|Upgrade|Handshake|Message)\b/g,
    "error",
  )
    .replace(/(error; )+/g, "");
}

for (const client of CLIENTS) {
  Deno.test({
    name: `${client} shows of each path what the catalogue says`,
    ignore: MISSING[client],
    // Chromium's driver keeps timers of its own.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const options = {
        host: "127.0.0.1",
        port: 0,
        maxConnections: 100,
        maxLifetimeMs: 60_000,
        maxSent: 2 ** 30,
      };
      await using server = await MisbehaveServer.start(options);
      const seen = await WATCHES[client](visitsOf(server));
      const shown = CATALOGUE.map(({ example }, index) => [example, normalize(seen[index])]);
      assert.deepEqual(shown, CATALOGUE.map(({ example }) => [example, normalize(SEEN[example]?.[client])]));
    },
  });
}
