// Frame headers byte by byte (RFC 6455 §5.2).
import assert from "node:assert/strict";
import {
  encodeClose,
  encodeFrame,
  FrameHeader,
  headerSize,
  OPCODE,
  readFrameHeader,
  rotateMaskKey,
  writeFrameHeader,
} from "../../src/protocol/frame.ts";

const LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];

Deno.test("a header that was written is read back, and with one byte less it is not whole", () => {
  for (const payloadLength of LENGTHS) {
    for (const maskKey of [undefined, 0, 0x80000001, 0xffffffff]) {
      for (const fin of [true, false]) {
        const bytes = new Uint8Array(20);
        const fields = {
          fin,
          opcode: OPCODE.binary,
          payloadLength,
          ...(maskKey === undefined ? {} : { maskKey }),
        };
        const end = writeFrameHeader(bytes, 3, fields);
        assert.equal(end - 3, headerSize(payloadLength, maskKey !== undefined));
        const header = new FrameHeader();
        for (let cut = 3; cut < end; cut++) assert.equal(readFrameHeader(bytes, 3, cut, header), false);
        assert.equal(readFrameHeader(bytes, 3, end, header), true);
        assert.deepEqual(
          { fin: header.fin, opcode: header.opcode, payloadLength: header.payloadLength, size: header.size },
          { fin, opcode: OPCODE.binary, payloadLength, size: end - 3 },
        );
        assert.equal(header.masked, maskKey !== undefined);
        assert.equal(header.maskKey, maskKey ?? 0);
      }
    }
  }
});

Deno.test("the first two bytes are read as soon as they are there", () => {
  const header = new FrameHeader();
  const bytes = Uint8Array.of(0xf1, 0xfe);
  assert.equal(readFrameHeader(bytes, 0, 1, header), false);
  assert.equal(header.size, 0);
  assert.equal(readFrameHeader(bytes, 0, 2, header), false);
  assert.deepEqual([header.fin, header.rsv, header.opcode, header.masked, header.lengthCode], [
    true,
    7,
    1,
    true,
    126,
  ]);
});

Deno.test("the examples of RFC 6455 §5.7 are read as it says", () => {
  const header = new FrameHeader();
  const hello = new TextEncoder().encode("Hello");
  assert.deepEqual([...encodeFrame(OPCODE.text, hello)], [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
  assert.deepEqual(
    [...encodeFrame(OPCODE.text, hello, 0x37fa213d)],
    [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58],
  );
  assert.equal(readFrameHeader(Uint8Array.of(0x82, 0x7e, 0x01, 0x00), 0, 4, header), true);
  assert.equal(header.payloadLength, 256);
  assert.equal(readFrameHeader(Uint8Array.of(0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0), 0, 10, header), true);
  assert.equal(header.payloadLength, 65536);
});

Deno.test("a length that no number holds is told apart by its highest bit", () => {
  const header = new FrameHeader();
  for (const [first, expected] of [[0x7f, 2 ** 62], [0x80, 2 ** 63], [0xff, 2 ** 63]] as const) {
    const bytes = new Uint8Array(10).fill(0xff);
    bytes.set([0x82, 0x7f, first]);
    assert.equal(readFrameHeader(bytes, 0, 10, header), true);
    assert.equal(header.payloadLength, expected);
  }
});

Deno.test("a mask key turns with its payload", () => {
  assert.equal(rotateMaskKey(0x11223344, 0), 0x11223344);
  assert.equal(rotateMaskKey(0x11223344, 1), 0x22334411);
  assert.equal(rotateMaskKey(0x11223344, 6), 0x33441122);
  assert.equal(rotateMaskKey(0xff000000, 3), 0x00ff0000);
});

Deno.test("a Close frame carries its code and reason", () => {
  assert.deepEqual([...encodeClose({ code: 1009, reason: "é" })], [0x88, 0x04, 0x03, 0xf1, 0xc3, 0xa9]);
  assert.deepEqual([...encodeClose({ code: 1005, reason: "" })], [0x88, 0x00]);
});
