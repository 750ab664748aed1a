// The program on a machine whose clock is an hour behind.

import { shiftClock } from "./shifted_clock.ts";

shiftClock(-3_600_000);
await import("../../main.ts");
