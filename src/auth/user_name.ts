// User names: the profile UsernameCasePreserved of RFC 8265 §3.4, without mixed scripts that could imitate each other.
//
// Three parts are simplified, because the runtime has no tables for them: zero-width joiners are allowed after a
// virama, and the non-joiner also inside Arabic writing (RFC 5892 A.1, A.2); the Bidi Rule (RFC 5893 §2) is kept by
// limiting the first, last and mixed characters; words are separated by one space. Look-alike letters are only found in
// names that mix scripts: "аре", all Cyrillic, is a valid name.

/** The longest name of a user, in UTF-16 code units. */
export const MAX_USER_LENGTH = 256;

/** A name in its one form, or what is wrong with it, as a fixed phrase. */
export type UserName =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly fault: string };

/**
 * Reads a user name. Wide and narrow forms become the usual ones, and the whole becomes NFC, so that a name has one
 * form; upper and lower case stay different.
 */
export function readUserName(text: string): UserName {
  if (text.length === 0 || text.length > MAX_USER_LENGTH) return TOO_LONG;
  if (/^[!-~]+$/.test(text)) return { ok: true, name: text };
  // A lone surrogate is not a character.
  if (!text.isWellFormed()) return UNUSUAL;
  const name = text.replace(WIDE_OR_NARROW, (character) => character.normalize("NFKC")).normalize("NFC");
  if (name.length > MAX_USER_LENGTH) return TOO_LONG;
  if (!/^[^ ]+(?: [^ ]+)*$/.test(name)) return { ok: false, fault: "it has a space too many" };
  const characters = Array.from(name);
  if (!characters.every((_, at) => isAllowed(characters, at))) return UNUSUAL;
  if (MARK.test(characters[0]!)) return UNUSUAL;
  if (!isOneWriting(name)) return { ok: false, fault: "it mixes scripts" };
  return keepsDirection(name) ? { ok: true, name } : { ok: false, fault: "its direction is ambiguous" };
}

const TOO_LONG: UserName = { ok: false, fault: `it must have 1 to ${MAX_USER_LENGTH} characters` };
const UNUSUAL: UserName = { ok: false, fault: "it has a character that user names must not have" };

const WIDE_OR_NARROW = /[\u3000\uff01-\uffee]/gu;
const MARK = /^\p{M}$/u;
/** RFC 8264 §9.1 and §9.11: letters and digits of all languages, visible ASCII, and a space between words. */
const LETTER_OR_DIGIT = /^[ -~\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]$/u;
/** RFC 8264 §9.6, by RFC 5892 §2.6. */
const ALWAYS = /^[\u00df\u03c2\u06fd\u06fe\u0f0b\u3007]$/u;
/** The same, then the old letters of Hangul (§9.9) and what is invisible (§9.13). */
const NEVER =
  /^[\u0640\u07fa\u302e\u302f\u3031-\u3035\u303b\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb\p{DI}\p{Noncharacter_Code_Point}]$/u;
/** Signs that suppress a vowel: canonical combining class 9. */
const VIRAMA =
  /^[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d3b\u0d3c\u0d4d\u0dca\u0e3a\u0eba\u0f84\u1039\u103a\u1714\u1715\u1734\u17d2\u1a60\u1b44\u1baa\u1bab\u1bf2\u1bf3\u2d7f\ua806\ua82c\ua8c4\ua953\ua9c0\uaaf6\uabed]$/u;
/** Letters that do not join the next one (Joining_Type R and U). */
const JOINS_NO_NEXT =
  /^[\u0621-\u0625\u0627\u0629\u062f-\u0632\u0648\u0671-\u0677\u0688-\u0699\u06c0\u06c3-\u06cb\u06cd\u06cf\u06d2\u06d3\u06d5\u06ee\u06ef\u0759-\u075b\u076b\u076c\u0771\u0773\u0774\u0778\u0779]$/u;
const JOINS_NONE = /^[\u0621\u0674]$/u;
const ARABIC_LETTER = /^[\u0620-\u063f\u0641-\u064a\u066e-\u06d5\u06ee\u06ef\u06fa-\u06fc\u0750-\u077f]$/u;

/** Whether the character at `at` is allowed there (RFC 8264 §8, RFC 5892 appendix A). */
function isAllowed(characters: readonly string[], at: number): boolean {
  const character = characters[at]!;
  if (character <= "~") return character >= " ";
  const before = characters[at - 1] ?? "";
  const after = characters[at + 1] ?? "";
  switch (character) {
    case "\u200c":
      return VIRAMA.test(before) || isBetweenJoining(characters, at);
    case "\u200d":
      return VIRAMA.test(before);
    case "\u00b7":
      return before === "l" && after === "l";
    case "\u0375":
      return /^\p{Script=Greek}$/u.test(after);
    case "\u05f3":
    case "\u05f4":
      return /^\p{Script=Hebrew}$/u.test(before);
    case "\u30fb":
      return characters.some((other) => /^[\p{sc=Hira}\p{sc=Kana}\p{sc=Hani}]$/u.test(other));
  }
  if (ALWAYS.test(character)) return true;
  // A compatibility form imitates another character (RFC 8264 §9.17).
  return LETTER_OR_DIGIT.test(character) && !NEVER.test(character) &&
    character.normalize("NFKC") === character;
}

function isBetweenJoining(characters: readonly string[], at: number): boolean {
  const before = characters.slice(0, at).findLast((character) => !MARK.test(character)) ?? "";
  const after = characters.slice(at + 1).find((character) => !MARK.test(character)) ?? "";
  return ARABIC_LETTER.test(before) && !JOINS_NO_NEXT.test(before) &&
    ARABIC_LETTER.test(after) && !JOINS_NONE.test(after);
}

/** Scripts that stand alone (UAX #31, tables 5 and 7), and the three combinations of several scripts. */
const WRITINGS = [
  ..."Adlm Arab Armn Bali Bamu Batk Beng Bopo Cakm Cans Cham Cher Cyrl Deva Ethi Geor Grek Gujr Guru Hang Hani Hebr Hira Java"
    .split(" "),
  ..."Kali Kana Khmr Knda Laoo Latn Lepc Limb Lisu Mand Mlym Mtei Mymr Newa Nkoo Olck Orya Osge Plrd Rohg Saur Sinh Sund"
    .split(" "),
  ..."Sylo Syrc Tale Talu Taml Tavt Telu Tfng Thaa Thai Tibt Vaii Yiii".split(" "),
  "Latn Hani Hira Kana",
  "Latn Hani Bopo",
  "Latn Hani Hang",
].map((scripts) => {
  const classes = `Zyyy Zinh ${scripts}`.split(" ").map((script) => `\\p{sc=${script}}`);
  return new RegExp(`^[${classes.join("")}]*$`, "u");
});

/** Whether it has the scripts of one language: "highly restrictive", UTS #39 §5.2. */
function isOneWriting(name: string): boolean {
  return WRITINGS.some((writing) => writing.test(name));
}

const RIGHT_TO_LEFT =
  /[\p{sc=Adlm}\p{sc=Arab}\p{sc=Hebr}\p{sc=Mand}\p{sc=Nkoo}\p{sc=Rohg}\p{sc=Syrc}\p{sc=Thaa}]/u;
const LETTER_FIRST = new RegExp(`^(?=\\p{L})${RIGHT_TO_LEFT.source}`, "u");
const LETTER_OR_DIGIT_LAST = /[\p{L}\p{Nd}]\p{M}*$/u;

/** A name has one kind of digits: Arabic ones look like Persian ones (RFC 5892 A.8, RFC 5893 §2.4). */
function keepsDirection(name: string): boolean {
  const digits = [/[0-9]/, /[\u0660-\u0669]/, /[\u06f0-\u06f9]/].filter((kind) => kind.test(name)).length;
  const isRightToLeft = RIGHT_TO_LEFT.test(name);
  if (!isRightToLeft) return digits <= 1;
  return digits <= 1 && LETTER_FIRST.test(name) && LETTER_OR_DIGIT_LAST.test(name);
}
