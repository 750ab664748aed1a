// User names: one form for each, nothing invisible, nothing that imitates another script.

import assert from "node:assert/strict";
import { MAX_USER_LENGTH, readUserName } from "../../src/auth/user_name.ts";

function read(text: string): string {
  const user = readUserName(text);
  return user.ok ? user.name : `! ${user.fault}`;
}

const KEPT = [
  "alice",
  "Alice",
  "auth0|5f7c8ec7c33c6c004bbafe82",
  "alice@example.com",
  "system:serviceaccount:default:web",
  "-7",
  "Alice Smith",
  "A. B-C_d~",
  "Zoë 日本",
  "Łukasz",
  "Straße",
  "Иван Петров",
  "Ελένη",
  "σοφός",
  "김철수",
  "さくら",
  "サクラ・ウメ",
  "山田太郎 Taro",
  "משה",
  "محمد",
  "علی۱۲",
  "می\u200cخواهم",
  "خانه\u200cها",
  "क्\u200dष",
  "क्\u200cष",
  "नमस्ते",
  "ไทย",
  "col·lega",
  "x".repeat(MAX_USER_LENGTH),
  "ꦗꦮ",
  "ᏣᎳᎩ",
];
for (const name of KEPT) {
  Deno.test(`takes ${JSON.stringify(name.slice(0, 40))}`, () =>
    assert.equal(read(name), name.normalize("NFC")));
}

const MAPPED: readonly [text: string, name: string][] = [
  ["Ａｌｉｃｅ", "Alice"],
  ["Zoe\u0308", "Zoë"],
  ["\u212bngstro\u0308m", "Ångström"],
  ["ｻｸﾗ", "サクラ"],
  ["ﾊﾟﾅ", "パナ"],
  ["山田\u3000太郎", "山田 太郎"],
];
for (const [text, name] of MAPPED) {
  Deno.test(`reads ${JSON.stringify(text)} as ${JSON.stringify(name)}, and that as itself`, () => {
    assert.equal(read(text), name);
    assert.equal(read(name), name);
  });
}

const INVISIBLE = [
  0x00,
  0x0a,
  0x7f,
  0x85,
  0xad,
  0x34f,
  0x61c,
  0x115f,
  0x1160,
  0x180e,
  0x200b,
  0x200c,
  0x200d,
  0x200e,
  0x202e,
];
const BLANK = [
  0xa0,
  0x1680,
  0x2000,
  0x2028,
  0x202f,
  0x2060,
  0x2800,
  0x3164,
  0xfe0f,
  0xfeff,
  0xffa0,
  0xe0001,
  0xe0100,
];
const OTHER = [
  0x378,
  0xe000,
  0xf0000,
  0xfdd0,
  0xffff,
  0x1f600,
  0x2019,
  0x20ac,
  0x2226,
  0x640,
  0x3a2,
  0x1d400,
  0xfb01,
];
for (const code of [...INVISIBLE, ...BLANK, ...OTHER]) {
  Deno.test(`refuses U+${code.toString(16).padStart(4, "0")} wherever it is`, () => {
    const character = String.fromCodePoint(code);
    for (const text of [character, `a${character}`, `${character}a`, `a${character}b`]) {
      assert.match(read(text), /^! /);
    }
  });
}

const REFUSED: readonly [text: string, fault: RegExp][] = [
  ["", /1 to 256/],
  ["x".repeat(MAX_USER_LENGTH + 1), /1 to 256/],
  // Each of these becomes two units longer.
  ["\ufb2c\u00e9".repeat(100), /1 to 256/],
  [" ", /space/],
  [" a", /space/],
  ["a ", /space/],
  ["a  b", /space/],
  ["\u3000", /space/],
  ["\ud800", /must not have/],
  ["\u0301a", /must not have/],
  // Only within Arabic writing, and only where the letters would join.
  ["a\u200cb", /must not have/],
  ["ا\u200cب", /must not have/],
  ["ب\u200c", /must not have/],
  ["ب\u200dب", /must not have/],
  ["a·b", /must not have/],
  ["a・b", /must not have/],
  ["аlice", /mixes scripts/],
  ["pаypal", /mixes scripts/],
  ["αlice", /mixes scripts/],
  ["Ꭺlice", /mixes scripts/],
  ["ไทยa", /mixes scripts/],
  ["カあ한", /mixes scripts/],
  ["𐌀𐌁", /mixes scripts/],
  ["محمدa", /mixes scripts/],
  ["1محمد", /direction/],
  ["محمد.", /direction/],
  ["محمد1٢", /direction/],
  ["محمد٢۳", /direction/],
  ["a1٢", /direction|mixes/],
];
for (const [text, fault] of REFUSED) {
  Deno.test(`refuses ${JSON.stringify(text.slice(0, 40))}: ${fault.source}`, () =>
    assert.match(read(text), fault));
}
