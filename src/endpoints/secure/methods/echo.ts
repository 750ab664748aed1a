// The method echo: a text comes back as it does without a subprotocol.
import * as v from "valibot";
import { echo } from "../../echo.ts";
import { defineMethod } from "./method.ts";

/** `{ message }` -> `{ message }`, with the prefix in front. */
export const echoMethod = defineMethod({
  name: "echo",
  takes: "`message`",
  gives: "the same with the prefix in front",
  example: { message: "hello" },
  params: v.strictObject({ message: v.string() }),
  run: ({ message }, { prefix }) => ({ result: { message: echo(prefix, message) } }),
});
