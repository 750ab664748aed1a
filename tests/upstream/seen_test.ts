// What an operator sees of upstream servers: in the status, the metrics, the readiness and the log.

import assert from "node:assert/strict";
import { Front, makeUserToken, startForeign } from "./harness.ts";

Deno.test("the status and the metrics tell of each server: used or left out, open, attempts and their time", async () => {
  await using foreign = await startForeign();
  const dead = "ws://127.0.0.1:1";
  await using front = new Front([foreign.url, dead], [
    ...["--admin-listen", "127.0.0.1:0", "--max-sessions-per-user", "unlimited"],
  ]);
  // In turn among equals, and the living one takes over each time: its own turns and those of the dead one.
  const clients = [];
  while (!/upstream\.down/.test(front.program.stderr.text)) clients.push(await front.connect());
  const [, url] = await front.program.printed(/Admin on (http:\S+?)\/?\n/);
  const headers = {
    Authorization: `Bearer ${makeUserToken({ user_id: "root", scope: "wsward:admin" })}`,
  };
  const { upstreams, ready } = await (await fetch(`${url}/status`, { headers })).json();
  assert.equal(ready, true, "one is enough");
  const [{ connect_seconds_mean: took, ...used }, out] = upstreams;
  assert.deepEqual(used, {
    name: foreign.url,
    up: true,
    connections_open: clients.length,
    connects: { ok: clients.length },
  });
  assert.ok(took > 0 && took < 5, `${took} s`);
  assert.deepEqual(out, {
    name: dead,
    up: false,
    connections_open: 0,
    connects: { unreachable: 3 },
    connect_seconds_mean: 0,
  });
  const metrics = await (await fetch(`${url}/metrics`, { headers })).text();
  for (
    const line of [
      `wsward_upstream_up{upstream="${foreign.url}"} 1`,
      `wsward_upstream_up{upstream="${dead}"} 0`,
      `wsward_upstream_connections_open{upstream="${foreign.url}"} ${clients.length}`,
      `wsward_upstream_connects_total{upstream="${dead}",result="unreachable"} 3`,
      `wsward_upstream_connect_seconds_count{upstream="${foreign.url}"} ${clients.length}`,
      "wsward_upstream_retries_total 3",
    ]
  ) {
    assert.ok(
      metrics.includes(`${line}\n`),
      `${line}\n${metrics.match(/^wsward_upstream.*$/gm)?.join("\n")}`,
    );
  }
  for (const client of clients) client.close();
});
