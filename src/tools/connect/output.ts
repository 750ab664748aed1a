// Writes what happens: data to stdout and everything else to stderr, or all of it above a prompt.

import { jsonLine } from "../json_line.ts";
import { asJson, describeEnding, describeIncoming, describeRefusal, showHead } from "./view.ts";
import type { ResponseHead } from "../raw_client.ts";
import type { ConnectOptions } from "./options.ts";
import type { Ending, Incoming } from "./web_socket.ts";

const encoder = new TextEncoder();

/** Writes messages, notices and errors. */
export class Output {
  /** Whether there is a prompt. */
  readonly isPrompt: boolean;
  /** Whether nobody reads stdout any more. */
  isBroken = false;
  /** Writes a line above the prompt; set by the prompt. */
  showAbovePrompt: ((line: string) => void) | undefined;
  readonly #options: Pick<ConnectOptions, "json" | "binary" | "timestamps" | "color" | "verbose">;
  readonly #isTerminal = Deno.stdout.isTerminal();

  constructor(options: ConnectOptions, isPrompt: boolean) {
    this.#options = options;
    this.isPrompt = isPrompt;
  }

  /** Shows a message, a Ping or a Pong. Resolves when it is written, so that nothing is read faster than that. */
  async show(incoming: Exclude<Incoming, Ending>): Promise<void> {
    if (this.#options.json) return await this.#json(asJson(incoming));
    if (incoming.kind !== "text" && incoming.kind !== "binary") return this.tell(describeIncoming(incoming));
    if (this.isPrompt) return this.#line(describeIncoming(incoming), "36");
    if (this.#isTerminal) {
      return await this.#write(encoder.encode(`${this.#time()}${describeIncoming(incoming).slice(2)}\n`));
    }
    // A program reads this, so nothing is escaped.
    if (incoming.kind === "text") {
      return await this.#write(encoder.encode(`${this.#time()}${incoming.text}\n`));
    }
    if (this.#options.binary) return await this.#write(incoming.bytes);
    await this.#write(encoder.encode(`${this.#time()}${incoming.bytes.toHex()}\n`));
  }

  async opened(url: string, selected: string | undefined): Promise<void> {
    // Some servers select the subprotocol that holds the token.
    const subprotocol = selected?.startsWith("bearer.") ? "bearer.(not shown)" : selected;
    if (this.#options.json) {
      return await this.#json({ type: "open", url, ...(subprotocol ? { subprotocol } : {}) });
    }
    const chosen = subprotocol === undefined ? "" : ` (subprotocol ${subprotocol})`;
    if (this.isPrompt) this.#line(`Connected to ${url}${chosen}; /help tells what can be typed`, "2");
    else if (this.#options.verbose) this.tell(`Connected to ${url}${chosen}`);
  }

  async closed(ending: Ending): Promise<void> {
    if (this.#options.json) return await this.#json(asJson(ending));
    this.tell(describeEnding(ending));
  }

  async refused(head: ResponseHead, body: Uint8Array): Promise<void> {
    if (!this.#options.json) return this.failed(describeRefusal(head, body));
    const headers = Object.fromEntries(
      Array.from(
        head.headers,
        ([name, values]) => [name, name === "set-cookie" ? "(not shown)" : values.join(", ")],
      ),
    );
    await this.#json({ type: "refused", status: head.status, headers, body: new TextDecoder().decode(body) });
  }

  failed(text: string): void {
    this.#line(text, "31");
  }

  /** Writes a notice, which is not data. */
  tell(text: string): void {
    this.#line(text, "2");
  }

  tellHead(direction: ">" | "<", head: string): void {
    this.tell(showHead(head).split("\n").map((line) => `${direction} ${line}`).join("\n"));
  }

  #line(text: string, style: string): void {
    const plain = this.#time() + text;
    const painted = this.#options.color ? `\x1b[${style}m${plain}\x1b[0m` : plain;
    if (this.showAbovePrompt !== undefined) this.showAbovePrompt(painted);
    else if (this.isPrompt) console.log(painted);
    else console.error(Deno.stderr.isTerminal() ? painted : plain);
  }

  async #json(value: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#write(encoder.encode(`${jsonLine({ time: new Date().toISOString(), ...value })}\n`));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.isBroken) return;
    try {
      for (let written = 0; written < bytes.length;) {
        written += await Deno.stdout.write(bytes.subarray(written));
      }
    } catch (error) {
      // The reader has gone, as `head` does when it has seen enough.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      this.isBroken = true;
    }
  }

  #time(): string {
    return this.#options.timestamps && !this.#options.json ? `${new Date().toISOString()} ` : "";
  }
}
