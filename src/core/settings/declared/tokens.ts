// Settings: who is let in by a token, and what sessions are.

import { isKeySetUrl } from "../../key_set_url.ts";
import { isCookieName } from "../../upstream_text.ts";
import {
  choice,
  duration,
  integer,
  list,
  optionalPath,
  optionalText,
  path,
  type Setting,
  toggle,
} from "../setting_types.ts";

/** Authentication and sessions. */
export const TOKENS = {
  keyFile: path({
    group: "Authentication",
    help: "keys of the tokens: a secret, PEM, JWK or JWKS; a secret is created at the first start",
    default: "wsward.key",
  }),
  keyEncoding: choice({
    group: "Authentication",
    help: "how a secret in --key-file is written: base64 (base64url too), hex, or raw for its very bytes",
    choices: ["base64", "hex", "raw"],
    default: "base64",
  }),
  jwksUrl: optionalText({
    group: "Authentication",
    placeholder: "url",
    help: "public keys of an issuer, besides those of --key-file, which is not created then",
    accepts: isKeySetUrl,
    rule: "an https URL, or http on loopback, without credentials or fragment",
    unset: "none",
  }),
  issuer: optionalText({
    group: "Authentication",
    placeholder: "text",
    help: "issuer that a token must name in its claim iss",
    unset: "any",
  }),
  audience: list({
    group: "Authentication",
    placeholder: "text",
    help: "audience of which a token must name one in its claim aud; without it no token may name any",
  }),
  tokenType: optionalText({
    group: "Authentication",
    placeholder: "type",
    help: "media type that a token must have in its header typ, such as at+jwt",
    unset: "any",
  }),
  maxTokenAge: duration({
    group: "Authentication",
    help: "how long after its claim iat a token ends, if its exp is later",
    default: "unlimited",
    min: "1s",
    max: "365d",
    word: "unlimited",
  }),
  clockTolerance: duration({
    group: "Authentication",
    help: "how far the issuer's clock may be from ours, for exp, nbf, iat and the age of a token",
    default: "5s",
    min: "0s",
    max: "5m",
  }),
  authTimeout: duration({
    group: "Authentication",
    help: "how long the secure endpoint waits for the token",
    default: "10s",
    min: "100ms",
    max: "10m",
  }),
  insecureTokenInQuery: toggle({
    group: "Sessions",
    help: "accept a token in the query too, where proxies, logs and browser histories keep it",
    default: false,
  }),
  tokenCookie: optionalText({
    group: "Sessions",
    placeholder: "name",
    help: "cookie that may hold the token; who sends it must send an Origin that may connect",
    accepts: isCookieName,
    rule: "a cookie name: letters, digits and !#$%&'*+-.^_`|~",
    unset: "none",
  }),
  expiryWarning: duration({
    group: "Sessions",
    help: "how long before the end of its token a session of wsward.v1 is sent token_expiring",
    default: "30s",
    min: "1s",
    max: "1h",
  }),
  maxSessionsPerUser: integer({
    group: "Sessions",
    help: "most sessions of one user at once",
    default: "10",
    min: "1",
    max: "1000000",
    word: "unlimited",
  }),
  onSessionLimit: choice({
    group: "Sessions",
    help: "what happens at --max-sessions-per-user; either way one session ends with 3003",
    choices: ["refuse-newest", "close-oldest"],
    default: "refuse-newest",
  }),
  replayCheck: toggle({
    group: "Sessions",
    help: "let each token, known by its claim jti, be used once only; one without a jti is refused",
    default: false,
  }),
  stateFile: optionalPath({
    group: "Sessions",
    help:
      "SQLite file in which revocations, and the tokens of --replay-check, outlive the process; created if it does not exist",
    unset: "none, they are kept in memory",
  }),
} as const satisfies Record<string, Setting>;
