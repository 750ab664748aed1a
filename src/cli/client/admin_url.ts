// The flag with the URL of a running server's admin listener.

import type { Command } from "commander";
import { optionalText, readSetting } from "../../core/settings/setting_types.ts";
import { describedOption, ENV, givenValue } from "../setting_options.ts";

const DEFAULT_URL = "http://127.0.0.1:9090";
const VARIABLE = "WSWARD_ADMIN_URL";

const URL_FLAG = optionalText({
  group: "Server",
  placeholder: "url",
  help: "where the server administers, as its ready line says",
  accepts: isAdminUrl,
  rule: "http://, a loopback address or localhost, and a port: the token must not leave this machine",
  unset: DEFAULT_URL,
});

/** Adds the flag to `command`. */
export function addUrlOption(command: Command): Command {
  return command.addOption(describedOption("--url", URL_FLAG, VARIABLE).helpGroup("Server:"));
}

/**
 * The address, without a slash at its end.
 *
 * @throws {UsageError} when the flag or the variable is wrong
 */
export function readUrl(command: Command): string {
  const labels = { flag: "--url", variable: VARIABLE };
  const url = readSetting(URL_FLAG, labels, givenValue(command, "url"), ENV);
  return (url as string | undefined ?? DEFAULT_URL).replace(/\/$/, "");
}

function isAdminUrl(text: string): boolean {
  return /^http:\/\/(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]):\d{1,5}\/?$/.test(text) &&
    URL.canParse(text);
}
