// The method logout: the peer ends its session.
import * as v from "valibot";
import { ENDINGS } from "../../sessions/ending.ts";
import { defineMethod } from "./method.ts";

/** `{}` -> `{}`, then Close 1000. In a batch the others are answered first. */
export const logoutMethod = defineMethod({
  name: "logout",
  takes: "",
  gives: "`{}`, then Close 1000",
  params: v.strictObject({}),
  run(_params, context) {
    context.endAfterReply(ENDINGS.loggedOut);
    return { result: {} };
  },
});
