// The list of all cases. Limits and exhaustion come last, because they may change how a server answers.

import type { Case } from "./case.ts";
import { CLOSING_CASES } from "./groups/closing.ts";
import { CONTROL_CASES } from "./groups/control.ts";
import { EXHAUSTION_CASES } from "./groups/exhaustion.ts";
import { FRAMING_CASES } from "./groups/framing.ts";
import { HANDSHAKE_CASES } from "./groups/handshake.ts";
import { HEAD_LIMIT_CASES, ORIGIN_CASES } from "./groups/heads.ts";
import { LIMIT_CASES, TIME_CASES } from "./groups/limits.ts";
import { TEXT_CASES } from "./groups/text.ts";
import { TLS_CASES } from "./groups/tls.ts";
import { TOKEN_CASES } from "./groups/token.ts";

/** Every case, in the order in which they are run. */
export const CASES: readonly Case[] = [
  ...HANDSHAKE_CASES,
  ...ORIGIN_CASES,
  ...FRAMING_CASES,
  ...CONTROL_CASES,
  ...TEXT_CASES,
  ...CLOSING_CASES,
  ...TLS_CASES,
  ...TOKEN_CASES,
  ...TIME_CASES,
  ...HEAD_LIMIT_CASES,
  ...LIMIT_CASES,
  ...EXHAUSTION_CASES,
];
