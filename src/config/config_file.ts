// Reads the settings file, and reports each mistake in it with its line.

import { StartError } from "../core/errors.ts";
import { findNearest } from "../core/nearest.ts";
import { readRegularFile, UnreadableFile } from "../core/regular_file.ts";
import {
  type Given,
  type GivenValue,
  quoteGiven,
  ruleFor,
  type Setting,
  type SwitchSetting,
} from "../core/settings/setting_types.ts";
import { SETTING_NAMES, type SettingName } from "../core/settings/declarations.ts";
import { declarationOf, type FileSettings, keyOf } from "../core/settings/settings.ts";
import type { Document, Mistake, Value } from "./document.ts";

/** How large a settings file may be, in bytes. */
export const MAX_CONFIG_SIZE_BYTES = 256 * 1024;

/** How much of a wrong value is shown, in characters. */
const MAX_SHOWN_LENGTH = 100;
/** How many letters a key may be away from the one that was meant. */
const MAX_HINT_DISTANCE = 3;

const NAMES: ReadonlyMap<string, SettingName> = new Map(SETTING_NAMES.map((name) => [keyOf(name), name]));

/** The settings in a file, and its mistakes: a line of text each, in the order of the file. */
export interface ConfigFile extends FileSettings {
  readonly mistakes: readonly string[];
}

/**
 * Reads the settings file at `path`, which must end in `.json` or `.toml`.
 *
 * @throws {StartError} when the file can't be read
 */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  return await parseConfigFile(path, readBytes(path));
}

/** As {@linkcode readConfigFile}, for a file that was read already; messages name it `path`. */
export async function parseConfigFile(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<ConfigFile> {
  const given = new Map<SettingName, Given>();
  const unknown = new Set<SettingName>();
  const { entries, mistakes, isPartial } = await readDocument(path, bytes);
  const found: Mistake[] = [...mistakes];
  const lines = new Map<SettingName, number>();
  for (const { key, line, value } of entries) {
    const name = NAMES.get(key);
    if (name === undefined) {
      const meant = findMeant(key);
      found.push({ line, text: describeUnknown(key, meant) });
      if (meant !== undefined) unknown.add(meant);
      continue;
    }
    const firstLine = lines.get(name);
    if (firstLine !== undefined) {
      found.push({ line, text: `Cannot use ${key} twice: line ${firstLine} has it already` });
      continue;
    }
    lines.set(name, line);
    const setting: Setting = declarationOf(name);
    const read = readValue(setting, value, (value, rule) => {
      const given = describeValue(value, setting);
      found.push({ line: value.line, text: `Cannot use ${key} ${given}: it must be ${rule}` });
      return undefined;
    });
    if (read === undefined) unknown.add(name);
    else given.set(name, { source: "file", label: `${path}:${line}`, value: read });
  }
  // What could not be read may be any setting that was not found.
  for (const name of isPartial ? SETTING_NAMES : []) if (!given.has(name)) unknown.add(name);
  const texts = found.toSorted((a, b) => a.line - b.line).map(({ line, text }) => `${path}:${line}: ${text}`);
  return { given, unknown, mistakes: texts };
}

async function readDocument(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<Document> {
  if (bytes.length > MAX_CONFIG_SIZE_BYTES) {
    return refuse(`it is larger than ${MAX_CONFIG_SIZE_BYTES / 1024} KiB`);
  }
  const text = new TextDecoder().decode(bytes);
  if (!isUtf8(bytes)) {
    return refuse("it must be UTF-8", text.slice(0, text.indexOf("\ufffd")).split("\n").length);
  }
  if (text.trim() === "") return refuse("it is empty");
  try {
    if (path.endsWith(".json")) return (await import("./json_document.ts")).readJson(text);
    return (await import("./toml_document.ts")).readToml(text);
  } catch (error) {
    // The libraries recurse at every bracket, so thousands of them use up the stack.
    if (error instanceof RangeError) return refuse("its values are nested too deeply");
    throw error;
  }
}

function refuse(state: string, line = 1): Document {
  return { entries: [], mistakes: [{ line, text: `Cannot read it: ${state}` }], isPartial: true };
}

function isUtf8(bytes: Uint8Array<ArrayBuffer>): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return false;
  }
}

/** Notes that a value is wrong; returns undefined, as a wrong value gives none. */
type Reject = (value: Value, rule: string) => undefined;

function readValue(setting: Setting, value: Value, reject: Reject): GivenValue | undefined {
  const { content } = value;
  if (setting.kind === "switch") {
    return typeof content === "boolean" ? content : reject(value, "true or false, without quotes");
  }
  if (setting.kind === "value") return readText(setting, value, reject);
  if (!isArray(content)) return reject(value, `an array of strings, each ${setting.rule}`);
  const items = content.map((item) => readText(setting, item, reject));
  return items.every((item) => item !== undefined) ? items : undefined;
}

function readText(
  setting: Exclude<Setting, SwitchSetting>,
  value: Value,
  reject: Reject,
): string | undefined {
  const { content } = value;
  const type = setting.kind === "value" && setting.isNumber ? "number" : "string";
  const text = String(content);
  // Among numbers, the word for no limit is text.
  const isWord = typeof content === "string" && setting.parse(text) === Infinity;
  const rule = ruleFor(setting, text);
  if (typeof content !== type && !isWord) return reject(value, `a ${type}, ${rule}`);
  return setting.parse(text) === undefined ? reject(value, rule) : text;
}

function isArray(content: Value["content"]): content is readonly Value[] {
  return Array.isArray(content);
}

function describeValue({ content, source }: Value, setting: Setting): string {
  if (typeof content === "string") return shorten(quoteGiven(content, setting));
  // The content of an array or a table does not matter where there must be none.
  return /^[[{]/.test(source) ? `${source[0]}...${source.at(-1)}` : shorten(source);
}

function shorten(text: string): string {
  return text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}...` : text;
}

/** The setting that a wrong key may mean: it is misspelt, or written like a flag, a variable or a name in code. */
function findMeant(key: string): SettingName | undefined {
  const words = key.replaceAll(/[a-z](?=[A-Z])/g, "$&-").toLowerCase().replaceAll("_", "-")
    .replace(/^-*(wsward-)?(no-)?/, "");
  const nearest = findNearest([...NAMES.keys()], words, Math.min(MAX_HINT_DISTANCE, words.length / 2));
  return nearest === undefined ? undefined : NAMES.get(nearest);
}

function describeUnknown(key: string, meant: SettingName | undefined): string {
  const hint = meant === undefined ? ": wsward serve --help lists them" : `, did you mean ${keyOf(meant)}?`;
  return `Cannot use ${shorten(quoteGiven(key))}: it is no setting${hint}`;
}

function readBytes(path: string): Uint8Array<ArrayBuffer> {
  try {
    return readRegularFile(path, MAX_CONFIG_SIZE_BYTES).bytes;
  } catch (cause) {
    if (!(cause instanceof UnreadableFile)) throw cause;
    throw new StartError(`Cannot read the settings file ${JSON.stringify(path)}: ${cause.message}`, {
      cause,
    });
  }
}
