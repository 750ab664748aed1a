// RFC 6455 §5 as a model that is slow and easy to check: what a whole stream of frames must lead to.
//
// It shares no code with the program, because the program is judged by it.

/** One message, or the payload of one Ping. */
export interface ModelMessage {
  readonly opcode: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** What a stream leads to. Without `violation` and `close` it is valid but not finished. */
export interface Verdict {
  /** Whole messages, in order, before the end. */
  readonly messages: readonly ModelMessage[];
  readonly pings: readonly ModelMessage[];
  /** The number of Pings and Pongs. */
  readonly controls: number;
  /** The code that the server must close with. */
  readonly violation?: number;
  /** The code of the stream's own Close, 1005 if it has none. */
  readonly close?: number;
  /** Whether the stream stops inside a frame. */
  readonly isInsideFrame: boolean;
  readonly isInsideMessage: boolean;
}

/** The limits that the model applies. */
export interface ModelLimits {
  readonly maxMessageSize: number;
  readonly maxFragments: number;
}

const REGISTERED = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];

/** Judges a stream. `isFromClient` says whether its frames must be masked or must not. */
export function judge(stream: Uint8Array, limits: ModelLimits, isFromClient = true): Verdict {
  const messages: ModelMessage[] = [];
  const pings: ModelMessage[] = [];
  let controls = 0;
  let opened: { opcode: number; parts: Uint8Array[]; size: number; decoder: TextDecoder } | undefined;
  let at = 0;
  const end = (rest: { violation?: number; close?: number }, isInsideFrame = false): Verdict => ({
    messages,
    pings,
    controls,
    isInsideFrame,
    isInsideMessage: opened !== undefined,
    ...rest,
  });

  for (;;) {
    const rest = stream.length - at;
    if (rest === 0) return end({});
    if (rest === 1) return end({}, true);
    const [first, second] = [stream[at]!, stream[at + 1]!];
    const fin = first >= 128;
    const rsv = (first % 128) >> 4;
    const opcode = first % 16;
    const isMasked = second >= 128;
    const shortLength = second % 128;
    const isControl = opcode >= 8;
    if (isMasked !== isFromClient) return end({ violation: 1002 });
    if (rsv !== 0) return end({ violation: 1002 });
    if (![0, 1, 2, 8, 9, 10].includes(opcode)) return end({ violation: 1002 });
    if (isControl && (!fin || shortLength > 125)) return end({ violation: 1002 });
    if (opcode === 0 && opened === undefined) return end({ violation: 1002 });
    if ((opcode === 1 || opcode === 2) && opened !== undefined) return end({ violation: 1002 });

    const lengthBytes = shortLength === 126 ? 2 : shortLength === 127 ? 8 : 0;
    const headerSize = 2 + lengthBytes + (isMasked ? 4 : 0);
    if (rest < headerSize) return end({}, true);
    let length = BigInt(shortLength);
    if (lengthBytes > 0) {
      length = 0n;
      for (let i = 0; i < lengthBytes; i++) length = length * 256n + BigInt(stream[at + 2 + i]!);
      if (lengthBytes === 2 && length < 126n) return end({ violation: 1002 });
      if (lengthBytes === 8 && (length < 65536n || length >= 2n ** 63n)) return end({ violation: 1002 });
    }
    if (!isControl) {
      const sizeBefore = BigInt(opened?.size ?? 0);
      if (sizeBefore + length > BigInt(limits.maxMessageSize)) return end({ violation: 1009 });
      if (opcode === 0 && opened!.parts.length >= limits.maxFragments) return end({ violation: 1009 });
    }

    const payloadAt = at + headerSize;
    const isWhole = BigInt(stream.length - payloadAt) >= length;
    const payload = stream.slice(payloadAt, isWhole ? payloadAt + Number(length) : stream.length);
    if (isMasked) {
      for (let i = 0; i < payload.length; i++) payload[i]! ^= stream[payloadAt - 4 + i % 4]!;
    }

    if (isControl) {
      if (!isWhole) return end({}, true);
      if (opcode === 8) return end(judgeClose(payload));
      controls++;
      if (opcode === 9) pings.push({ opcode, payload });
    } else {
      opened ??= {
        opcode,
        parts: [],
        size: 0,
        decoder: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }),
      };
      opened.parts.push(payload);
      opened.size += Number(length);
      const isFinished = isWhole && fin;
      if (opened.opcode === 1 && !decodes(opened.decoder, payload, !isFinished)) {
        return end({ violation: 1007 });
      }
      if (!isWhole) return end({}, true);
      if (isFinished) {
        messages.push({ opcode: opened.opcode, payload: join(opened.parts) });
        opened = undefined;
      }
    }
    at = payloadAt + Number(length);
  }
}

function judgeClose(payload: Uint8Array): { violation: number } | { close: number } {
  if (payload.length === 0) return { close: 1005 };
  if (payload.length === 1) return { violation: 1002 };
  const code = payload[0]! * 256 + payload[1]!;
  if (!REGISTERED.includes(code) && !(code >= 3000 && code <= 4999)) return { violation: 1002 };
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return decodes(decoder, payload.slice(2), false) ? { close: code } : { violation: 1007 };
}

function decodes(decoder: TextDecoder, bytes: Uint8Array, stream: boolean): boolean {
  try {
    decoder.decode(bytes, { stream });
    return true;
  } catch {
    return false;
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
