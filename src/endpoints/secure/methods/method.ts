// What a method of wsward.v1 is, and how its parameters are checked before it runs.
import * as v from "valibot";
import type { Authentication } from "../../sessions/authenticate.ts";
import type { Ending } from "../../sessions/ending.ts";
import { invalidParams, type RpcOutcome, type RpcParams } from "../json_rpc.ts";
import type { JsonObject } from "../../../core/bounded_json.ts";
import type { Session } from "../../sessions/session.ts";
import type { SessionRegistry } from "../../sessions/session_registry.ts";
import type { Log } from "../../../telemetry/log.ts";

/** What a method works with. */
export interface MethodContext {
  readonly session: Session;
  readonly sessions: SessionRegistry;
  /** Put in front of each echoed text; may be empty. */
  readonly prefix: string;
  readonly log: Log;
  /** Verifies a token as at the start of a session. */
  authenticate(token: string): Promise<Authentication>;
  /** Ends the session once the message that asked for it is answered. */
  endAfterReply(ending: Ending): void;
}

/** One method. */
export interface Method {
  readonly name: string;
  /** Checks the parameters and runs. If it throws or rejects, that is a failure on our side. */
  call(params: RpcParams | undefined, context: MethodContext): RpcOutcome | Promise<RpcOutcome>;
}

/** A method with its documentation: parameters and result, in a few words of Markdown. */
export interface ToldMethod extends Method {
  readonly takes: string;
  readonly gives: string;
  /** Parameters to try it with; left out if it has none. */
  readonly example?: Readonly<Record<string, string>>;
}

/** What a method is made of. */
export interface MethodDeclaration<Schema extends ParamsSchema>
  extends Pick<ToldMethod, "name" | "takes" | "gives" | "example"> {
  /** The schema of the parameters, which are by name; left out, they are an empty object. They are texts and lists. */
  readonly params: Schema;
  readonly run: (params: v.InferOutput<Schema>, context: MethodContext) => RpcOutcome | Promise<RpcOutcome>;
}

type ParamsSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

/** Makes a method that refuses parameters against its schema, and names the wrong field. */
export function defineMethod<Schema extends ParamsSchema>(
  declared: MethodDeclaration<Schema>,
): ToldMethod {
  const { params: schema, run, ...told } = declared;
  const names = new Set(Object.keys(schema.entries));
  return {
    ...told,
    call(params = new Map(), context) {
      if (Array.isArray(params)) return { error: invalidParams("params") };
      const members = [...params as JsonObject];
      // No object is made with names that a peer has invented.
      const known = Object.fromEntries(members.filter(([name]) => names.has(name)));
      const parsed = v.safeParse(schema, known, { abortEarly: true });
      const wrong = parsed.success
        ? members.find(([name]) => !names.has(name))?.[0]
        : v.getDotPath(parsed.issues[0]) ?? "";
      if (wrong !== undefined) return { error: invalidParams(wrong === "" ? "params" : `params.${wrong}`) };
      return run(parsed.output as v.InferOutput<Schema>, context);
    },
  };
}
