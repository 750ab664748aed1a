// The rows of the benchmark: how many connections, how many messages in flight on each, and how large they are.

/** One kind of load. */
export interface Row {
  /** `CONNECTIONSxIN_FLIGHTxSIZE`, as in `50x16x32`. */
  readonly name: string;
  readonly connections: number;
  readonly inFlight: number;
  readonly sizeBytes: number;
}

const LARGEST_BYTES = 64 * 1024 * 1024;

/** Reads a row from its name. Throws an `Error` that names what is wrong. */
export function parseRow(name: string): Row {
  const numbers = /^([1-9]\d{0,4})x([1-9]\d{0,4})x([1-9]\d{0,7})$/.exec(name)?.slice(1).map(Number);
  const [connections, inFlight, sizeBytes] = numbers ?? [];
  if (
    connections === undefined || inFlight === undefined || sizeBytes === undefined ||
    sizeBytes > LARGEST_BYTES
  ) {
    throw new Error(
      `Cannot use the row "${name}": it must be like "50x16x32" (connections, in flight, bytes)`,
    );
  }
  return { name, connections, inFlight, sizeBytes };
}

/** The row in words. */
export function describeRow({ connections, inFlight, sizeBytes }: Row): string {
  const size = sizeBytes % 1024 === 0 ? `${sizeBytes / 1024} KiB` : `${sizeBytes} bytes`;
  return `${connections} connection${connections === 1 ? "" : "s"}, ${inFlight} in flight, ${size}`;
}

/** The rows that are run unless others are asked for. */
export const DEFAULT_ROWS: readonly Row[] = ["1x1x32", "50x1x32", "50x16x32", "50x1x16384"].map(parseRow);
