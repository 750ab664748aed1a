// Every method of wsward.v1, one line each.
import { digestMethod } from "./digest.ts";
import { echoMethod } from "./echo.ts";
import { logoutMethod } from "./logout.ts";
import type { ToldMethod } from "./method.ts";
import { refreshMethod } from "./refresh.ts";
import { validateEmailMethod } from "./validate_email.ts";
import { whoamiMethod } from "./whoami.ts";

/** All methods. */
export const METHODS: readonly ToldMethod[] = [
  echoMethod,
  whoamiMethod,
  digestMethod,
  validateEmailMethod,
  refreshMethod,
  logoutMethod,
];
