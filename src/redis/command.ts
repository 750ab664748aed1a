// How a command is written to Redis.

/** A command and its arguments. */
export type Command = readonly (string | number)[];

const ENCODER = new TextEncoder();

/** The bytes of commands, one after the other: each an array of texts with their sizes. */
export function encodeCommands(commands: readonly Command[]): Uint8Array<ArrayBuffer> {
  let text = "";
  for (const command of commands) {
    text += `*${command.length}\r\n`;
    for (const argument of command) {
      const part = String(argument);
      text += `$${sizeOf(part)}\r\n${part}\r\n`;
    }
  }
  return ENCODER.encode(text);
}

/** The bytes of a text in UTF-8. A lone surrogate becomes U+FFFD, of three bytes too. */
function sizeOf(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    size += unit < 0x800 ? 1 : 2;
    // Both units of a pair together are four bytes.
    if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(i + 1))) i++;
  }
  return size;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
