// Reads the fields of a body by a schema, and names a wrong one.

import * as v from "valibot";
import type { Problem } from "./problem.ts";

/** The fields of a body, or a problem that names the first wrong one; never repeats what was sent. */
export function readFields<Schema extends v.GenericSchema>(
  schema: Schema,
  json: unknown,
): { readonly ok: true; readonly value: v.InferOutput<Schema> } | {
  readonly ok: false;
  readonly problem: Problem;
} {
  const result = v.safeParse(schema, json);
  if (result.success) return { ok: true, value: result.output };
  const [issue] = result.issues;
  const field = v.getDotPath(issue) ?? undefined;
  const isUnknown = issue.type === "strict_object" && issue.expected === "never";
  const detail = isUnknown ? "there is no such field" : "the field is missing or has a wrong value";
  return { ok: false, problem: { status: 400, detail, field } };
}
