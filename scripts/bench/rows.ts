// The rows of the benchmark: the number of connections, the messages in flight on each, and their size and kind.

/**
 * The kind of messages: ASCII text, Korean text (three bytes a character), binary, or text with a connection for each
 * message, from the handshake to the Close.
 */
export const MESSAGE_KINDS = ["text", "korean", "binary", "handshake"] as const;

/** One kind of message. */
export type MessageKind = typeof MESSAGE_KINDS[number];

/** One kind of load. */
export interface Row {
  /** `[IDLE+]CONNECTIONSxIN_FLIGHTxSIZE[:KIND]`, as in `50x16x32` or `1000+50x1x32:binary`. */
  readonly name: string;
  /** Further open connections, which have sent one message and are idle. */
  readonly idle: number;
  readonly kind: MessageKind;
  readonly connections: number;
  readonly inFlight: number;
  readonly sizeBytes: number;
}

const LARGEST_BYTES = 64 * 1024 * 1024;

/** Reads a row from its name. Throws an `Error` that names what is wrong. */
export function parseRow(name: string): Row {
  const form = /^(?:([1-9]\d{0,4})\+)?([1-9]\d{0,4})x([1-9]\d{0,4})x([1-9]\d{0,7})(?::([a-z]+))?$/;
  const [, idle = "0", ...rest] = form.exec(name) ?? [];
  const kind = MESSAGE_KINDS.find((known) => known === (rest[3] ?? "text"));
  const [connections = 0, inFlight = 0, sizeBytes = 0] = rest.slice(0, 3).map(Number);
  if (connections === 0 || kind === undefined || sizeBytes > LARGEST_BYTES) {
    throw new Error(
      `Cannot use the row "${name}": it must be like "50x16x32" (connections, in flight, bytes) or "1000+50x1x32:binary" ` +
        `(with idle ones, and ${MESSAGE_KINDS.join(", ")})`,
    );
  }
  return { name, idle: Number(idle), connections, inFlight, sizeBytes, kind };
}

/** The row in words. */
export function describeRow({ idle, connections, inFlight, sizeBytes, kind }: Row): string {
  const size = sizeBytes % 1024 === 0 ? `${sizeBytes / 1024} KiB` : `${sizeBytes} bytes`;
  if (kind === "handshake") {
    return `a handshake, one message of ${size} and a Close, ${connections} at a time`;
  }
  const rest = `${connections} connection${
    connections === 1 ? "" : "s"
  }, ${inFlight} in flight, ${size} of ${kind}`;
  return idle === 0 ? rest : `${idle} idle and ${rest}`;
}

/** The rows that are run by default. */
export const DEFAULT_ROWS: readonly Row[] = [
  "1x1x32",
  "50x1x32",
  "50x16x32",
  "50x1x1024",
  "50x1x16384",
  "50x1x16384:binary",
  "50x1x16384:korean",
  "4x1x1048576",
  "4x1x1048576:binary",
  "1000x1x32",
  "1000+50x1x32",
  "8x1x32:handshake",
].map(parseRow);
