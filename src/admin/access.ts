// Who may administer: the bearer of a valid token that is not revoked and has the scope of administrators.

import type { Identity, Verifier } from "../auth/token.ts";
import type { AdminRequest } from "./http_exchange.ts";
import type { Problem } from "./problem.ts";

/** How tokens are judged. */
export interface AccessOptions {
  /** A verifier of its own, so that a flood of bad tokens elsewhere does not keep administrators out. */
  readonly verifier: Verifier;
  /** Whether a valid token was revoked. */
  readonly isRevoked: (identity: Identity) => boolean;
  /** The word that the claim `scope` or `scp` must have. */
  readonly scope: string;
}

/** Who sent a request, or why it is refused: RFC 6750 §3 for the status and `WWW-Authenticate`. */
export async function authorize(request: AdminRequest, options: AccessOptions): Promise<Identity | Problem> {
  const { verifier, isRevoked, scope } = options;
  const header = request.headers.get("authorization");
  const [, token] = /^bearer +(\S+)$/i.exec(header ?? "") ?? [];
  if (token === undefined) {
    return {
      status: 401,
      detail: "this needs the token of an administrator in the header Authorization: Bearer",
      headers: { "www-authenticate": "Bearer" },
    };
  }
  const verification = await verifier.verify(token);
  if (!verification.ok && verification.reason === "busy") {
    return { status: 503, detail: "too many tokens wait for verification", headers: { "retry-after": "1" } };
  }
  if (!verification.ok || isRevoked(verification.identity)) {
    // Only users of this machine get here, and they may know precisely why.
    return {
      status: 401,
      detail: `the token is not valid: ${verification.ok ? "it is revoked" : verification.detail}`,
      headers: { "www-authenticate": 'Bearer error="invalid_token"' },
    };
  }
  if (!hasScope(verification.identity, scope)) {
    return {
      status: 403,
      detail: `the token does not have the scope ${scope}`,
      headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scope}"` },
    };
  }
  return verification.identity;
}

/** RFC 8693 §4.2 and RFC 9068 §2.2.3: words in one text. Some issuers send `scp`, or a list. */
function hasScope({ claims }: Identity, scope: string): boolean {
  return [claims.scope, claims.scp].some((claim) => {
    const words: readonly unknown[] = typeof claim === "string" ? claim.split(" ") : [claim].flat();
    return words.includes(scope);
  });
}
