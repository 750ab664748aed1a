// What a method of wsward.v1 is, and how its parameters are checked before it runs.
import * as v from "valibot";
import type { Authentication } from "../authenticate.ts";
import type { Ending } from "../ending.ts";
import { invalidParams, issuePath, type RpcOutcome } from "../json_rpc.ts";
import type { Session } from "../session.ts";
import type { SessionRegistry } from "../session_registry.ts";
import type { Log } from "../../telemetry/log.ts";

/** What a method has to do with. */
export interface MethodContext {
  readonly session: Session;
  readonly sessions: SessionRegistry;
  /** Put in front of each echoed text; may be empty. */
  readonly prefix: string;
  readonly log: Log;
  /** Decides about a token as at the start of a session. */
  authenticate(token: string): Promise<Authentication>;
  /** Ends the session when the message that asked for it has been answered. */
  endAfterReply(ending: Ending): void;
}

/** One method. */
export interface Method {
  readonly name: string;
  /** Checks the parameters and runs. What it throws, or rejects with, is a failure on our side. */
  call(params: object | undefined, context: MethodContext): RpcOutcome | Promise<RpcOutcome>;
}

/** One method as it is told to a reader: its parameters and its result, in a few words of Markdown. */
export interface ToldMethod extends Method {
  readonly takes: string;
  readonly gives: string;
}

/** What a method is made of. */
export interface MethodDeclaration<Schema extends v.GenericSchema>
  extends Pick<ToldMethod, "name" | "takes" | "gives"> {
  /** The schema of the parameters, which are by name; none at all count as an empty object. */
  readonly params: Schema;
  readonly run: (params: v.InferOutput<Schema>, context: MethodContext) => RpcOutcome | Promise<RpcOutcome>;
}

/** Makes a method that refuses what its schema does not describe, naming the field and nothing else. */
export function defineMethod<Schema extends v.GenericSchema>(
  declared: MethodDeclaration<Schema>,
): ToldMethod {
  const { name, takes, gives, params: schema, run } = declared;
  return {
    name,
    takes,
    gives,
    call(params = {}, context) {
      if (Array.isArray(params)) return { error: invalidParams("params") };
      const parsed = v.safeParse(schema, params, { abortEarly: true });
      if (parsed.success) return run(parsed.output, context);
      const path = issuePath(parsed.issues[0]);
      return { error: invalidParams(path === "" ? "params" : `params.${path}`) };
    },
  };
}
