// A machine whose clock differs from the others'.

const RealDate = Date;

/** Sets the clock of this process ahead, or back. */
export function shiftClock(aheadMs: number): void {
  globalThis.Date = class ShiftedDate extends RealDate {
    constructor(...args: [] | [number | string]) {
      super(args.length === 0 ? RealDate.now() + aheadMs : args[0]);
    }

    static override now(): number {
      return RealDate.now() + aheadMs;
    }
  } as unknown as DateConstructor;
}
