// Tests of the store of revocations: what they cover, and that the state file keeps them through restarts and kills.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { StartError } from "../../src/core/errors.ts";
import { type Revocation, RevocationStore } from "../../src/endpoints/sessions/revocation_store.ts";
import { MAX_USED_TOKENS, StateFileError } from "../../src/endpoints/sessions/state_file.ts";
import { ManualClock, within } from "./harness.ts";
import { identityOf } from "./session_harness.ts";

const ON_WINDOWS = Deno.build.os === "windows";

async function withFolder(test: (path: string, folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(`${folder}/state.db`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function jti(value: string, ttlMs = 60_000): Parameters<RevocationStore["add"]>[0] {
  return { kind: "jti", value, jtis: [value], ttlMs };
}

function assertRefused(path: string, state: string | RegExp): void {
  assert.throws(() => new RevocationStore({ path }).close(), (error) => {
    assert.ok(error instanceof StartError);
    const start = `Cannot use state file "${path}": `;
    assert.ok(error.message.startsWith(start), error.message);
    const rest = error.message.slice(start.length);
    if (typeof state === "string") assert.equal(rest, state);
    else assert.match(rest, state);
    return true;
  });
}

for (const kind of ["memory", "a state file"]) {
  Deno.test(`in ${kind} a revocation lasts for its time to live and not a moment longer`, async () => {
    await withFolder((path) => {
      const clock = new ManualClock();
      const store = new RevocationStore({ clock, path: kind === "memory" ? undefined : path });
      const revocation = store.add(jti("a", 1000));
      assert.deepEqual(store.list(), [revocation]);
      assert.deepEqual(revocation, {
        id: revocation.id,
        kind: "jti",
        value: "a",
        jtis: ["a"],
        revokedAtMs: clock.now(),
        expiresAtMs: clock.now() + 1000,
      });
      clock.advance(999);
      assert.ok(store.covers(identityOf({ jti: "a" })));
      clock.advance(1);
      assert.ok(!store.covers(identityOf({ jti: "a" })));
      assert.deepEqual(store.list(), []);
      assert.equal(store.remove(revocation.id), false);
      store.close();
      store.close();
    });
  });
}

for (const kind of ["memory", "a state file"]) {
  Deno.test(`in ${kind} the later revocation of one thing replaces the earlier, for the longer time of both`, async () => {
    await withFolder((path) => {
      const clock = new ManualClock();
      const options = { clock, path: kind === "memory" ? undefined : path };
      let store = new RevocationStore(options);
      for (const [kind, identity] of [["jti", { jti: "a" }], ["user", { user: "a" }]] as const) {
        const add = (ttlMs: number) =>
          store.add({ kind, value: "a", jtis: kind === "jti" ? ["a"] : [], ttlMs });
        const long = add(2000);
        clock.advance(1);
        const short = add(1000);
        assert.equal(short.expiresAtMs, long.expiresAtMs);
        assert.deepEqual(store.list(), [short]);
        clock.advance(1998);
        if (kind === "user" && options.path !== undefined) {
          store.close();
          store = new RevocationStore(options);
          assert.deepEqual(store.list(), [short]);
        }
        assert.ok(store.covers(identityOf(identity)));
        assert.ok(store.remove(short.id));
        assert.ok(!store.covers(identityOf(identity)));
        assert.deepEqual(store.list(), []);
      }
      store.close();
    });
  });
}

Deno.test("a clock that was set back does not take a revocation back", () => {
  const clock = new ManualClock();
  const store = new RevocationStore({ clock });
  const iat = clock.now() / 1000;
  store.add({ kind: "user", value: "alice", jtis: [], ttlMs: 60_000 });
  clock.jump(-3600_000);
  store.add({ kind: "user", value: "alice", jtis: [], ttlMs: 60_000 });
  assert.ok(store.covers(identityOf({ iat })));
});

Deno.test("a revoked user's token is covered up to the clock tolerance ahead, and no further", () => {
  const clock = new ManualClock();
  const store = new RevocationStore({ clock, clockToleranceMs: 5000 });
  const nowS = clock.now() / 1000;
  store.add({ kind: "user", value: "alice", jtis: [], ttlMs: 60_000 });
  for (const [ahead, isCovered] of [[-1, true], [0, true], [5, true], [5.001, false], [6, false]] as const) {
    assert.equal(store.covers(identityOf({ iat: nowS + ahead })), isCovered, String(ahead));
  }
  assert.ok(store.covers(identityOf({})));
});

Deno.test("a hundred thousand revocations of one user are one, in the file of an earlier version too", async () => {
  await withFolder((path) => {
    const count = 100_000;
    const database = makeFirstVersion(path);
    const insert = database.prepare("INSERT INTO revocations VALUES (?, ?, ?)");
    database.exec("BEGIN");
    const expiresAtMs = Date.now() + 60_000;
    for (let number = 0; number < count; number++) {
      const row = {
        id: String(number),
        kind: "user",
        value: "alice",
        jtis: [],
        revokedAtMs: number,
        expiresAtMs,
      };
      insert.run(row.id, expiresAtMs, JSON.stringify(row));
    }
    database.exec("COMMIT");
    database.close();
    const store = new RevocationStore({ path });
    assert.deepEqual(store.list().map(({ id }) => id), [String(count - 1)]);
    assert.ok(store.remove(String(count - 1)));
    store.close();
    assert.deepEqual(readUsers(path), []);
  });
});

Deno.test("a jti and a user with the same name are two things", () => {
  const store = new RevocationStore();
  store.add(jti("alice"));
  assert.ok(!store.covers(identityOf({ user: "alice" })));
  store.add({ kind: "user", value: "bob", jtis: [], ttlMs: 1000 });
  assert.ok(!store.covers(identityOf({ user: "carol", jti: "bob" })));
  for (const user of ["__proto__", "constructor"]) assert.ok(!store.covers(identityOf({ user, jti: user })));
});

Deno.test("what was added and taken back is known after a restart", async () => {
  await withFolder((path) => {
    const clock = new ManualClock();
    const store = new RevocationStore({ path, clock });
    const odd = `'; DROP TABLE revocations; -- \u{1f600}\u0000"`;
    const kept = [
      store.add({ kind: "session", value: "s1", jtis: ["a", odd], ttlMs: 60_000 }),
      store.add({ kind: "user", value: odd, jtis: [], ttlMs: 60_000 }),
    ];
    store.remove(store.add(jti("taken back")).id);
    store.add(jti("short", 1000));
    store.close();
    clock.advance(1000);

    const again = new RevocationStore({ path, clock });
    assert.deepEqual(again.list(), kept);
    assert.ok(again.covers(identityOf({ jti: odd })));
    assert.ok(again.covers(identityOf({ user: odd })));
    assert.ok(!again.covers(identityOf({ jti: "taken back" })));
    again.close();
  });
});

Deno.test("rows that have run out are swept out of the file", async () => {
  await withFolder((path) => {
    const clock = new ManualClock();
    const store = new RevocationStore({ path, clock });
    for (const name of ["a", "b", "c"]) store.add(jti(name, 1000));
    clock.advance(1000);
    store.add(jti("d"));
    store.close();
    const database = new DatabaseSync(path);
    assert.equal(database.prepare("SELECT count(*) AS n FROM revocations").get()?.["n"], 1);
    database.close();
  });
});

Deno.test("nothing that was acknowledged is lost when the process is killed", async () => {
  await withFolder(async (path) => {
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        `--allow-read=${path},${path}-wal,${path}-shm,${path}-journal`,
        `--allow-write=${path},${path}-wal,${path}-shm,${path}-journal`,
        new URL("revoking_program.ts", import.meta.url).pathname,
        path,
      ],
      stdout: "piped",
    });
    for (const enough of [20, 1, 50]) {
      const child = command.spawn();
      let text = "";
      let isKilled = false;
      const read = async () => {
        for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
          text += part;
          if (!isKilled && text.split("\n").length > enough) {
            isKilled = true;
            child.kill("SIGKILL");
          }
        }
      };
      await within("the revocations", read());
      assert.equal((await child.status).signal, "SIGKILL");
      // The last line may have been cut off by the kill.
      const acknowledged = Number(text.slice(0, text.lastIndexOf("\n")).split("\n").at(-1));
      const users = readUsers(path);
      for (let number = 0; number <= acknowledged; number++) assert.ok(users.includes(`user${number}`));
    }
  });
});

function readUsers(path: string): string[] {
  const store = new RevocationStore({ path });
  const users = store.list().map(({ value }) => value);
  store.close();
  return users;
}

Deno.test({
  name: "only its user can read the file and its journal",
  ignore: ON_WINDOWS,
  fn: async () => {
    await withFolder((path, folder) => {
      const store = new RevocationStore({ path });
      store.add(jti("a"));
      for (const { name } of Deno.readDirSync(folder)) {
        assert.equal(Deno.statSync(`${folder}/${name}`).mode! & 0o777, 0o600, name);
      }
      store.close();
      Deno.chmodSync(path, 0o640);
      assertRefused(path, "it is open to others (mode 0640); its mode must be 0600");
    });
  },
});

Deno.test("one file serves one process", async () => {
  await withFolder((path) => {
    const store = new RevocationStore({ path });
    assertRefused(path, "another process uses it");
    store.add(jti("a"));
    store.close();
    new RevocationStore({ path }).close();
  });
});

Deno.test("a file that is no database is refused and left as it is", async () => {
  await withFolder(async (path) => {
    const text = "not a database, whatever its name says ".repeat(100);
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    assertRefused(path, "file is not a database");
    assert.equal(await Deno.readTextFile(path), text);
  });
});

Deno.test("the database of another program is refused and left as it is", async () => {
  await withFolder(async (path) => {
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE places (name TEXT)");
    database.close();
    const before = await Deno.readFile(path);
    assertRefused(path, "it is the database of another program");
    assert.deepEqual(await Deno.readFile(path), before);
  });
});

Deno.test("a file of a later format is refused", async () => {
  await withFolder((path) => {
    new RevocationStore({ path }).close();
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 3");
    database.close();
    assertRefused(path, "it has the format 3, this version of the program reads 2");
  });
});

/** An empty state file as the first version of the format has it. */
function makeFirstVersion(path: string): DatabaseSync {
  Deno.writeTextFileSync(path, "", { mode: 0o600 });
  const database = new DatabaseSync(path);
  database.exec(`
    CREATE TABLE revocations (
      id TEXT PRIMARY KEY,
      expires_at_ms REAL NOT NULL,
      revocation TEXT NOT NULL
    ) STRICT;
    PRAGMA application_id = ${0x77737764};
    PRAGMA user_version = 1;
  `);
  return database;
}

const ROW = { id: "r1", kind: "user", value: "alice", jtis: [], revokedAtMs: 1, expiresAtMs: 8e15 };

for (
  const [what, change] of [
    ["no expiry", { expiresAtMs: undefined }],
    ["an expiry that is text", { expiresAtMs: "8e15" }],
    ["an expiry that is not that of its row", { expiresAtMs: 8e15 + 1 }],
    ["no moment", { revokedAtMs: undefined }],
    ["an unknown kind", { kind: "everybody" }],
    ["a number as value", { value: 5 }],
    ["no value", { value: "" }],
    ["no list of names", { jtis: "a" }],
    ["a name that is a number", { jtis: [1] }],
    ["another id", { id: "r2" }],
  ] as const
) {
  Deno.test(`a state file with a row with ${what} is refused`, async () => {
    await withFolder((path) => {
      new RevocationStore({ path }).close();
      const database = new DatabaseSync(path);
      database.prepare("INSERT INTO revocations VALUES (?, ?, ?)").run(
        "r1",
        8e15,
        JSON.stringify({ ...ROW, ...change }),
      );
      database.close();
      assertRefused(path, 'the revocation "r1" is not as this program writes it');
    });
  });
}

for (
  const [what, sql] of [
    ["a trigger", "CREATE TRIGGER t BEFORE INSERT ON revocations BEGIN SELECT RAISE(IGNORE); END"],
    ["a table of another program", "CREATE TABLE places (name TEXT)"],
    ["an index", "CREATE UNIQUE INDEX i ON revocations (expires_at_ms)"],
    ["a view", "CREATE VIEW v AS SELECT * FROM revocations"],
    [
      "a table without its rules",
      "DROP TABLE revocations; CREATE TABLE revocations (id, expires_at_ms, revocation)",
    ],
    ["a table missing", "DROP TABLE used_tokens"],
  ] as const
) {
  Deno.test(`a state file with ${what} is refused`, async () => {
    await withFolder((path) => {
      new RevocationStore({ path }).close();
      const database = new DatabaseSync(path);
      database.exec(sql);
      database.close();
      assertRefused(path, /is not as this program makes it$|^a table is missing in it$/);
    });
  });
}

/** Adds rows to a state file, numbered from 1. */
function addRows(path: string, count: number, sql: string): void {
  new RevocationStore({ path }).close();
  const database = new DatabaseSync(path);
  database.exec(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) ${sql}`,
  );
  database.close();
}

Deno.test("a state file with more used tokens than there can be is refused before they are read; old ones are not counted", async () => {
  const most = 2 * MAX_USED_TOKENS;
  for (
    const [count, expires, isRefused] of [[most, 8e15, false], [most + 1, 8e15, true], [
      most + 1,
      1,
      false,
    ]] as const
  ) {
    await withFolder((path) => {
      addRows(path, count, `INSERT INTO used_tokens SELECT '"' || i || '"', ${expires} FROM n`);
      if (isRefused) return assertRefused(path, `it has more than ${most} used tokens`);
      const store = new RevocationStore({ path });
      assert.equal(store.file?.usedTokens.length, expires === 1 ? 0 : count);
      store.close();
    });
  }
});

Deno.test("a state file with more revocations than there can be, or a used token as long as none, is refused before it is read", async () => {
  for (
    const [count, sql, state] of [
      [262_145, "INSERT INTO revocations SELECT i, 8e15, '{}' FROM n", "it has more than 262144 revocations"],
      [
        262_144,
        "INSERT INTO revocations SELECT i, 8e15, '{}' FROM n",
        'the revocation "1" is not as this program writes it',
      ],
      [
        1,
        `INSERT INTO used_tokens VALUES ('"' || hex(zeroblob(32768)) || '"', 8e15)`,
        "a used token is not as this program writes it",
      ],
    ] as const
  ) {
    await withFolder((path) => {
      addRows(path, count, sql);
      assertRefused(path, state);
    });
  }
});

Deno.test("what can't be stored is said, and is revoked all the same until the process ends", async () => {
  for (const replace of [false, true]) {
    await withFolder((path) => {
      const store = new RevocationStore({ path });
      const kept = store.add(jti("kept"));
      Deno.removeSync(path);
      if (replace) Deno.writeTextFileSync(path, "", { mode: 0o600 });
      assert.throws(() => store.add(jti("lost")), StateFileError);
      assert.ok(store.covers(identityOf({ jti: "lost" })));
      assert.throws(() => store.remove(kept.id), StateFileError);
      assert.ok(store.covers(identityOf({ jti: "kept" })));
      assert.equal(store.list().length, 2);
      store.close();
    });
  }
});

Deno.test("a damaged file is refused", async () => {
  await withFolder(async (path) => {
    const store = new RevocationStore({ path });
    for (let number = 0; number < 200; number++) store.add(jti(`jti${number}`));
    store.close();
    const bytes = await Deno.readFile(path);
    bytes.fill(0xa5, 4096, bytes.length);
    await Deno.writeFile(path, bytes);
    assertRefused(path, /malformed|damaged/);
    await Deno.writeFile(path, bytes.subarray(0, 1000));
    assertRefused(path, /./);
  });
});

Deno.test("a file whose damage touches no row is refused too", async () => {
  await withFolder(async (path) => {
    const store = new RevocationStore({ path });
    store.add(jti("a"));
    store.close();
    const bytes = await Deno.readFile(path);
    // How many unused pages there are, as the header says: there is none.
    bytes[39] = 5;
    await Deno.writeFile(path, bytes);
    assertRefused(path, "it is damaged");
  });
});

Deno.test("an empty file, as a full disk leaves it, is taken over", async () => {
  await withFolder(async (path) => {
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    const store = new RevocationStore({ path });
    store.add(jti("a"));
    store.close();
    assert.equal(readUsers(path).length, 1);
  });
});

Deno.test("a place that can't be used is refused in words", async () => {
  await withFolder((_, folder) => {
    assertRefused(`${folder}/missing/state.db`, "its folder does not exist");
    assertRefused(folder, "it is not a regular file");
  });
});

Deno.test("what other nodes revoke and take back is in the file, and nothing else is written for it", async () => {
  await withFolder((path) => {
    const clock = new ManualClock();
    const made = (id: string, value: string, ttlMs = 60_000): Revocation => {
      const revokedAtMs = clock.now();
      return { id, kind: "jti", value, jtis: [value], revokedAtMs, expiresAtMs: revokedAtMs + ttlMs };
    };
    const store = new RevocationStore({ path, clock });
    const own = store.add(jti("own"));
    store.merge([made("1", "a"), made("2", "b"), made("3", "a", 90_000), made("0", "b", 90_000)], []);
    store.merge([made("4", "c"), made("5", "c")], ["2", "unknown"]);
    store.merge([{ ...made("3", "a", 120_000) }], []);
    const all = store.list();
    assert.deepEqual(all.map(({ id, value }) => [id, value]), [[own.id, "own"], ["5", "c"], ["3", "a"]]);
    assert.equal(all[2]!.expiresAtMs, clock.now() + 120_000);
    store.close();
    const again = new RevocationStore({ path, clock });
    assert.deepEqual(again.list(), all);

    const written: string[] = [];
    const { file } = again;
    file!.putAllRevocations = () => assert.fail("all of them must not be written again");
    const change = file!.changeRevocations.bind(file);
    file!.changeRevocations = (removedIds, added) => {
      const [gone, put] = [[...removedIds], [...added]];
      written.push(...gone, ...put.map(({ id }) => id));
      change(gone, put);
    };
    again.merge([made("6", "d")], ["5"]);
    assert.deepEqual(written, ["5", "6"]);
    again.close();
  });
});
