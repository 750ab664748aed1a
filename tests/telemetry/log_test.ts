// The log: which events go where, and what is left when the disk, the folder or the process goes away.

import assert from "node:assert/strict";
import { StartError } from "../../src/core/errors.ts";
import { checkChain } from "../../src/telemetry/chain_check.ts";
import type { LogLevel } from "../../src/telemetry/event_declaration.ts";
import { EVENTS } from "../../src/telemetry/events.ts";
import { type OpenLog, openLog } from "../../src/telemetry/log.ts";

const IS_WINDOWS = Deno.build.os === "windows";

/** Opens a log in a fresh folder, with what the terminal shows in an array. */
async function withLog(
  level: LogLevel,
  use: (context: { open: OpenLog; terminal: string[]; folder: string; file: string }) => void | Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  const folder = `${root}/logs`;
  await Deno.mkdir(folder);
  const file = `${folder}/errors.log`;
  const terminal: string[] = [];
  const open = openLog({ level, file, writeTerminal: (line) => void terminal.push(line) });
  try {
    await use({ open, terminal, folder, file });
  } finally {
    open.close();
    await Deno.remove(root, { recursive: true });
  }
}

function linesOf(file: string): string[] {
  const text = Deno.readTextFileSync(file);
  assert.ok(text === "" || text.endsWith("\n"), "the file ends with a line break");
  return text.split("\n").slice(0, -1);
}

function eventsOf(lines: string[]): (string | undefined)[] {
  return lines.map((line) => line.split(" ")[2]);
}

Deno.test("shows events of the chosen level and above on the terminal, and keeps errors in the file", async () => {
  const events = ["server.stopped", "session.refused", "handler.error"] as const;
  assert.deepEqual(events.map((name) => EVENTS[name].level), ["info", "warning", "error"]);
  const shown: [LogLevel, number][] = [["debug", 3], ["info", 3], ["warning", 2], ["error", 1], ["fatal", 0]];
  for (const [level, count] of shown) {
    await withLog(level, ({ open, terminal, file }) => {
      for (const event of events) open.log(event);
      open.flush();
      assert.deepEqual(eventsOf(terminal), events.slice(events.length - count), level);
      assert.deepEqual(eventsOf(linesOf(file)), ["handler.error"], level);
    });
  }
});

Deno.test("writes the same line to both places, with a full UTC time in the file", async () => {
  await withLog("info", ({ open, terminal, file }) => {
    open.log("protocol.error", { connection: "3", reason: "reset by peer", peer: undefined });
    open.flush();
    const rest = `ERROR protocol.error connection=3 reason="reset by peer"`;
    const [kept = ""] = linesOf(file);
    const [time = ""] = kept.split(" ");
    assert.equal(new Date(time).toISOString(), time);
    assert.equal(kept, `${time} ${rest}`);
    assert.match(terminal[0] ?? "", /^\d\d:\d\d:\d\d\.\d{3} /);
    assert.ok(terminal[0]?.endsWith(` ${rest}`));
  });
});

Deno.test("does not look at the fields of an event whose level is off", async () => {
  await withLog("error", ({ open, terminal }) => {
    const fields = {
      get user(): string {
        throw new Error("was looked at");
      },
    };
    open.log("session.opened", fields);
    assert.deepEqual(terminal, []);
  });
});

Deno.test("keeps peer text in its line: no forged lines, escapes, templates or tokens", async () => {
  await withLog("info", ({ open, terminal, file }) => {
    const hostile = [
      "x\n2026-01-01T00:00:00.000Z ERROR handler.error forged",
      "x\r\nforged",
      "\x1b[2J\x1b]0;title\x07",
      "\x9b31m",
      "a\u2028b\u2029c",
      "\u202egnp.exe",
      `" level="fatal`,
      "\\",
      "{event} {*} {reason}",
      "%s %o %c",
      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
    ];
    for (const reason of hostile) open.log("protocol.error", { reason });
    open.flush();
    for (const lines of [terminal, linesOf(file)]) {
      assert.deepEqual(eventsOf(lines), hostile.map(() => "protocol.error"));
      for (const line of lines) {
        assert.doesNotMatch(line, /[\p{C}\p{Zl}\p{Zp}]/u);
        assert.doesNotMatch(line, /eyJ/);
      }
      const reasons = lines.map((line) => JSON.parse(line.slice(line.indexOf("reason=") + 7)));
      assert.deepEqual(reasons, [...hostile.slice(0, -1), "[token]"]);
    }
  });
});

Deno.test("goes on when the terminal or a field throws, and says so where it can, once", async () => {
  const file = await Deno.makeTempFile();
  const open = openLog({
    level: "info",
    file,
    writeTerminal: () => {
      throw new Error("the terminal is gone");
    },
  });
  const fields = {
    get detail(): string {
      throw new Error("a broken field");
    },
  };
  open.log("handler.error", fields);
  open.log("handler.error", { detail: "2" });
  open.close();
  const lines = linesOf(file);
  assert.deepEqual(eventsOf(lines), ["process.unhandled", "process.unhandled", "handler.error"]);
  assert.match(lines[1]!, /the terminal is gone.* stack=.*log_test\.ts/);
  assert.match(lines[0]!, /a broken field.* stack=.*log_test\.ts/);
  await Deno.remove(file);
});

Deno.test("keeps two logs of one process apart, and one goes on when the other is closed", async () => {
  await withLog("info", async (first) => {
    await withLog("warning", (second) => {
      first.open.log("server.stopped");
      second.open.log("server.stopped");
      second.open.log("handler.error");
    });
    first.open.log("protocol.error");
    first.open.flush();
    assert.deepEqual(eventsOf(first.terminal), ["server.stopped", "protocol.error"]);
    assert.deepEqual(eventsOf(linesOf(first.file)), ["protocol.error"]);
  });
});

Deno.test("ignores events after close, which may be called twice", async () => {
  await withLog("info", ({ open, terminal, file }) => {
    open.log("handler.error");
    open.close();
    open.log("handler.error");
    open.flush();
    open.close();
    assert.equal(terminal.length, 1);
    assert.equal(linesOf(file).length, 1);
  });
});

Deno.test("appends to a file that is there and leaves its mode alone", async () => {
  await withLog("info", ({ folder }) => {
    const file = `${folder}/old.log`;
    Deno.writeTextFileSync(file, "old line\n", { mode: 0o600 });
    const open = openLog({ level: "fatal", file });
    open.log("handler.error");
    open.close();
    assert.equal(linesOf(file)[0], "old line");
    assert.equal(linesOf(file).length, 2);
    if (!IS_WINDOWS) assert.equal((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);
  });
});

Deno.test({
  name: "creates the file with mode 0640, less what the umask takes",
  ignore: IS_WINDOWS,
  fn: async () => {
    await withLog("info", ({ file }) => {
      const mode = Deno.statSync(file).mode ?? 0;
      assert.equal(mode & 0o777 & ~0o640, 0, "nothing beyond 0640");
      assert.equal(mode & 0o600, 0o600);
    });
  },
});

Deno.test("refuses a file that can't be opened with a start error", async () => {
  await withLog("info", ({ folder }) => {
    for (const file of [folder, `${folder}/missing/errors.log`, ""]) {
      assert.throws(() => openLog({ level: "info", file }), (error: Error) => {
        assert.ok(error instanceof StartError);
        assert.match(error.message, /^Cannot open log file ".*": [^\n]+$/);
        return true;
      });
    }
  });
});

Deno.test("counts what a removed folder swallows, tells the terminal once, and reports the count", async () => {
  await withLog("error", ({ open, terminal, folder, file }) => {
    open.log("handler.error", { detail: "0" });
    open.flush();
    Deno.removeSync(folder, { recursive: true });
    for (const number of [1, 2, 3]) {
      open.log("handler.error", { detail: String(number) });
      if (number !== 2) open.flush();
    }
    open.flush();
    assert.equal(eventsOf(terminal).filter((event) => event === "log.write_failed").length, 1);

    Deno.mkdirSync(folder);
    open.log("handler.error", { detail: "4" });
    open.flush();
    const [lost, last, ...more] = linesOf(file);
    assert.match(lost ?? "", /ERROR log\.records_lost .* count=3$/);
    assert.match(last ?? "", /detail=4$/);
    assert.deepEqual(more, []);

    Deno.removeSync(folder, { recursive: true });
    open.log("handler.error", { detail: "5" });
    open.flush();
    assert.equal(eventsOf(terminal).filter((event) => event === "log.write_failed").length, 2);
  });
});

Deno.test("follows its name when the file is rotated", async () => {
  await withLog("error", ({ open, file }) => {
    open.log("handler.error", { detail: "1" });
    open.flush();
    Deno.renameSync(file, `${file}.1`);
    open.log("handler.error", { detail: "2" });
    open.flush();
    assert.match(linesOf(`${file}.1`).join(), /detail=1$/);
    assert.match(linesOf(file).join(), /detail=2$/);
  });
});

Deno.test("writes JSON to both places, chained in the file, also when records were lost", async () => {
  await withLog("info", ({ folder }) => {
    const file = `${folder}/chained.log`;
    const terminal: string[] = [];
    const writeTerminal = (line: string) => void terminal.push(line);
    const open = openLog({ level: "info", file, format: "json", chain: true, writeTerminal });
    open.log("protocol.error", { rule: "message_size", code: 1009, limit: 10, value: 11 });
    open.flush();
    Deno.removeSync(folder, { recursive: true });
    open.log("handler.error", { detail: "lost" });
    open.flush();
    Deno.mkdirSync(folder);
    open.log("handler.error", { detail: "kept" });
    open.close();

    const [first, second, third] = terminal.map((line) => JSON.parse(line));
    assert.equal(new Date(first.time).toISOString(), first.time);
    const { time: _, ...rest } = first;
    const message = EVENTS["protocol.error"].text;
    const fields = { rule: "message_size", code: 1009, limit: 10, value: 11 };
    assert.deepEqual(rest, { level: "error", event: "protocol.error", message, ...fields });
    assert.equal(second.event, "handler.error");
    assert.equal(third.event, "log.write_failed");

    const kept = linesOf(file).map((line) => JSON.parse(line));
    assert.deepEqual(kept.map(({ event, count, detail }) => [event, count ?? detail]), [
      ["log.records_lost", 1],
      ["handler.error", "kept"],
    ]);
    const check = checkChain([{ name: file, bytes: Deno.readFileSync(file) }]);
    assert.ok(check.ok);
    assert.equal(check.isFromStart, false, "the file before was removed");
  });
});

Deno.test("rotates by size, and says on the terminal when it can't", async () => {
  await withLog("fatal", ({ folder }) => {
    const file = `${folder}/small.log`;
    const terminal: string[] = [];
    const writeTerminal = (line: string) => void terminal.push(line);
    const open = openLog({ level: "fatal", file, maxSize: 100, maxFiles: 1, writeTerminal });
    open.log("handler.error", { detail: "1" });
    open.log("handler.error", { detail: "2" });
    open.flush();
    assert.match(linesOf(`${file}.1`).join(), /detail=1$/);
    assert.match(linesOf(file).join(), /detail=2$/);
    Deno.removeSync(`${file}.1`);
    Deno.mkdirSync(`${file}.1`);
    open.log("handler.error", { detail: "3" });
    open.close();
    assert.equal(linesOf(file).length, 2);
    assert.deepEqual(eventsOf(terminal), ["log.rotation_failed"]);
  });
});

const DEATHS: [death: string, permissions: string[], code: number][] = [
  ["end", [], 0],
  ["end", ["--allow-read"], 0],
  ["exit", ["--allow-read"], 7],
  ["error", ["--allow-read"], 1],
  ["rejection", ["--allow-read"], 1],
  ["SIGTERM", ["--allow-read"], 0],
  ["SIGINT", ["--allow-read"], 0],
];

for (const [death, permissions, code] of DEATHS) {
  const name = `loses no line when the process dies by ${death}, with ${["write", ...permissions].join(" ")}`;
  Deno.test({ name, ignore: IS_WINDOWS && death.startsWith("SIG"), fn: () => die(death, permissions, code) });
}

async function die(death: string, permissions: string[], code: number): Promise<void> {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/errors.log`;
  const program = new URL("./dying_program.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", `--allow-write=${folder}`, ...permissions, program, death, file],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const deadline = setTimeout(() => child.kill("SIGKILL"), 60_000);
  try {
    const stderr = new Response(child.stderr).text();
    const reader = child.stdout.getReader();
    // The program says on stdout when its handlers are set and all lines are logged.
    const { done } = await reader.read();
    if (!done && death.startsWith("SIG")) child.kill(death as Deno.Signal);
    while (!(await reader.read()).done);
    const status = await child.status;
    const shown = await stderr;
    assert.equal(status.code, code, `the program ends by ${death}: ${shown.slice(-500)}`);
    assert.deepEqual(
      linesOf(file).map((line) => line.split(" ").at(-1)),
      Array.from({ length: 100 }, (_, number) => `detail=${number}`),
    );
    assert.equal(shown.split("\n").filter((line) => / detail=\d+$/.test(line)).length, 100);
  } finally {
    clearTimeout(deadline);
    await Deno.remove(folder, { recursive: true });
  }
}
