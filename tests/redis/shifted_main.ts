// The program on a machine whose clock is an hour ahead.

const AHEAD_MS = 3_600_000;
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...args: [] | [number | string]) {
    super(args.length === 0 ? RealDate.now() + AHEAD_MS : args[0]);
  }

  static override now(): number {
    return RealDate.now() + AHEAD_MS;
  }
}

globalThis.Date = ShiftedDate as unknown as DateConstructor;
await import("../../main.ts");
