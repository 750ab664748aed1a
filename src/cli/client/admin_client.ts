// The client of the admin listener: finds it, has a token, and puts its answers into words.

import type { Command } from "commander";
import { StartError } from "../../core/errors.ts";
import { describeFileError } from "../../core/file_error.ts";
import { optionalPath, readSetting } from "../../core/settings/setting_types.ts";
import { addUrlOption, readUrl } from "./admin_url.ts";
import { addSettingOptions, describedOption, ENV, givenValue, settingReader } from "../setting_options.ts";
import { mintFromFile } from "../commands/token_create_command.ts";

/** The user of tokens that commands make for themselves, as the server's log shows it. */
const COMMAND_USER = "wsward-command";
const TOKEN_LIFETIME_MS = 60_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** The most that is read of an answer, in bytes. */
const MAX_ANSWER_SIZE = 64 * 1024 * 1024;

const TOKEN_FILE_FLAG = optionalPath({
  group: "Server",
  help: "file with the token of an administrator",
  unset: "a token for one minute is made with --key-file",
});

// The settings that say what the server asks of a token.
const USED_SETTINGS = ["keyFile", "keyEncoding", "issuer", "audience", "tokenType", "adminScope"] as const;

/** Adds the flags for the server's URL and an administrator's token. */
export function addAdminOptions(command: Command): Command {
  addUrlOption(command);
  command.addOption(
    describedOption("--token-file", TOKEN_FILE_FLAG, "WSWARD_ADMIN_TOKEN_FILE").helpGroup("Server:"),
  );
  return addSettingOptions(command, USED_SETTINGS);
}

/** Talks to the admin listener that the flags of a command name. */
export class AdminClient {
  readonly #url: string;
  readonly #readToken: () => Promise<string>;
  #token: { readonly text: string; readonly madeAtMs: number } | undefined;

  constructor(url: string, readToken: () => Promise<string>) {
    this.#url = url;
    this.#readToken = readToken;
  }

  /**
   * Reads flags and variables, also flags before a subcommand. What a token needs, which may be in a settings file, is
   * read when the token is made.
   *
   * @throws {UsageError} when one of them can't be used
   */
  static fromCommand(command: Command): AdminClient {
    const url = readUrl(command);
    const labels = { flag: "--token-file", variable: "WSWARD_ADMIN_TOKEN_FILE" };
    const given = givenValue(command, "tokenFile");
    const tokenFile = readSetting(TOKEN_FILE_FLAG, labels, given, ENV) as string | undefined;
    if (tokenFile !== undefined) return new AdminClient(url, () => readTokenFile(tokenFile));
    return new AdminClient(url, () => mintForCommand(command));
  }

  /**
   * Makes one request and returns the JSON of the answer, undefined where there is none.
   *
   * @throws {UsageError} when what a token needs can't be used
   * @throws {StartError} when there is no token, the server can't be reached, or it refuses
   */
  async call(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<unknown> {
    const content = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
    const headers = {
      authorization: `Bearer ${await this.#currentToken()}`,
      accept: "application/json",
      ...(content === undefined ? {} : {
        "content-type": "application/json",
        "content-length": content.length,
      }),
    };
    const { status, text } = await request(`${this.#url}${path}`, { method, headers, content });
    let json: unknown;
    try {
      json = text === "" ? undefined : JSON.parse(text);
    } catch {
      throw new StartError(`Cannot understand ${this.#url}: it does not answer like wsward`);
    }
    if (status >= 200 && status < 300) return json;
    throw new StartError(`Cannot do this: the server refused it (${status}): ${describeProblem(json)}`);
  }

  /** As `call`, for a list under `name` that comes in pages: all of them, one after the other; `onPage` is told of each. */
  async list(
    path: string,
    name: string,
    onPage: (page: Readonly<Record<string, unknown>>) => void = () => {},
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const all: Readonly<Record<string, unknown>>[] = [];
    for (let after = "";;) {
      const query = after === "" ? "" : `?after=${encodeURIComponent(after)}`;
      const json = await this.call("GET", `${path}${query}`) as Readonly<Record<string, unknown>> | undefined;
      const { [name]: items, next = "" } = json ?? {};
      // Pages that lead nowhere would never end.
      if (!Array.isArray(items) || typeof next !== "string" || (next !== "" && next <= after)) {
        throw new StartError(`Cannot understand ${this.#url}: it does not answer like wsward`);
      }
      all.push(...items);
      onPage(json!);
      if (next === "") return all;
      after = next;
    }
  }

  async #currentToken(): Promise<string> {
    const nowMs = Date.now();
    if (this.#token === undefined || nowMs - this.#token.madeAtMs > TOKEN_LIFETIME_MS / 2) {
      this.#token = { text: await this.#readToken(), madeAtMs: nowMs };
    }
    return this.#token.text;
  }
}

/**
 * Makes one request, without a token of its own.
 *
 * @throws {StartError} when the server can't be reached
 */
export async function request(
  url: string,
  { content, ...options }: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string | number>>;
    readonly content?: Uint8Array<ArrayBuffer> | undefined;
  } = {},
): Promise<{ status: number; text: string }> {
  // Loaded late: of all commands only a few need it.
  const { request: httpRequest } = await import("node:http");
  // Not `fetch`, which would send the token to the proxy of HTTP_PROXY, even for an address of this machine.
  return await new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new StartError(describeFailure(new URL(url).origin, error), { cause: error }));
    const call = httpRequest(url, { ...options, agent: false }, (response) => {
      const parts: Uint8Array<ArrayBuffer>[] = [];
      let size = 0;
      response.on("data", (part: Uint8Array<ArrayBuffer>) => {
        size += part.length;
        if (size > MAX_ANSWER_SIZE) call.destroy(new Error("the answer is too large"));
        else parts.push(part);
      });
      response.on(
        "end",
        async () => resolve({ status: response.statusCode ?? 0, text: await new Blob(parts).text() }),
      );
      response.on("error", fail);
    });
    call.setTimeout(REQUEST_TIMEOUT_MS, () => call.destroy(new Error("it does not answer")));
    call.on("error", fail);
    call.end(content);
  });
}

async function mintForCommand(command: Command): Promise<string> {
  const setting = await settingReader(command);
  return await mintFromFile({ keyFile: setting("keyFile"), encoding: setting("keyEncoding") }, {
    user: COMMAND_USER,
    expiresInMs: TOKEN_LIFETIME_MS,
    claims: { scope: setting("adminScope") },
    issuer: setting("issuer"),
    audience: setting("audience"),
    tokenType: setting("tokenType"),
  });
}

async function readTokenFile(path: string): Promise<string> {
  let text: string;
  try {
    text = (await Deno.readTextFile(path)).trim();
  } catch (cause) {
    const why = describeFileError(cause);
    throw new StartError(`Cannot read the token from file ${JSON.stringify(path)}: ${why}`, { cause });
  }
  // A header refuses anything else, with the content in its error.
  if (/^[\w.-]+$/.test(text)) return text;
  throw new StartError(`Cannot use the token in file ${JSON.stringify(path)}: it is not a JWT`);
}

function describeProblem(json: unknown): string {
  const { detail, field } = (json ?? {}) as { readonly detail?: unknown; readonly field?: unknown };
  if (typeof detail !== "string") return "it does not say why";
  return typeof field === "string" ? `${detail} (${field})` : detail;
}

function describeFailure(url: string, error: Error): string {
  const isRefused = /refused/i.test(error.message) || ("code" in error && error.code === "ECONNREFUSED");
  const why = isRefused
    ? "nothing listens there (is the server started with --admin-listen?)"
    : error instanceof Deno.errors.NotCapable
    ? "permission was not granted; run with --allow-net=127.0.0.1,[::1],localhost"
    : error.message;
  return `Cannot reach the server at ${url}: ${why}`;
}
