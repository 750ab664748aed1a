// The command `top`: its picture at any width, on a terminal and elsewhere.

import assert from "node:assert/strict";
import type { Status } from "../../src/admin/status.ts";
import { formatTop } from "../../src/cli/commands/top_command.ts";
import type { Program } from "../support/process.ts";
import { adminCommand, startAdministered, stop, succeed } from "./admin_harness.ts";

const STATUS: Status = {
  version: "0.1.0",
  uptime_seconds: 3725.9,
  ready: false,
  problems: ["the endpoint echo is down"],
  endpoints: [{
    name: "echo",
    url: "ws://127.0.0.1:8765/",
    connections_open: 9999,
    send_queue_bytes: 0,
    totals: totals(1e9),
    rates: totals(123456.789),
  }],
  connections_open: 9999,
  totals: totals(1e9),
  rates: totals(123456.789),
  rates_window_seconds: 1.04,
  upstreams: [],
  refusals: { forbidden: 12, too_many: 40 },
  closes: { "1000": 5 },
  violations: {},
  authentications: { ok: 1 },
  sessions_open: 2,
  bans_active: 1,
  throttled_seconds: 2.5,
  buffered_bytes: 2048,
  resident_bytes: 100 * 2 ** 20,
  lag_seconds: 0.0012,
};

function totals(value: number): Status["totals"] {
  return {
    connections: value,
    refusals: value,
    closes: value,
    violations: value,
    messages_in: value,
    messages_out: value,
    bytes_in: value,
    bytes_out: value,
  };
}

Deno.test("the picture of top fits the terminal, and nothing in a record can paint it", () => {
  const events = Array.from({ length: 200 }, (_, i) => ({
    time: "2030-01-02T03:04:05.678Z",
    level: "info",
    event: "session.opened",
    message: "Session opened",
    number: i,
    user: `\x1b[31m\u202e${"long".repeat(50)}`,
  }));
  const lines = formatTop(STATUS, events, { columns: 80, rows: 24 }).split("\n");
  assert.ok(lines.length <= 24, String(lines.length));
  for (const line of lines) assert.ok(line.length <= 80, line);
  const text = lines.join("\n");
  assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{C}]/u);
  assert.match(lines[0]!, /^wsward 0\.1\.0 {2}up 1h2m5s {2}NOT READY: the endpoint echo is down$/);
  assert.match(text, /^echo +10\.0k +123k +123k +123k +123k +121k +121k$/m);
  assert.match(text, /^Refused +too_many 40, forbidden 12$/m);
  assert.match(text, /^Lag +1\.2 ms$/m);
  assert.match(lines.at(-1)!, /^03:04:05 info session\.opened number=199 user=/);
  assert.equal(formatTop(STATUS, events, { columns: 80, rows: 5 }).split("\n").at(-1), lines.at(-1));
});

Deno.test("the picture of top shows all that it has at any width: lists go on in the next line", () => {
  const status: Status = {
    ...STATUS,
    problems: ["the endpoint echo is down", "all upstreams are down"],
    upstreams: [
      {
        name: "ws://192.0.2.1:9000/",
        up: true,
        connections_open: 5,
        connects: { ok: 1500 },
        connect_seconds_mean: 0.0124,
      },
      {
        name: "ws://192.0.2.2:9000/",
        up: false,
        connections_open: 0,
        connects: { timeout: 3, tls: 0 },
        connect_seconds_mean: 0,
      },
    ],
    refusals: { handshake_rate: 33_333, max_connections_per_ip: 1200, origin: 120, host: 7 },
  };
  const record = {
    time: "2030-01-02T03:04:05Z",
    level: "info",
    event: "e",
    connection: "c",
    peer: "192.0.2.1",
  };
  for (const columns of [60, 80, 120, 0]) {
    const lines = formatTop(status, [record], { columns, rows: 40 }).split("\n");
    for (const line of lines) assert.ok(line.length <= (columns || 40), line);
    const text = lines.join(" ").replaceAll(/ +/g, " ");
    for (
      const shown of [
        "the endpoint echo is down, all upstreams are down",
        "Refused handshake_rate 33333, max_connections_per_ip 1200, origin 120, host 7",
      ]
    ) assert.ok(text.includes(shown), `${columns}: ${text}`);
    if (columns === 0) continue;
    assert.match(text, /ws:\/\/192\.0\.2\.1:9000\/ up 5 1\.5k 12\.4 ms none/);
    assert.match(text, /ws:\/\/192\.0\.2\.2:9000\/ DOWN 0 0 - timeout 3 /);
    assert.equal(lines.at(-1), "03:04:05 info e peer=192.0.2.1 connection=c");
  }
});

Deno.test("top prints one picture where the output is no terminal", async () => {
  await using program = startAdministered();
  await program.port("echo");
  for (const args of [["top"], ["top", "--once"]]) {
    const text = await succeed(program, ...args);
    assert.match(text, /^wsward \d.* ready\n/);
    assert.match(text, /\necho +0 +0 /);
    assert.ok(!text.includes("\x1b"));
  }
  await stop(program);
});

/** Runs `top` in a pseudo-terminal, types `keys` after its second picture, and returns all that it wrote. */
async function runTop(program: Program, keys: string): Promise<{ code: number; text: string }> {
  const command = await adminCommand(program, ["top"]);
  const quoted = [command.path, ...command.args].map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("script", {
    ...command,
    args: ["-qec", `stty rows 24 cols 80; ${quoted}; code=$?; stty -a; exit $code`, "/dev/null"],
    cwd: program.folder,
    env: { ...command.env, TERM: "xterm" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  let text = "";
  let isTyped = false;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (isTyped || text.split("\x1b[H").length < 3) continue;
    isTyped = true;
    await writer.write(new TextEncoder().encode(keys));
  }
  await writer.close().catch(() => {});
  return { code: (await child.status).code, text };
}

const hasPseudoTerminal = Deno.build.os === "linux" &&
  await new Deno.Command("script", { args: ["-V"], stdout: "null", stderr: "null" }).output().then(
    ({ success }) => success,
    () => false,
  );

for (const [name, keys] of [["q", "q"], ["Ctrl-C", "\x03"]] as const) {
  Deno.test({
    name: `top redraws in a terminal until ${name}, and leaves it as it was`,
    ignore: !hasPseudoTerminal,
    async fn() {
      await using program = startAdministered();
      await program.port("echo");
      const { code, text } = await runTop(program, keys);
      assert.equal(code, 0, text);
      assert.ok(text.includes("\x1b[?1049h\x1b[?25l"));
      const [picture = "", after = ""] = text.split("\x1b[?25h\x1b[?1049l");
      assert.match(picture, /wsward \d/);
      assert.match(after, /[^-]icanon/);
      assert.match(after, /[^-]echo\b/);
      await stop(program);
    },
  });
}
