// The command `explain`: everything that a peer or the log is told has an explanation, and can be found.

import assert from "node:assert/strict";
import { explainTopic, listTopics } from "../../src/cli/commands/explain_command.ts";
import { TOPICS } from "../../src/cli/about/topics.ts";
import { UsageError } from "../../src/core/errors.ts";
import { SETTING_NAMES } from "../../src/core/settings/declarations.ts";
import { flagOf, variableOf } from "../../src/core/settings/settings.ts";
import { type Ending, ENDINGS } from "../../src/endpoints/sessions/ending.ts";
import { FRAME_RULES, LIMITS } from "../../src/firewall/violation.ts";
import { CLOSE_CODES, LOCAL_CODES } from "../../src/protocol/close_code.ts";
import { REFUSAL_RULES } from "../../src/protocol/refusal_rule.ts";
import { REFUSAL_STATUSES } from "../../src/protocol/refusal_status.ts";
import { EVENTS } from "../../src/telemetry/events.ts";
import { run } from "../support/process.ts";

const NAMES = TOPICS.map(({ name }) => name);

Deno.test("every close code that is sent, every status, rule, limit and event is a topic, once", () => {
  const sent = Object.entries(CLOSE_CODES).flatMap(([code, { meaning }]) =>
    meaning === undefined ? [] : [code]
  );
  const declared = [LOCAL_CODES, REFUSAL_STATUSES, REFUSAL_RULES, FRAME_RULES, LIMITS, EVENTS].flatMap((
    list,
  ) => Object.keys(list));
  const missing = [...sent, ...declared].filter((name) => !NAMES.includes(name));
  assert.deepEqual(missing, []);
  assert.equal(new Set(NAMES).size, NAMES.length);
});

Deno.test("every code of a rule or an ending is one that has a meaning", () => {
  for (
    const { code } of [...Object.values(FRAME_RULES), ...Object.values(LIMITS), ...Object.values(ENDINGS)]
  ) {
    assert.notEqual(CLOSE_CODES[code]?.meaning, undefined, String(code));
  }
});

Deno.test("every topic has a meaning and a cause, and names settings and topics that there are", () => {
  for (const { name, meaning, cause, settings, related = [] } of TOPICS) {
    for (const text of [meaning, cause]) assert.match(text, /^\S.*[^\s.]$/, name);
    assert.equal(new Set(settings).size, settings.length, name);
    for (const setting of settings) assert.ok(SETTING_NAMES.includes(setting), `${name}: ${setting}`);
    for (const topic of related) assert.ok(NAMES.includes(topic), `${name}: ${topic}`);
  }
});

Deno.test("an explanation holds the meaning, the cause and each setting by its flag", () => {
  for (const topic of TOPICS) {
    const text = explainTopic(TOPICS, topic.name);
    for (const part of [topic.name, topic.meaning, topic.cause, ...topic.settings.map(flagOf)]) {
      assert.ok(text.includes(part), `${topic.name}: ${part}`);
    }
  }
  assert.equal(explainTopic(TOPICS, "Protocol.Error"), explainTopic(TOPICS, "protocol.error"));
});

Deno.test("knows the texts that are sent, the words of the metrics, flags with their dashes, and foreign codes", () => {
  for (const { text, why, code } of Object.values<Ending>(ENDINGS)) {
    if (text !== undefined) assert.match(explainTopic(TOPICS, text), new RegExp(`See also: ${code}$`), text);
    assert.ok(explainTopic(TOPICS, why.replace(/[^a-z]+/g, "_")));
  }
  for (const setting of SETTING_NAMES) {
    assert.ok(explainTopic(TOPICS, flagOf(setting)).startsWith(`Setting ${flagOf(setting)}: `));
    assert.equal(explainTopic(TOPICS, variableOf(setting)), explainTopic(TOPICS, flagOf(setting)));
  }
  assert.match(explainTopic(TOPICS, "--echo"), /^Setting --no-echo/);
  const known = [
    "101",
    "1010",
    "1012",
    "1014",
    "1015",
    "4000",
    "4999",
    "SIGUSR1",
    "Going Away",
    "Internal Error",
  ];
  for (const name of known) assert.ok(explainTopic(TOPICS, name));
  for (const name of ["3999", "5000", "--bogus"]) assert.throws(() => explainTopic(TOPICS, name), UsageError);
});

Deno.test("a word that is no topic is answered with the nearest one", () => {
  const cases = [["mesage_size", "message_size"], ["10099", "1009"], [
    "connection_closed",
    "connection.closed",
  ]];
  for (const [typed = "", nearest] of cases) {
    assert.throws(() => explainTopic(TOPICS, typed), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.ok(error.message.endsWith(`the nearest one is ${nearest}`), error.message);
      return true;
    });
  }
  for (const typed of ["", " ", "x".repeat(1_000_000), "\u202e\n"]) {
    assert.throws(() => explainTopic(TOPICS, typed), UsageError);
  }
});

Deno.test("the list has a line for each topic", () => {
  const list = listTopics(TOPICS);
  for (const name of NAMES) assert.match(list, new RegExp(`^  ${name.replace(".", "\\.")} `, "m"));
});

Deno.test("the program explains, lists, and refuses what it does not know with exit code 2", async () => {
  const [one, all, none, two, flag, text] = await Promise.all([
    run(["explain", "1009"]),
    run(["explain"]),
    run(["explain", "10099"]),
    run(["explain", "1009", "1008"]),
    run(["explain", "--idle-timeout"]),
    run(["explain", "Token", "Expired"]),
  ]);
  assert.deepEqual([one.code, one.stdout], [0, explainTopic(TOPICS, "1009") + "\n"]);
  assert.deepEqual([all.code, all.stdout], [0, listTopics(TOPICS) + "\n"]);
  assert.deepEqual([none.code, none.stdout], [2, ""]);
  assert.match(none.stderr, /^Cannot explain "10099": .* 1009\n$/);
  assert.equal(two.code, 2);
  assert.match(flag.stdout, /^Setting --idle-timeout: /);
  assert.match(text.stdout, /^expired Token Expired /);
});
