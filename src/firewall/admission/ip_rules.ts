// Which addresses may connect at all: --allow-ip, --deny-ip and the rules file.

import { StartError } from "../../core/errors.ts";
import { isNetwork } from "../../core/network_text.ts";
import { readRegularTextFile, UnreadableFile } from "../../core/regular_file.ts";
import type { Settings } from "../../core/settings/declarations.ts";
import type { Refusal } from "../../protocol/handshake.ts";
import { createNetworkSet, type NetworkSet } from "./network_set.ts";

/** The settings that the rules come from. */
export type IpRuleSettings = Pick<Settings, "allowIp" | "denyIp" | "rulesFile">;

/** How many mistakes of a rules file one message lists: with more, it is probably the wrong file. */
const MAX_MISTAKES = 20;

const DENIED: Refusal = { status: 403, reason: "this address may not connect", rule: "ip_rules" };

/** The rules in force. A deny wins over an allow; where there is any allow, everybody else is refused. */
export class IpRules {
  readonly #settings: IpRuleSettings;
  #allow!: NetworkSet;
  #deny!: NetworkSet;

  /** Reads the rules file, if there is one, and throws {@linkcode StartError} with all that is wrong with it. */
  constructor(settings: IpRuleSettings) {
    this.#settings = settings;
    const problem = this.reload();
    if (problem !== undefined) throw new StartError(problem);
  }

  /**
   * Why `address`, in any spelling, may not connect; undefined if it may. A text that is not an address is in no
   * network.
   */
  check(address: string): Refusal | undefined {
    if (this.#deny.has(address)) return DENIED;
    return this.#allow.size === 0 || this.#allow.has(address) ? undefined : DENIED;
  }

  /** Reads the rules file again. Returns what is wrong with it, and then keeps the old rules. */
  reload(): string | undefined {
    const { allowIp, denyIp, rulesFile } = this.#settings;
    const allow = [...allowIp];
    const deny = [...denyIp];
    if (rulesFile !== undefined) {
      const file = JSON.stringify(rulesFile);
      let text: string;
      try {
        text = readRegularTextFile(rulesFile);
      } catch (error) {
        if (!(error instanceof UnreadableFile)) throw error;
        return `Cannot read the rules file ${file}: ${error.message}`;
      }
      const mistakes = parseRules(text, allow, deny);
      if (mistakes.length > 0) return `Cannot use the rules file ${file}: ${summarize(mistakes)}`;
    }
    this.#allow = createNetworkSet(allow);
    this.#deny = createNetworkSet(deny);
    return undefined;
  }
}

/** Adds the rules in `text` to the two lists and returns what is wrong, with line numbers. */
function parseRules(text: string, allow: string[], deny: string[]): readonly string[] {
  const mistakes: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const rule = line.replace(/#.*/, "").trim();
    if (rule === "") continue;
    const [verb, network = "", ...rest] = rule.split(/\s+/);
    // The line is not quoted: the file may be the wrong one, and hold a secret.
    if ((verb !== "allow" && verb !== "deny") || rest.length > 0) {
      mistakes.push(`line ${index + 1} must be "allow" or "deny" and a network`);
    } else if (!isNetwork(network)) {
      mistakes.push(`line ${index + 1} must name an address or a network such as 192.0.2.0/24`);
    } else {
      (verb === "allow" ? allow : deny).push(network);
    }
  }
  return mistakes;
}

function summarize(mistakes: readonly string[]): string {
  const more = mistakes.length - MAX_MISTAKES;
  return mistakes.slice(0, MAX_MISTAKES).join("; ") + (more > 0 ? `; and ${more} more` : "");
}
