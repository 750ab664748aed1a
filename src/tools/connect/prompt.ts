// A prompt with history; messages are shown above it.

import { stdin, stdout } from "node:process";
import { createInterface, type Interface } from "node:readline";
import { escapeText } from "../../core/visible_text.ts";
import { findNearest } from "../../core/nearest.ts";
import { isValidCloseCode } from "../../protocol/close_code.ts";
import type { Connection, Input } from "./connection.ts";
import type { Output } from "./output.ts";

const HELP = `/ping [TEXT], /pong [TEXT]   send a control frame
/binary HEX                  send a binary message
/close [CODE [REASON]]       close, with 1000 if left out
/stats                       what was counted, and the round trips of Pings
/quit                        close with 1000, as Ctrl-D does; Ctrl-C twice ends at once
//TEXT                       send a text that begins with a slash`;
const COMMANDS = ["/ping", "/pong", "/binary", "/close", "/stats", "/quit", "/help"];

/** Input that is typed on a terminal. */
export class Prompt implements Input {
  readonly #lines: Interface;
  readonly #output: Output;
  readonly #interrupt: (how: "SIGINT" | "quit") => void;
  #connection: Connection | undefined;
  #isClosed = false;

  constructor(output: Output, interrupt: (how: "SIGINT" | "quit") => void) {
    this.#output = output;
    this.#interrupt = interrupt;
    this.#lines = createInterface({
      input: stdin,
      output: stdout,
      prompt: "> ",
      historySize: 1000,
      terminal: true,
    });
    this.#lines.on("line", (line) => void this.#take(line));
    this.#lines.on("SIGINT", () => interrupt("SIGINT"));
    // Ctrl-D.
    this.#lines.on("close", () => {
      if (!this.#isClosed) interrupt("quit");
      this.#isClosed = true;
      output.showAbovePrompt = undefined;
    });
    output.showAbovePrompt = (text) => {
      stdout.write(`\r\x1b[J${text}\n`);
      if (this.#connection !== undefined) this.#lines.prompt(true);
    };
  }

  attach(connection: Connection): void {
    this.#connection = connection;
    if (!this.#isClosed) this.#lines.prompt();
  }

  detach(): void {
    this.#connection = undefined;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#output.showAbovePrompt = undefined;
    stdout.write("\r\x1b[J");
    this.#lines.close();
  }

  async #take(line: string): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return this.#output.tell("Not connected: this was not sent");
    if (line.startsWith("/") && !line.startsWith("//")) await this.#command(connection, line);
    else if (line !== "") await connection.send(line.replace(/^\/\//, "/"));
    if (!this.#isClosed && this.#connection !== undefined) this.#lines.prompt();
  }

  async #command(connection: Connection, line: string): Promise<void> {
    const [, command = "", rest = ""] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
    switch (command) {
      case "/ping":
        return await connection.ping(rest);
      case "/pong":
        return await connection.pong(rest);
      case "/binary":
        return await this.#sendHex(connection, rest);
      case "/close":
        return await this.#close(connection, rest);
      case "/stats":
        return this.#output.tell(connection.stats());
      case "/quit":
        return this.#interrupt("quit");
      case "/help":
        return this.#output.tell(HELP);
      default: {
        const nearest = findNearest(COMMANDS, command);
        this.#output.failed(
          `Cannot do ${escapeText(command)}: there is no such command, the nearest one is ${nearest}`,
        );
      }
    }
  }

  async #sendHex(connection: Connection, text: string): Promise<void> {
    const digits = text.replace(/\s+/g, "");
    if (!/^([0-9a-f]{2})*$/i.test(digits)) {
      return this.#output.failed("Cannot send this: write bytes such as 00 ff 7f");
    }
    await connection.send(Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16)));
  }

  async #close(connection: Connection, text: string): Promise<void> {
    const [, code = "1000", reason = ""] = /^(\S+)?\s*(.*)$/s.exec(text) ?? [];
    const number = Number(code);
    if (!/^\d+$/.test(code) || !isValidCloseCode(number)) {
      return this.#output.failed(
        "Cannot close with this: a code is 1000 to 1003, 1007 to 1014 or 3000 to 4999",
      );
    }
    if (new TextEncoder().encode(reason).length > 123) {
      return this.#output.failed("Cannot close with this: a reason has at most 123 bytes");
    }
    await connection.close(number, reason);
  }
}
