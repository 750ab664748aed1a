// Faults of our own in a running copy of the program, in which one place throws a TypeError once when it is told to.
// Each hurts only the peer that it concerns, is recorded once with its stack and counts against nobody; the program
// goes on, and ends as always.

import assert from "node:assert/strict";
import { EXECUTABLE, startServer } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { type ForeignServer, Front, makeUserToken, startForeign } from "../upstream/harness.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const SECRET = Uint8Array.fromHex("5b".repeat(32)).toBase64({ alphabet: "base64url", omitPadding: true });
const ADMIN = makeUserToken({ scope: "wsward:admin" });
/** Throws once after each SIGUSR2. */
const PLANTED = ' if (globalThis.isArmed) { globalThis.isArmed = false; throw new TypeError("planted"); } ';
const ARMED_MAIN =
  `Deno.addSignalListener("SIGUSR2", () => { globalThis.isArmed = true; console.log("armed"); });
await import("./main.ts");`;

/** Whom a fault is to concern. */
interface World {
  /** A client of the endpoint that is looked at, and the port of that. */
  readonly victim: RawClient;
  readonly port: number;
  /** Makes the next pass of the planted place throw. */
  arm(): Promise<void>;
  /** The status of a request to the administrators' listener. */
  ask(path: string): Promise<number>;
}

/** In a file, after this text, and what is done then. */
type Plant = readonly [what: string, file: string, after: string, act: (world: World) => Promise<void>];

const INTERNAL = { code: 1011, reason: "internal error" };

async function textIs1011({ victim, arm }: World): Promise<void> {
  await arm();
  await victim.sendText("x");
  assert.deepEqual(await victim.nextClose(), INTERNAL);
}

async function waitingIs1011({ victim, arm }: World): Promise<void> {
  await arm();
  assert.deepEqual(await victim.nextClose(), INTERNAL);
}

async function newIs1011({ port, arm }: World): Promise<void> {
  await arm();
  using client = await RawClient.connect({ port });
  assert.deepEqual(await client.nextClose(), INTERNAL);
}

async function newIs500({ port, arm }: World): Promise<void> {
  await arm();
  using client = await RawClient.open({ port });
  assert.equal((await client.handshake()).status, 500);
}

async function endIsNoTrouble({ victim, arm }: World): Promise<void> {
  await arm();
  victim.close();
}

async function violationIsRecorded({ port, arm }: World): Promise<void> {
  await arm();
  using client = await RawClient.connect({ port });
  await client.send(Uint8Array.of(0x81, 0));
  assert.equal((await client.nextClose()).code, 1002);
}

const CONNECTION = "src/firewall/connection/connection.ts";
const LISTENER = "src/firewall/listener.ts";

const OWN: readonly Plant[] = [
  [
    "the frame reader",
    "src/firewall/connection/message_reader.ts",
    "  next(bytes: Uint8Array<ArrayBuffer>, end: number): Found {",
    textIs1011,
  ],
  [
    "the beginning of a connection",
    CONNECTION,
    "this.#outbox.start(() => this.#written(), (error) => this.#lost(error));",
    newIs1011,
  ],
  ["what comes before that", CONNECTION, "budget.add(this, fixedBytes);", newIs1011],
  ["the end of a connection", CONNECTION, "const { received, own } = this.#closing;", endIsNoTrouble],
  ["a connection's sweep", CONNECTION, "  #sweep(nowMs: number): void {", waitingIs1011],
  [
    "who has a place",
    "src/firewall/admission.ts",
    "enter(visitor: Visitor): Refusal | undefined {",
    newIs500,
  ],
  ["who may come", "src/firewall/admission.ts", "check(address: string): Refusal | undefined {", newIs500],
  ["the request rules", LISTENER, "const { head } = opening;", newIs500],
  ["what a way lets go of", "src/firewall/ways/served.ts", "  release(): void {", endIsNoTrouble],
  ["the log file", "src/telemetry/file_sink.ts", "  write(line: string): void {", violationIsRecorded],
  ["the terminal", "src/telemetry/terminal.ts", "  write(line: string): void {", violationIsRecorded],
  ["a line of the log", "src/telemetry/line.ts", "paint = plain): string {", violationIsRecorded],
  [
    "the brake of the log",
    "src/telemetry/record_brake.ts",
    "#kindOf(event: EventName, fields: LogFields): Kind {",
    violationIsRecorded,
  ],
  [
    "what administrators see of the log",
    "src/admin/event_feed.ts",
    'record(event: EventName, fields: LineRecord["fields"]): void {',
    violationIsRecorded,
  ],
  [
    "an administrators' route",
    "src/endpoints/sessions/session_registry.ts",
    "list(): SessionInfo[] {",
    async ({ arm, ask }) => {
      await arm();
      assert.equal(await ask("/sessions"), 500);
      assert.equal(await ask("/sessions"), 200);
    },
  ],
  [
    "the text of the metrics",
    "src/telemetry/metrics_text.ts",
    "const lines: string[] = [];",
    async ({ arm, ask }) => {
      await arm();
      assert.equal(await ask("/metrics"), 500);
      assert.equal(await ask("/metrics"), 200);
    },
  ],
];

const SECURE: readonly Plant[] = [
  [
    "the claims' reader",
    "src/auth/claims.ts",
    "nowMs: number,\n): Verification {",
    async ({ port, arm }) => {
      await arm();
      using client = await RawClient.connect({ port });
      await client.sendText(makeUserToken());
      assert.equal(await client.nextText(), "Internal Error");
      assert.deepEqual(await client.nextClose(), INTERNAL);
    },
  ],
  [
    "the claims' reader in a handshake",
    "src/auth/claims.ts",
    "nowMs: number,\n): Verification {",
    async ({ port, arm }) => {
      await arm();
      using client = await RawClient.open({ port });
      const headers = { Authorization: `Bearer ${makeUserToken()}` };
      assert.equal((await client.handshake({ headers })).status, 500);
    },
  ],
  [
    "a session method",
    "src/endpoints/secure/methods/whoami.ts",
    "run(_params, { session }) {",
    async ({ port, arm }) => {
      const headers = {
        "Authorization": `Bearer ${makeUserToken()}`,
        "Sec-WebSocket-Protocol": "wsward.v1",
      };
      using client = await RawClient.connect({ port }, { headers });
      assert.equal(await client.nextText(), "Authenticated!");
      const call = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "whoami", params: {} });
      await arm();
      await client.sendText(call);
      assert.equal(JSON.parse(await client.nextText()).error.code, -32603);
      await client.sendText(call);
      assert.equal(JSON.parse(await client.nextText()).result.user, "alice");
    },
  ],
];

const RELAYED: readonly Plant[] = [
  [
    "the relay's reader of a client",
    "src/firewall/ways/peer_frames.ts",
    "allowance = Infinity): boolean {",
    textIs1011,
  ],
  [
    "the relay's reader of a server",
    "src/firewall/ways/endpoint_frames.ts",
    "inspect(bytes: Uint8Array, start: number, end: number): number {",
    textIs1011,
  ],
  [
    "the look at a server",
    "src/firewall/ways/relayed.ts",
    "sweep(nowMs: number, { pingInterval, pingTimeout, sendTimeout }: TimeLimits): void {",
    waitingIs1011,
  ],
  [
    "a dial",
    "src/firewall/upstream/dial.ts",
    "async #connect(): Promise<ByteSocket> {",
    newIs500,
  ],
  [
    "the reader of a server's answer",
    "src/firewall/upstream/answer.ts",
    "const buffer = new HeadBuffer();",
    newIs500,
  ],
  [
    "who decides",
    "src/endpoints/gateway/gateway.ts",
    "admit({ head: { query, headers } }: Asked): Promise<Pass> {",
    newIs500,
  ],
  [
    "the end of a crossing",
    "src/firewall/upstream/route.ts",
    "  release(code: number): void {",
    endIsNoTrouble,
  ],
];

/** A copy of the program that can be armed: one for all faults, so that only what is planted is compiled anew. */
function makeCopy(): string {
  const folder = Deno.makeTempDirSync();
  copyFolder(`${ROOT}src`, `${folder}/src`);
  for (const name of ["main.ts", "deno.json", "deno.lock"]) {
    Deno.copyFileSync(ROOT + name, `${folder}/${name}`);
  }
  Deno.writeTextFileSync(`${folder}/armed.ts`, ARMED_MAIN);
  return folder;
}

/** Puts a fault in its place in the copy, for as long as it is held. */
function plant(copy: string, [what, file, after]: Plant): Disposable {
  const text = Deno.readTextFileSync(ROOT + file);
  const parts = text.split(after);
  assert.equal(parts.length, 2, `${what}: the place in ${file}`);
  Deno.writeTextFileSync(`${copy}/${file}`, parts[0] + after + PLANTED + parts[1]);
  return { [Symbol.dispose]: () => Deno.writeTextFileSync(`${copy}/${file}`, text) };
}

function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to);
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copyFolder(`${from}/${name}`, `${to}/${name}`);
    else Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

const FLAGS = ["--ban-loopback", "--drain-timeout", "200ms"];

async function attack(fault: Plant, endpoint: "echo" | "secure" | "upstream", copy: string): Promise<void> {
  const [what, , , act] = fault;
  using _planted = plant(copy, fault);
  const main = `${copy}/armed.ts`;
  await using server: ForeignServer | undefined = endpoint === "upstream" ? await startForeign() : undefined;
  // One violation is one, and a fault is none.
  const banAfter = act === violationIsRecorded ? "2" : "1";
  const args = ["--admin-listen", "127.0.0.1:0", "--ban-after", banAfter, ...FLAGS];
  const folder = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${folder}/wsward.key`, SECRET, { mode: 0o600 });
  await using front = server === undefined
    ? undefined
    : new Front([server.url], [...args, "--upstream-auth", "none"], { main });
  await using own = front === undefined ? startServer(args, { folder, main }) : undefined;
  const program = (front?.program ?? own)!;
  try {
    const port = await program.port(endpoint);
    const [, admin = ""] = await program.printed(/Admin on http:\/\/(\S+)\/\n/);
    const echoes = endpoint === "upstream" ? port : await program.port("echo");
    // First, so that what looks at one after the other comes to it first.
    using victim = await RawClient.connect({ port });
    using bystander = await RawClient.connect({ port: echoes });
    let armed = 0;
    await act({
      victim,
      port,
      arm: async () => {
        program.signal("SIGUSR2");
        await program.printed(new RegExp(`(armed\\n[^]*){${++armed}}`));
      },
      ask: async (path) => {
        const response = await fetch(`http://${admin}${path}`, {
          headers: { Authorization: `Bearer ${ADMIN}` },
        });
        await response.body?.cancel();
        return response.status;
      },
    });
    await program.logged(/planted/);
    await bystander.sendText("and now");
    assert.match(await bystander.nextText(), /and now$/);
    using newcomer = await RawClient.connect({ port });
    assert.equal(newcomer.response?.status, 101, "nobody is banned");
    program.signal("SIGTERM");
    const { code, stderr } = await program.result();
    assert.equal(code, 0, stderr);
    const records = stderr.split("\n").filter((line) => line.includes("planted"));
    assert.equal(records.length, 1, `${what}: ${records.join("\n")}`);
    assert.match(records[0]!, /stack=/);
    assert.doesNotMatch(
      stderr,
      /client\.banned|upstream\.(lost|down|unreachable|protocol_error)|handshake\.failed/,
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

let copy = "";

Deno.test.beforeAll(() => {
  copy = makeCopy();
});

Deno.test.afterAll(() => Deno.removeSync(copy, { recursive: true }));

for (const [endpoint, plants] of [["echo", OWN], ["secure", SECURE], ["upstream", RELAYED]] as const) {
  for (const fault of plants) {
    Deno.test(`a fault of our own in ${fault[0]} (${endpoint}) is recorded, and all others go on`, {
      ignore: EXECUTABLE !== undefined || Deno.build.os === "windows",
    }, () => attack(fault, endpoint, copy));
  }
}
