// Which Host, path and Origin a loopback listener and a public one accept.

import assert from "node:assert/strict";
import fc from "fast-check";
import { createRequestRules, firstRefusal } from "../../../src/firewall/admission/request_rules.ts";

interface Listener {
  readonly loopback?: boolean;
  readonly allowHost?: readonly string[];
  readonly allowOrigin?: readonly string[];
  readonly anyOrigin?: boolean;
  readonly nullOrigin?: boolean;
}

/** The status that a handshake gets: 101 when no rule refuses it. */
function statusOf(listener: Listener, host: string, origin?: string, path = "/"): number {
  const rules = createRequestRules({
    paths: ["/"],
    isLoopbackListener: listener.loopback ?? false,
    settings: {
      allowHost: listener.allowHost ?? [],
      allowOrigin: listener.allowOrigin ?? [],
      insecureAllowAnyOrigin: listener.anyOrigin ?? false,
      insecureAllowNullOrigin: listener.nullOrigin ?? false,
    },
  });
  const headers = new Map([["host", host]]);
  if (origin !== undefined) headers.set("origin", origin);
  return firstRefusal(rules, { method: "GET", path, query: "", headers })?.status ?? 101;
}

function assertHosts(listener: Listener, status: number, hosts: readonly string[]): void {
  for (const host of hosts) assert.equal(statusOf(listener, host), status, host);
}

function assertOrigins(listener: Listener, host: string, status: number, origins: readonly string[]): void {
  for (const origin of origins) {
    assert.equal(statusOf(listener, host, origin), status, `${origin} at ${host}`);
  }
}

Deno.test("a malformed Host is refused with 400", () => {
  assertHosts({}, 400, [
    "",
    "a b",
    "user@example.com",
    "example.com/",
    "example.com:x",
    "example.com:65536",
    "example.com:123456",
    "http://example.com",
    ".example.com",
    "example..com",
    "example.com..",
    "::1",
    "[::1",
    "[::1]x",
    "[1.2.3.4]",
    "[fe80::1%25eth0]",
    "ex\u00e4mple.com",
    "*",
    "a".repeat(254),
    "example.com, example.com",
  ]);
});

Deno.test("a loopback listener answers to loopback names and addresses only", () => {
  const listener = { loopback: true };
  assertHosts(listener, 101, [
    "localhost",
    "LocalHost:8765",
    "localhost:",
    "localhost.",
    "app.localhost:1",
    "127.0.0.1:8765",
    "127.1.2.3",
    "[::1]:8765",
    "[::ffff:127.0.0.1]",
  ]);
  assertHosts(listener, 421, [
    "evil.example",
    "localhost.evil.example",
    "notlocalhost",
    "127.0.0.1.evil.example",
    "127.1",
    "2130706433",
    "0.0.0.0",
    "192.0.2.1:8765",
    "[::]:8765",
    "[2001:db8::1]",
  ]);
});

Deno.test("--allow-host adds to the loopback names, without regard to case, port and final dot", () => {
  const listener = { loopback: true, allowHost: ["Chat.example"] };
  assertHosts(listener, 101, ["chat.example", "CHAT.example:443", "chat.example.", "localhost"]);
  assertHosts(listener, 421, ["example", "x.chat.example", "chat.example.evil.example"]);
});

Deno.test("any other listener answers to every name until --allow-host names some", () => {
  assertHosts({}, 101, ["example.com", "192.0.2.1:80", "[2001:db8::1]:80", "my_service:8765", "localhost"]);
});

Deno.test("any other listener with --allow-host answers to those names and to addresses", () => {
  const listener = { allowHost: ["chat.example"] };
  assertHosts(listener, 101, ["chat.example:8765", "192.0.2.1:8765", "[2001:db8::1]"]);
  assertHosts(listener, 421, ["evil.example", "localhost", "192.0.2.1.evil.example", "127.1"]);
});

Deno.test("an unknown path is refused with 404", () => {
  assert.equal(statusOf({}, "example.com", undefined, "/"), 101);
  for (const path of ["/x", "//", "/%2e", "/."]) {
    assert.equal(statusOf({}, "example.com", undefined, path), 404, path);
  }
});

Deno.test("a handshake without an origin passes", () => {
  assert.equal(statusOf({}, "example.com"), 101);
  assert.equal(statusOf({ loopback: true }, "localhost"), 101);
});

Deno.test("a page of the same host passes, on the same port where it names one", () => {
  assertOrigins({}, "Chat.example:8765", 101, [
    "http://chat.example:8765",
    "https://chat.example:8765",
    "http://chat.example",
    "https://chat.example",
  ]);
  assertOrigins({}, "chat.example", 101, ["https://chat.example", "http://chat.example"]);
  assertOrigins({}, "[2001:db8::1]:8765", 101, ["http://[2001:db8::1]:8765"]);
  assertOrigins({}, "chat.example:8765", 403, [
    "http://chat.example:3000",
    "http://chat.example.evil.example",
    "http://evil.example",
    "http://xchat.example:8765",
    "ftp://chat.example",
    "chrome-extension://chat.example",
  ]);
  assertOrigins({}, "chat.example", 403, ["http://chat.example:3000"]);
});

Deno.test("what is no origin of a web page is refused", () => {
  assertOrigins({}, "chat.example", 403, [
    "",
    "null",
    "file://",
    "chat.example",
    "http://",
    "http://chat.example/",
    "http://chat.example/path",
    "http://user@chat.example",
    "http://evil.example http://chat.example",
    "http://chat.example, http://evil.example",
    "http://chat.example?",
    "http://chat.example#",
    "http://chat.example\\@evil.example",
  ]);
});

Deno.test("pages of loopback origins pass on a loopback listener only, on any port", () => {
  const origins = ["http://localhost:3000", "https://app.localhost", "http://127.0.0.1", "http://[::1]:5173"];
  assertOrigins({ loopback: true }, "127.0.0.1:8765", 101, origins);
  assertOrigins({}, "192.0.2.1:8765", 403, origins);
  assertOrigins({ loopback: true }, "127.0.0.1:8765", 403, [
    "http://evil.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "null",
    "http://0.0.0.0:8765",
  ]);
});

Deno.test("a page whose name was made to point at a loopback listener gets 421 even as the same host", () => {
  assert.equal(statusOf({ loopback: true }, "evil.example:8765", "http://evil.example:8765"), 421);
  assert.equal(statusOf({ allowHost: ["chat.example"] }, "evil.example", "http://evil.example"), 421);
});

Deno.test("--allow-origin adds origins to the letter", () => {
  const listener = { allowOrigin: ["https://app.example", "chrome-extension://abcdef"] };
  assertOrigins(listener, "chat.example", 101, [
    "https://app.example",
    "chrome-extension://abcdef",
    "http://chat.example",
  ]);
  assertOrigins(listener, "chat.example", 403, [
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.",
    "https://x.app.example",
    "https://APP.example",
    "chrome-extension://abcdeg",
  ]);
});

Deno.test("--insecure-allow-null-origin lets pages without an origin in, and nobody else", () => {
  assertOrigins({ nullOrigin: true }, "example.com", 101, ["null"]);
  assertOrigins({ nullOrigin: true }, "example.com", 403, ["http://evil.example", "", "NULL", "null "]);
  assertOrigins({}, "example.com", 403, ["null"]);
});

Deno.test("--insecure-allow-any-origin turns the rule about origins off and no other", () => {
  const listener = { anyOrigin: true, loopback: true };
  assertOrigins(listener, "localhost", 101, ["http://evil.example", "null", ""]);
  assert.equal(statusOf(listener, "evil.example", "http://evil.example"), 421);
  assert.equal(statusOf(listener, "localhost", "http://evil.example", "/x"), 404);
});

Deno.test("no text in Host and Origin makes the rules throw", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), fc.string(), fc.boolean(), (host, origin, loopback) => {
      assert.ok([101, 400, 403, 421].includes(statusOf({ loopback }, host, origin)));
    }),
  );
});

Deno.test("refusals repeat no word of the client", () => {
  const rules = createRequestRules({
    paths: ["/"],
    isLoopbackListener: true,
    settings: {
      allowHost: [],
      allowOrigin: [],
      insecureAllowAnyOrigin: false,
      insecureAllowNullOrigin: false,
    },
  });
  for (const [host, origin] of [["marker", ""], ["mar ker", ""], ["localhost", "http://marker"]] as const) {
    const headers = new Map([["host", host], ["origin", origin]]);
    const refusal = firstRefusal(rules, { method: "GET", path: "/", query: "", headers });
    assert.ok(refusal !== undefined && !refusal.reason.includes("marker"));
  }
});
