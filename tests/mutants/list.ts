// Every fault that `deno task mutants` plants. A new defence gets its faults here, and the tests that must notice them.

import type { Mutant } from "../../scripts/mutants/mutant.ts";
import { ADMINISTRATION } from "./administration.ts";
import { ADMISSION } from "./admission.ts";
import { AUTH } from "./auth.ts";
import { CLUSTER } from "./cluster.ts";
import { CONNECTION } from "./connection.ts";
import { CORE } from "./core.ts";
import { PROTOCOL } from "./protocol.ts";
import { RECORDS } from "./records.ts";
import { TLS } from "./tls.ts";
import { TOOLS } from "./tools.ts";
import { UPSTREAM } from "./upstream.ts";
import { WAYS } from "./ways.ts";

/** All faults, those of the defences first. */
export const MUTANTS: readonly Mutant[] = [
  ...PROTOCOL,
  ...CONNECTION,
  ...WAYS,
  ...ADMISSION,
  ...TLS,
  ...AUTH,
  ...ADMINISTRATION,
  ...CORE,
  ...RECORDS,
  ...UPSTREAM,
  ...CLUSTER,
  ...TOOLS,
];
