// What administrators see and do on all nodes, whichever of them they ask.

import assert from "node:assert/strict";
import { NO_REDIS, RedisServer } from "./redis_server.ts";
import { Node, token, until } from "./nodes.ts";
import { run } from "../support/process.ts";

interface Row {
  readonly id: string;
  readonly user: string;
  readonly node: string;
  readonly messages_in: number | null;
}

async function sessions(
  node: Node,
  query = "",
): Promise<{ sessions: Row[]; next?: string; partial?: boolean }> {
  return (await node.admin("GET", `/sessions${query}`)).json as never;
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: NO_REDIS, fn });
}

test("sessions of all nodes, with the node in each row, paged; one elsewhere is closed and revoked from here", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url, ["--node-name", "a"]);
  await using b = new Node(redis.url, ["--node-name", "b"]);
  await a.joined();
  await b.joined();
  const logins = [];
  for (const [i, node] of [a, b, a, b, b].entries()) {
    logins.push(await node.login(token({ user_id: `u${i}`, jti: `j${i}` })));
  }
  assert.ok(logins.every(({ answer }) => answer === "Authenticated!"));
  await logins[0]!.client.sendText("hello");
  await logins[0]!.client.nextText();
  const all = await sessions(a);
  assert.deepEqual(all.sessions.map(({ user, node }) => `${user}@${node}`), [
    "u0@a",
    "u1@b",
    "u2@a",
    "u3@b",
    "u4@b",
  ]);
  assert.deepEqual(all.sessions.map(({ messages_in }) => messages_in), [1, null, 0, null, null]);
  assert.equal(all.partial, undefined);
  const paged: string[] = [];
  for (let after = "";;) {
    const { sessions: rows, next } = await sessions(b, `?limit=2&after=${encodeURIComponent(after)}`);
    paged.push(...rows.map(({ user }) => user));
    if (next === undefined) break;
    assert.ok(next > after);
    after = next;
  }
  assert.deepEqual(paged, ["u0", "u1", "u2", "u3", "u4"]);

  // Connections are told by their own node alone, which says so.
  const own = (await a.admin("GET", "/connections")).json as { connections: Row[]; node: string };
  assert.deepEqual([own.node, own.connections.map(({ user }) => user)], ["a", ["u0", "u2"]]);
  const shown = await run(["connections", "--url", await b.adminUrl()], { folder: b.program.folder });
  assert.match(shown.stdout, /u1 [^]*\nThese are of the node b only: each node lists its own\n$/);

  // Closed from another node, and confirmed by its vanishing.
  assert.equal((await a.admin("DELETE", `/sessions/${all.sessions[1]!.id}`)).status, 204);
  assert.equal((await logins[1]!.client.nextClose()).code, 1008);
  assert.equal((await a.admin("DELETE", `/sessions/${all.sessions[1]!.id}`)).status, 404);
  assert.deepEqual((await sessions(a)).sessions.length, 4);

  // Revoked from another node: its token opens no other session anywhere.
  const revoked = await a.admin("POST", "/revocations", { kind: "session", value: all.sessions[3]!.id });
  assert.equal(revoked.status, 201);
  assert.equal((revoked.json as { everywhere: boolean }).everywhere, true);
  assert.equal(await logins[3]!.client.nextText(), "Token Revoked");
  for (const node of [a, b]) {
    const { client, answer } = await node.login(token({ user_id: "u3", jti: "j3" }));
    assert.equal(answer, "Token Revoked");
    client.close();
  }
  // A user's sessions end on every node, and the revocation is taken back on the other one.
  const user = await b.admin("POST", "/revocations", { kind: "user", value: "u2" });
  assert.equal(await logins[2]!.client.nextText(), "Token Revoked");
  const { id } = user.json as { id: string };
  const rows = await until(
    "the revocation is everywhere",
    async () =>
      (await a.admin("GET", "/revocations")).json as { revocations: { id: string; node: string }[] },
    ({ revocations }) => revocations.some((row) => row.id === id),
  );
  assert.equal(rows.revocations.find((row) => row.id === id)?.node, "b");
  assert.deepEqual((await a.admin("DELETE", `/revocations/${id}`)).json, { everywhere: true });
  await until(
    "it is taken back everywhere",
    async () => (await b.admin("GET", "/revocations")).json as { revocations: { id: string }[] },
    ({ revocations }) => revocations.every((row) => row.id !== id),
  );
  for (const { client } of logins) client.close();
});

test("a ban reaches every node, closes connections there, and is taken back from any", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url, ["--ban-loopback", "--node-name", "a"]);
  await using b = new Node(redis.url, ["--ban-loopback", "--node-name", "b"]);
  await a.joined();
  await b.joined();
  const { client } = await b.login(token());
  assert.equal((await a.admin("POST", "/bans", { address: "127.0.0.1" })).status, 201);
  assert.equal((await client.nextClose()).code, 1008);
  const { bans } = (await b.admin("GET", "/bans")).json as { bans: unknown[] };
  assert.deepEqual(bans.map((ban) => (ban as { node: string }).node), ["a"]);
  assert.equal((await b.admin("DELETE", `/bans/${encodeURIComponent("127.0.0.1")}`)).status, 200);
  await until(
    "it is over on the other",
    async () => (await a.admin("GET", "/bans")).json as { bans: unknown[] },
    (answer) => answer.bans.length === 0,
  );
  client.close();
});

test("violations on several nodes are counted together", async () => {
  await using redis = await RedisServer.start();
  const flags = ["--ban-loopback", "--ban-after", "4"];
  await using a = new Node(redis.url, flags);
  await using b = new Node(redis.url, flags);
  const nodes = [a, b];
  for (const node of nodes) await node.joined();
  for (let i = 0; i < 4; i++) {
    const { client, answer } = await nodes[i % 2]!.login("no token");
    assert.equal(answer, "Invalid Token");
    client.close();
  }
  for (const node of nodes) await node.program.logged(/client\.banned|banned/i);
});

test("nodes: who is there; without Redis lists are partial, and what is elsewhere can't be closed", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url, ["--node-name", "a"]);
  await using b = new Node(redis.url, ["--node-name", "b"]);
  await a.joined();
  await b.joined();
  const login = await b.login(token());
  const { nodes } = await until(
    "both say where they listen",
    async () => (await a.admin("GET", "/nodes")).json as { nodes: Record<string, unknown>[] },
    (answer) => answer.nodes.every(({ addresses }) => (addresses as string[]).length === 2),
  );
  assert.deepEqual(nodes.map(({ name, this: isThis, sessions }) => [name, isThis, sessions]), [
    ["a", true, 0],
    ["b", false, 1],
  ]);
  const top = async () => {
    const { stdout, stderr } = await run(["top", "--once", "--url", await a.adminUrl()], {
      folder: a.program.folder,
    });
    return stdout + stderr;
  };
  assert.match(await top(), /NODE +OPEN +SESSIONS[^]*a \(this\) +0[^]*\nb +\d +1 /);
  const [{ id }] = (await sessions(a)).sessions as [Row];
  await redis.kill();
  await a.program.logged(/Redis can't be used/);
  assert.equal((await a.admin("GET", "/nodes")).status, 503);
  assert.match(await top(), /Redis is lost/);
  assert.deepEqual(await sessions(a), { sessions: [], partial: true });
  assert.equal((await a.admin("DELETE", `/sessions/${id}`)).status, 503);
  assert.equal((await a.admin("POST", "/revocations", { kind: "session", value: id })).status, 503);
  login.client.close();
});

test("a process that is alone has no nodes, and says nothing of any", async () => {
  await using a = new Node(undefined);
  await a.program.port("secure");
  assert.equal((await a.admin("GET", "/nodes")).status, 404);
  const { client } = await a.login(token());
  assert.deepEqual(Object.keys((await sessions(a)).sessions[0]!).includes("node"), false);
  assert.deepEqual(Object.keys((await a.admin("GET", "/connections")).json as object), ["connections"]);
  assert.equal((await a.admin("DELETE", "/sessions/none")).status, 404);
  client.close();
});
