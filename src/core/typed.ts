// How a command of ours is typed, which depends on how the program runs.

import { BUILT_BY } from "wsward/build";

/** Commands that have a task of their own, because they need permissions of their own. */
const OWN_TASKS: Readonly<Record<string, string>> = { serve: "start", selftest: "selftest" };

/**
 * A text whose commands, such as `wsward token create`, are written as they are typed where the program runs from
 * source: `deno task wsward token create`. In an executable they stay as they are.
 */
export function typed(text: string, isSource: boolean = BUILT_BY === "deno run"): string {
  if (!isSource) return text;
  return text.replace(
    /(?<!deno task )\bwsward (\[|-h|-V|--[a-z]+|[a-z]+)(?=[\w\s|)\];,]|$)/gm,
    (_, word: string) =>
      Object.hasOwn(OWN_TASKS, word) ? `deno task ${OWN_TASKS[word]}` : `deno task wsward ${word}`,
  );
}
