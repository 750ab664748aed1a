// The settings file in both languages: what each kind of setting takes, and the message, with its line, about the rest.

import assert from "node:assert/strict";
import {
  type ConfigFile,
  MAX_CONFIG_SIZE_BYTES,
  parseConfigFile,
  readConfigFile,
} from "../../src/config/config_file.ts";
import { StartError } from "../../src/core/errors.ts";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import { SETTING_NAMES } from "../../src/core/settings/declarations.ts";
import { keyOf } from "../../src/core/settings/settings.ts";

async function parse(path: string, text: string): Promise<ConfigFile> {
  return await parseConfigFile(path, new TextEncoder().encode(text));
}

function givenIn({ given }: ConfigFile): Readonly<Record<string, readonly [GivenValue, string]>> {
  return Object.fromEntries(Array.from(given, ([name, { value, label }]) => [name, [value, label]]));
}

async function assertMistakes(path: string, text: string, ...expected: readonly string[]): Promise<void> {
  assert.deepEqual((await parse(path, text)).mistakes, expected);
}

const TOML = `# Text, a number, a switch, a list
host = "0.0.0.0"
echo-port = 0
"secure-port" = 9_000
echo = false
deny-ip = [
  "10.0.0.0/8", # private, with a ] and a "
  '192.0.2.7',
]
max-connections = "unlimited"
idle-timeout = '10s'
message-rate = "50/s"
echo-prefix = """
two
lines """
audience = []
max-fragments = 5`;

const JSON_TEXT = `{
  "host": "0.0.0.0",
  "echo-port": 0, "secure-port": 9e3,
  "echo": false,
  "deny-ip": [
    "10.0.0.0/8",
    "192.0.2.\\u0037"
  ],
  "max-connections": "unlimited"
}
`;

Deno.test("reads every kind of value from TOML, each with the line of its key", async () => {
  const file = await parse("a.toml", TOML);
  assert.deepEqual(file.mistakes, []);
  assert.deepEqual(givenIn(file), {
    host: ["0.0.0.0", "a.toml:2"],
    echoPort: ["0", "a.toml:3"],
    securePort: ["9000", "a.toml:4"],
    echo: [false, "a.toml:5"],
    denyIp: [["10.0.0.0/8", "192.0.2.7"], "a.toml:6"],
    maxConnections: ["unlimited", "a.toml:10"],
    idleTimeout: ["10s", "a.toml:11"],
    messageRate: ["50/s", "a.toml:12"],
    echoPrefix: ["two\nlines ", "a.toml:13"],
    audience: [[], "a.toml:16"],
    maxFragments: ["5", "a.toml:17"],
  });
  assert.deepEqual(file.unknown, new Set());
});

Deno.test("reads every kind of value from JSON, each with the line of its key", async () => {
  const file = await parse("a.json", JSON_TEXT);
  assert.deepEqual(file.mistakes, []);
  assert.deepEqual(givenIn(file), {
    host: ["0.0.0.0", "a.json:2"],
    echoPort: ["0", "a.json:3"],
    securePort: ["9000", "a.json:3"],
    echo: [false, "a.json:4"],
    denyIp: [["10.0.0.0/8", "192.0.2.7"], "a.json:5"],
    maxConnections: ["unlimited", "a.json:9"],
  });
});

for (const [path, text] of [["a.toml", TOML], ["a.json", JSON_TEXT]] as const) {
  Deno.test(`reads ${path} with Windows line ends and a byte order mark alike`, async () => {
    const plain = await parse(path, text.replace(/"""[^]*"""/, '"x"'));
    const windows = `\ufeff${text.replace(/"""[^]*"""/, '"x"').replaceAll("\n", "\r\n")}`;
    assert.deepEqual(await parse(path, windows), plain);
  });
}

Deno.test("a file may give nothing, if it says so", async () => {
  for (const [path, text] of [["a.toml", "# nothing"], ["a.json", "{}"]] as const) {
    const { given, unknown, mistakes } = await parse(path, text);
    assert.deepEqual([given.size, unknown.size, mistakes], [0, 0, []]);
  }
});

const WRONG_VALUES: readonly (readonly [toml: string, json: string, expected: string])[] = [
  ["echo-port = 65536", '"echo-port": 65536', "echo-port 65536: it must be from 0 to 65535"],
  ["echo-port = -1", '"echo-port": -1', "echo-port -1: it must be from 0 to 65535"],
  ["echo-port = 1.5", '"echo-port": 1.5', "echo-port 1.5: it must be from 0 to 65535"],
  ["echo-port = 1e999", '"echo-port": 1e999', "echo-port 1e999: it must be from 0 to 65535"],
  ['echo-port = "1"', '"echo-port": "1"', 'echo-port "1": it must be a number, from 0 to 65535'],
  ["echo-port = true", '"echo-port": true', "echo-port true: it must be a number, from 0 to 65535"],
  [
    'ban-after = "x"',
    '"ban-after": "x"',
    'ban-after "x": it must be a number, from 1 to 1000000, or off',
  ],
  ['ban-after = "5"', '"ban-after": "5"', 'ban-after "5": it must be a number, from 1 to 1000000, or off'],
  ['echo = "false"', '"echo": "false"', 'echo "false": it must be true or false, without quotes'],
  ["echo = 0", '"echo": 0', "echo 0: it must be true or false, without quotes"],
  ["ban-time = 10", '"ban-time": 10', "ban-time 10: it must be a string, from 1s to 30d; write 10s"],
  ['ban-time = "0s"', '"ban-time": "0s"', 'ban-time "0s": it must be from 1s to 30d'],
  ['ban-time = "off"', '"ban-time": "off"', 'ban-time "off": it must be from 1s to 30d'],
  ['log-format = "xml"', '"log-format": "xml"', 'log-format "xml": it must be one of text, json'],
  [
    'key-file = ["a"]',
    '"key-file": ["a"]',
    "key-file [...]: it must be a string, at least one character, and no control characters",
  ],
  [
    "log-level = {a = 1}",
    '"log-level": {"a": 1}',
    "log-level {...}: it must be a string, one of debug, info, warning, error, fatal",
  ],
  [
    'allow-host = "a"',
    '"allow-host": "a"',
    'allow-host "a": it must be an array of strings, each a host name without a port',
  ],
  [
    'allow-host = ["a", 1]',
    '"allow-host": ["a", 1]',
    "allow-host 1: it must be a string, a host name without a port",
  ],
  [
    'allow-host = ["a:1"]',
    '"allow-host": ["a:1"]',
    'allow-host "a:1": it must be a host name without a port',
  ],
  [
    'jwks-url = "http://me:secret@example.com/"',
    '"jwks-url": "http://me:secret@example.com/"',
    'jwks-url "http://...@example.com/": it must be an https URL, or http on loopback, without credentials or fragment',
  ],
  [
    'redis = "redis://me:secret"',
    '"redis": "redis://me:secret"',
    'redis "...": it must be redis://host:port, rediss://host:port for TLS or unix:///path.sock, ' +
    "with name:password and an at sign after the // if it asks for them",
  ],
];

for (const [toml, json, expected] of WRONG_VALUES) {
  Deno.test(`tells what is wrong with ${toml}`, async () => {
    await assertMistakes("a.toml", `\n${toml}\n`, `a.toml:2: Cannot use ${expected}`);
    await assertMistakes("a.json", `{\n${json}}`, `a.json:2: Cannot use ${expected}`);
  });
}

Deno.test("null is no value, and a date is none", async () => {
  const rule = "it must be a string, at least one character, and no control characters";
  await assertMistakes("a.json", '{"issuer": null}', `a.json:1: Cannot use issuer null: ${rule}`);
  await assertMistakes("a.toml", "issuer = 2020-01-01", `a.toml:1: Cannot use issuer 2020-01-01: ${rule}`);
});

Deno.test("an item of a list is wrong in its own line", async () => {
  const rule = "it must be a host name without a port";
  const expected = [`:4: Cannot use allow-host "b:1": ${rule}`, `:5: Cannot use allow-host "": ${rule}`];
  await assertMistakes(
    "a.toml",
    '\nallow-host = [\n"a",\n"b:1",\n""]',
    ...expected.map((text) => `a.toml${text}`),
  );
  await assertMistakes(
    "a.json",
    '{\n"allow-host": [\n"a",\n"b:1",\n""]}',
    ...expected.map((text) => `a.json${text}`),
  );
});

Deno.test("a long value is cut in the message", async () => {
  const [mistake = ""] = (await parse("a.toml", `log-level = "${"x".repeat(10_000)}"`)).mistakes;
  assert.match(mistake, /^a\.toml:1: Cannot use log-level "x{99}\.\.\.: it must be one of /);
});

for (
  const [key, hint] of [
    ["echo-prot", ", did you mean echo-port?"],
    ["echoPort", ", did you mean echo-port?"],
    ["echo_port", ", did you mean echo-port?"],
    ["WSWARD_ECHO_PORT", ", did you mean echo-port?"],
    ["--echo-port", ", did you mean echo-port?"],
    ["no-echo", ", did you mean echo?"],
    ["config", ": wsward serve --help lists them"],
    ["foo", ": wsward serve --help lists them"],
    ["__proto__", ": wsward serve --help lists them"],
    ["", ": wsward serve --help lists them"],
  ] as const
) {
  Deno.test(`tells what may be meant by the key ${JSON.stringify(key)}`, async () => {
    const expected = `Cannot use ${JSON.stringify(key)}: it is no setting${hint}`;
    await assertMistakes("a.toml", `"${key}" = 1`, `a.toml:1: ${expected}`);
    await assertMistakes("a.json", `{"${key}": 1}`, `a.json:1: ${expected}`);
  });
}

Deno.test("a key that is there twice is a mistake, however it is written, and the first one stays", async () => {
  const expected = "Cannot use echo-port twice: line 1 has it already";
  const toml = await parse("a.toml", "echo-port = 1\n'echo-port' = 2\necho-port = 3");
  assert.deepEqual(toml.mistakes, [`a.toml:2: ${expected}`, `a.toml:3: ${expected}`]);
  assert.equal(toml.given.get("echoPort")?.value, "1");
  const json = await parse("a.json", '{"echo-port": 1,\n"echo\\u002dport": 2}');
  assert.deepEqual(json.mistakes, [`a.json:2: ${expected}`]);
});

Deno.test("tells every mistake in the order of the lines", async () => {
  await assertMistakes(
    "a.toml",
    'host = ""\necho-port = \nexho = 1\nlog-file = "x\nlog-level = "loud"\nhost = "a"\n[limits]\nbyte-rate = 1\nx = =\n',
    'a.toml:1: Cannot use host "": it must be at least one character, and no control characters',
    "a.toml:2: Cannot read it as TOML: unspecified values are invalid",
    'a.toml:3: Cannot use "exho": it is no setting, did you mean echo?',
    "a.toml:4: Cannot read it as TOML: unterminated string constant",
    'a.toml:5: Cannot use log-level "loud": it must be one of debug, info, warning, error, fatal',
    "a.toml:6: Cannot use host twice: line 1 has it already",
    'a.toml:7: Cannot use the table "limits": settings stand in no table',
    "a.toml:9: Cannot read it as TOML: unexpected token",
  );
  await assertMistakes(
    "a.json",
    '{\n"host": "",\n"exho": 1,\n"log-level": "loud",\n"host": "a",\n}\n',
    'a.json:2: Cannot use host "": it must be at least one character, and no control characters',
    'a.json:3: Cannot use "exho": it is no setting, did you mean echo?',
    'a.json:4: Cannot use log-level "loud": it must be one of debug, info, warning, error, fatal',
    "a.json:5: Cannot use host twice: line 2 has it already",
    "a.json:6: Cannot read it as JSON: property name expected",
  );
});

Deno.test("dotted keys and arrays of tables are no settings", async () => {
  await assertMistakes(
    "a.toml",
    "echo.port = 1\n[[a.b]]\nhost = 1",
    'a.toml:1: Cannot use "echo.port": it is no setting, did you mean echo-port?',
    'a.toml:2: Cannot use the table "a.b": settings stand in no table',
  );
});

for (
  const [text, why] of [
    ["[]", "Cannot read it: it must be one object"],
    ['"x"', "Cannot read it: it must be one object"],
    ["{} {}", "Cannot read it as JSON: end of file expected"],
    ["// no\n{}", "Cannot read it as JSON: invalid comment token"],
    ["{\"host\": 'a'}", "Cannot read it as JSON: invalid symbol"],
    ['{"host": "a\tb"}', "Cannot read it as JSON: invalid character"],
    ['{"echo-port": 01}', "Cannot read it as JSON: comma expected"],
  ] as const
) {
  Deno.test(`refuses what is not strictly JSON: ${JSON.stringify(text)}`, async () => {
    await assertMistakes("a.json", text, `a.json:1: ${why}`);
  });
}

Deno.test("a string that is never closed hides the rest, but makes no more mistakes of it", async () => {
  for (const quotes of ['"""', "'''"]) {
    const [mistake = "", ...more] = (await parse("a.toml", `host = ${quotes}\nfoo = 1\nbar`)).mistakes;
    assert.match(mistake, /^a\.toml:3: Cannot read it as TOML: unterminated string constant$/);
    assert.deepEqual(more, []);
  }
});

Deno.test("what a broken file may have given is not known", async () => {
  const { given, unknown } = await parse("a.toml", 'host = "a"\ntls-kye = "k"\necho = 1');
  assert.deepEqual([...given.keys()], ["host"]);
  assert.deepEqual(unknown, new Set(["tlsKey", "echo"]));
  const partial = await parse("a.toml", 'host = "a"\ntls-key =');
  assert.deepEqual(partial.unknown, new Set(SETTING_NAMES.filter((name) => name !== "host")));
});

for (const path of ["a.toml", "a.json"]) {
  Deno.test(`refuses an empty ${path}, and one that is not UTF-8, with the line`, async () => {
    for (const text of ["", " \r\n\n", "\ufeff"]) {
      await assertMistakes(path, text, `${path}:1: Cannot read it: it is empty`);
    }
    const bytes = Uint8Array.of(...new TextEncoder().encode("# \u00e9\n# x\n"), 0xc3, 0x28);
    const file = await parseConfigFile(path, bytes);
    assert.deepEqual(file.mistakes, [`${path}:3: Cannot read it: it must be UTF-8`]);
  });

  Deno.test(`reads ${path} just under and at the largest size, and not over it`, async () => {
    const text = path === "a.toml" ? "echo-port = 1" : '{"echo-port":1}';
    for (
      const [size, mistakes] of [[-1, []], [0, []], [1, [
        `${path}:1: Cannot read it: it is larger than 256 KiB`,
      ]]] as const
    ) {
      const file = await parse(path, text.padEnd(MAX_CONFIG_SIZE_BYTES + size));
      assert.deepEqual(file.mistakes, mistakes);
      assert.equal(file.given.size, mistakes.length === 0 ? 1 : 0);
    }
  });
}

Deno.test("refuses values that are nested beyond all reason", async () => {
  const brackets = "[".repeat(100_000) + "]".repeat(100_000);
  for (
    const [path, text] of [["a.toml", `host = ${brackets}`], ["a.json", `{"host":${brackets}}`]] as const
  ) {
    await assertMistakes(path, text, `${path}:1: Cannot read it: its values are nested too deeply`);
  }
});

Deno.test("says in one line why a file can't be read, also where the system keeps it from its user", async () => {
  const refused = (state: string) => new StartError(`Cannot read the settings file "missing.toml": ${state}`);
  await assert.rejects(readConfigFile("missing.toml"), refused("it does not exist"));
  const { statSync } = Deno;
  // The administrator, as whom tests may run, can read everything.
  Deno.statSync = () => {
    throw new Deno.errors.PermissionDenied("os error 13");
  };
  try {
    await assert.rejects(readConfigFile("missing.toml"), refused("permission denied"));
  } finally {
    Deno.statSync = statSync;
  }
});

Deno.test("knows every setting by the name of its flag", async () => {
  const text = SETTING_NAMES.map((name) => `${keyOf(name)} = 1979-05-27`).join("\n");
  const { mistakes } = await parse("a.toml", text);
  assert.equal(mistakes.length, SETTING_NAMES.length);
  for (const mistake of mistakes) assert.match(mistake, /1979-05-27: it must be /);
});
