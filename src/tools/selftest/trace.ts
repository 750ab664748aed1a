// The bytes on the wire of one case, for people: limited, and without the token.

import { latin1 } from "../../core/latin1.ts";
import { escapeText, hexOf } from "../../core/visible_text.ts";
import type { Trace } from "../raw_client.ts";

const MAX_LINES = 60;
const MAX_BYTES = 48;

/** Lines such as `1 > 81 85 37 fa 21 3d`, with the text beside bytes that are text. */
export class TraceLog {
  readonly lines: string[] = [];
  #connections = 0;
  #left = 0;
  readonly #secret: string | undefined;

  /** `secret` is not shown, unless it is split over several reads or writes. */
  constructor(secret: string | undefined) {
    this.#secret = secret;
  }

  /** The trace of one more connection. */
  connection(): Trace {
    const index = ++this.#connections;
    return (direction, bytes) => {
      if (this.lines.length === MAX_LINES) {
        this.#left++;
        return;
      }
      this.lines.push(`${index} ${direction} ${this.#describe(bytes)}`);
    };
  }

  /** How many lines were left out. */
  get left(): number {
    return this.#left;
  }

  #describe(bytes: Uint8Array): string {
    const start = latin1(bytes, 0, Math.min(bytes.length, 4096));
    // An HTTP head is shown as text and all else as bytes, or as a length only if the token may be in it.
    if (!/^[A-Z]+ |^HTTP\//.test(start)) {
      return this.#secret !== undefined && bytes.length >= this.#secret.length
        ? `${bytes.length} bytes`
        : hexOf(bytes, MAX_BYTES);
    }
    const text = this.#secret === undefined ? start : start.replaceAll(this.#secret, "(token)");
    const shown = escapeText(text.replaceAll("\r\n", "\n")).replaceAll("\\u{a}", " | ");
    return shown.length <= 400 ? shown : `${shown.slice(0, 400)}... (${bytes.length} bytes)`;
  }
}
