// The kinds of settings: how each one is read from text, what it accepts and how it is explained.

import { UsageError } from "../errors.ts";
import { parseDuration } from "../duration.ts";
import { parseSize } from "../size.ts";

/** What every setting has. */
interface Described {
  /** Its heading in the help and in the reference. */
  readonly group: string;
  /** What it does, in a few words without a full stop. */
  readonly help: string;
}

/** What every kind says about its values. */
interface Explained {
  /** What the value, or one item of a list, must be, to be read after "it must be": `from 100ms to 10m`. */
  readonly rule: string;
  /** The same for tables and help: `100ms to 10m`. Empty where any plain text will do. */
  readonly range: string;
  /** The default, as a person would write or describe it. */
  readonly defaultText: string;
}

/** A setting with one value, given as text. */
export interface ValueSetting<Value> extends Described, Explained {
  readonly kind: "value";
  /** What stands for the value in the help, without brackets: `duration`. */
  readonly placeholder: string;
  readonly default: Value;
  /** The default as it would be given; `undefined` where the default is nothing. */
  readonly defaultGiven: string | undefined;
  /** Whether a file holds it as a bare number, and not as text. */
  readonly isNumber: boolean;
  /** All values, where they are a few words. */
  readonly choices?: readonly string[];
  /** The value that `text` stands for, or `undefined` if it breaks the rule. */
  parse(text: string): Value | undefined;
  /** What `text`, which breaks the rule, may have been meant to be: `30s` for `30`. */
  suggest?(text: string): string | undefined;
  /** Why `text` must not be given as a flag; undefined if it may. */
  refuseFlag?(text: string): string | undefined;
}

/** A setting that is on or off. `help` describes the flag, which sets what is not the default. */
export interface SwitchSetting extends Described, Explained {
  readonly kind: "switch";
  readonly default: boolean;
  parse(text: string): boolean | undefined;
}

/** A setting that can be given many times; in the environment its items are separated by commas. */
export interface ListSetting extends Described, Explained {
  readonly kind: "list";
  readonly placeholder: string;
  readonly default: readonly string[];
  /** The item, or `undefined` if it breaks the rule. */
  parse(text: string): string | undefined;
  /** What to do instead, as a whole clause. */
  advise?(text: string): string | undefined;
}

/** A declared setting of any kind. */
export type Setting = ValueSetting<unknown> | SwitchSetting | ListSetting;

/** The type of a setting's value. */
export type ValueOf<S> = S extends SwitchSetting ? boolean
  : S extends ListSetting ? readonly string[]
  : S extends ValueSetting<infer Value> ? Value
  : never;

/** What a flag was given: a text, the state of a switch, or the items of a list. */
export type GivenValue = string | boolean | readonly string[];

/** Looks an environment variable up; `undefined` if it is not set. */
export type Environment = (variable: string) => string | undefined;

/** What gives a setting its value: a flag, a variable, or a file that holds it. */
export interface Given {
  readonly source: "flag" | "environment" | "file";
  /** What a message calls it: `--echo-port`, `WSWARD_ECHO_PORT`, `wsward.toml:3`. */
  readonly label: string;
  readonly value: GivenValue;
}

interface TextRule {
  /** Whether `text` can be used; without it, any text that is not empty and has no control characters can. */
  readonly accepts?: (text: string) => boolean;
  /** What `accepts` asks for, to be read after "it must be". */
  readonly rule?: string;
  /** What to do instead where `accepts` turns `text` down, to be read after the rule. */
  readonly advise?: (text: string) => string | undefined;
  /** Why `text` must not be given as a flag; undefined if it may. */
  readonly refuseFlag?: (text: string) => string | undefined;
}

interface RangeOptions extends Described {
  /** The default, the smallest and the largest value, as a person would write them. */
  readonly default: string;
  readonly min: string;
  readonly max: string;
  /** The one word that stands for no limit and is read as `Infinity`. Zero never means that. */
  readonly word?: "unlimited" | "off";
}

/** A setting that holds text as it is. */
export function text(options: Described & TextRule & { readonly default: string }): ValueSetting<string> {
  return withDefault(options, { placeholder: "text", isNumber: false, ...textRule(options) });
}

/** A setting that names a file or a folder. */
export function path(options: Described & { readonly default: string }): ValueSetting<string> {
  return withDefault(options, { placeholder: "path", isNumber: false, ...textRule({}) });
}

/** A setting that names a file or a folder, or nothing; `unset` says what happens then. */
export function optionalPath(
  options: Described & { readonly unset: string },
): ValueSetting<string | undefined> {
  return optionalText({ ...options, placeholder: "path" });
}

/** A setting that holds text as it is, or nothing; `unset` says what happens then. */
export function optionalText(
  options: Described & TextRule & { readonly placeholder: string; readonly unset: string },
): ValueSetting<string | undefined> {
  const { group, help, placeholder, unset } = options;
  return {
    kind: "value",
    group,
    help,
    placeholder,
    ...textRule(options),
    isNumber: false,
    default: undefined,
    defaultGiven: undefined,
    defaultText: unset,
  };
}

/** A TCP port, 0 to 65535; 0 lets the system pick a free one. */
export function port(options: Described & { readonly default: string }): ValueSetting<number> {
  return ranged({ ...options, min: "0", max: "65535" }, "port", parseInteger);
}

/** A whole number within a range. */
export function integer(options: RangeOptions): ValueSetting<number> {
  return ranged(options, "number", parseInteger);
}

/** A duration within a range, in milliseconds. */
export function duration(options: RangeOptions): ValueSetting<number> {
  return ranged(options, "duration", parseDuration, (text) => [`${text}s`, text.toLowerCase()]);
}

/** A size within a range, in bytes. */
export function size(options: RangeOptions): ValueSetting<number> {
  return ranged(options, "size", parseSize, sizesLike);
}

/** A number of events per second within a range, written `50/s`. */
export function rate(options: RangeOptions): ValueSetting<number> {
  return ranged(options, "rate", (given) => parsePerSecond(given, parseInteger), (text) => [`${text}/s`]);
}

/** A number of bytes per second within a range, written `16MiB/s`. */
export function byteRate(options: RangeOptions): ValueSetting<number> {
  return ranged(
    options,
    "rate",
    (given) => parsePerSecond(given, parseSize),
    (text) => [text, ...sizesLike(text.replace(/\/s$/, ""))].map((size) => `${size}/s`),
  );
}

/** One word out of a closed set. */
export function choice<const Word extends string>(
  options: Described & {
    readonly choices: readonly Word[];
    readonly default: NoInfer<Word>;
    /** Other words for some of them. */
    readonly aliases?: Readonly<Record<string, NoInfer<Word>>>;
  },
): ValueSetting<Word> {
  return withDefault<Word>(options, {
    placeholder: "word",
    rule: `one of ${options.choices.join(", ")}`,
    range: options.choices.join(", "),
    isNumber: false,
    choices: options.choices,
    parse: (given) => {
      const lower = given.toLowerCase();
      return options.choices.find((word) => word.toLowerCase() === lower) ?? options.aliases?.[lower];
    },
  });
}

/** Something that is on or off. Its flag is `--x` where the default is off and `--no-x` where it is on. */
export function toggle(options: Described & { readonly default: boolean }): SwitchSetting {
  return {
    ...options,
    kind: "switch",
    rule: "true or false",
    range: "true or false",
    defaultText: String(options.default),
    parse: (given) => given === "true" ? true : given === "false" ? false : undefined,
  };
}

/** Text that can be given many times; the default is none. */
export function list(options: Described & TextRule & { readonly placeholder: string }): ListSetting {
  const { group, placeholder } = options;
  const help = `${options.help}; can be repeated`;
  return { kind: "list", group, help, placeholder, ...textRule(options), default: [], defaultText: "none" };
}

/**
 * What gives a setting its value: its flag, or else its variable, or else the file. A variable that is set to nothing
 * counts as given. `undefined` if none does, which leaves the default.
 */
export function findGiven(
  setting: Setting,
  labels: { readonly flag: string; readonly variable: string },
  flag: GivenValue | undefined,
  env: Environment,
  file?: Given,
): Given | undefined {
  if (flag !== undefined) return { source: "flag", label: labels.flag, value: flag };
  const text = env(labels.variable);
  if (text === undefined) return file;
  const value = setting.kind === "list" ? splitItems(text) : text;
  return { source: "environment", label: labels.variable, value };
}

/**
 * Reads one setting: what {@linkcode findGiven} finds, or else its default. Throws {@linkcode UsageError} with the flag or
 * the variable if the rule is broken.
 */
export function readSetting(...where: Parameters<typeof findGiven>): unknown {
  const [setting] = where;
  const given = findGiven(...where);
  return given === undefined ? setting.default : readGiven(setting, given);
}

/** Reads what a setting was given. Throws {@linkcode UsageError} with its label if the rule is broken. */
export function readGiven(setting: Setting, { source, label, value }: Given): unknown {
  if (typeof value === "boolean") return value;
  if (source === "flag" && setting.kind === "value" && typeof value === "string") {
    const refusal = setting.refuseFlag?.(value);
    if (refusal !== undefined) {
      throw new UsageError(`Cannot use ${label} ${quoteGiven(value, setting)}: ${refusal}`);
    }
  }
  if (typeof value === "string") return parseText<unknown>(label, setting, value);
  return value.map((item) => parseText<unknown>(label, setting, item));
}

/**
 * Reads the text that `label` (a flag or a variable) was given. Throws {@linkcode UsageError} with the rule if the text
 * breaks it.
 */
export function parseText<Value>(
  label: string,
  setting: RuledBy & { parse(text: string): Value | undefined },
  given: string,
): Value {
  const value = setting.parse(given);
  if (value === undefined) {
    throw new UsageError(
      `Cannot use ${label} ${quoteGiven(given, setting)}: it must be ${ruleFor(setting, given)}`,
    );
  }
  return value;
}

type RuledBy = Pick<ValueSetting<unknown>, "rule" | "suggest"> & Pick<ListSetting, "advise">;

/** The rule that `given` breaks, to be read after "it must be", with what was meant if that can be told. */
export function ruleFor(setting: RuledBy, given: string): string {
  const meant = setting.suggest?.(given);
  const advice = setting.advise?.(given) ?? (meant === undefined ? undefined : `write ${meant}`);
  return advice === undefined ? setting.rule : `${setting.rule}; ${advice}`;
}

/**
 * What was given, for a message: in quotes, and without the name and password of a URL. Nothing of it for a setting
 * that takes a password, which can be anywhere in a text that breaks the rule.
 */
export function quoteGiven(given: string, setting: object = {}): string {
  if ("refuseFlag" in setting) return '"..."';
  return JSON.stringify(hideCredentials(given));
}

/**
 * A text without the name and password of a URL in it: everything between its first `//` and its last `@` becomes
 * `...`.
 */
export function hideCredentials(text: string): string {
  const start = text.indexOf("//");
  const end = text.lastIndexOf("@");
  return start < 0 || end < start ? text : `${text.slice(0, start)}//...${text.slice(end)}`;
}

function splitItems(value: string): readonly string[] {
  return value.trim() === "" ? [] : value.split(",").map((item) => item.trim());
}

function textRule({ accepts = isPlainText, rule, advise, refuseFlag }: TextRule) {
  return {
    ...advise === undefined ? {} : { advise },
    ...refuseFlag === undefined ? {} : { refuseFlag },
    rule: rule ?? "at least one character, and no control characters",
    range: rule ?? "",
    parse: (given: string) => accepts(given) ? given : undefined,
  };
}

function isPlainText(given: string): boolean {
  // This is \p{Cc}, which by its name would take half a millisecond of every start.
  // deno-lint-ignore no-control-regex
  return /^[^\x00-\x1f\x7f-\x9f]+$/.test(given);
}

function parseInteger(given: string): number | undefined {
  const value = Number(given);
  return /^\d+$/.test(given) && Number.isSafeInteger(value) ? value : undefined;
}

/** Sizes as people write them elsewhere: 1024, 64K, 1mb. */
function sizesLike(text: string): readonly string[] {
  const [, count, letter = ""] = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec(text) ?? [];
  if (count === undefined) return [];
  return [letter === "" ? `${count}B` : `${count}${letter.toUpperCase()}iB`];
}

function parsePerSecond(given: string, parse: (text: string) => number | undefined): number | undefined {
  return given.endsWith("/s") ? parse(given.slice(0, -2)) : undefined;
}

function ranged(
  options: RangeOptions,
  placeholder: string,
  read: (text: string) => number | undefined,
  similar: (text: string) => readonly string[] = () => [],
): ValueSetting<number> {
  const { min, max, word } = options;
  // A wrong declaration must fail at start: compared with undefined, everything would pass.
  const least = read(min) ?? neverDeclared(min);
  const most = read(max) ?? neverDeclared(max);
  function parse(given: string): number | undefined {
    if (given === word) return Infinity;
    const value = read(given);
    return value !== undefined && value >= least && value <= most ? value : undefined;
  }
  const range = `${min} to ${max}${word === undefined ? "" : `, or ${word}`}`;
  // Everything else that has a range has a unit too.
  const isNumber = read === parseInteger;
  const suggest = (given: string) => similar(given).find((text) => parse(text) !== undefined);
  return withDefault(options, { placeholder, isNumber, rule: `from ${range}`, range, parse, suggest });
}

function withDefault<Value>(
  { group, help, default: given }: Described & { readonly default: string },
  type: Pick<
    ValueSetting<Value>,
    "placeholder" | "isNumber" | "rule" | "range" | "choices" | "parse" | "suggest"
  >,
): ValueSetting<Value> {
  const defaultText = /^\S+$/.test(given) ? given : JSON.stringify(given);
  return {
    kind: "value",
    group,
    help,
    ...type,
    default: type.parse(given) ?? neverDeclared(given),
    defaultGiven: given,
    defaultText,
  };
}

function neverDeclared(given: string): never {
  throw new TypeError(
    `Cannot declare a setting with ${JSON.stringify(given)}: it breaks the setting's own rule`,
  );
}
