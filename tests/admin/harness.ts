// An admin listener in this process, with a stand-in for the firewall and tokens that name their own claims.

import { EventFeed } from "../../src/admin/event_feed.ts";
import type { AdministeredFirewall } from "../../src/admin/monitor.ts";
import { type AdminOptions, type AdminServer, startAdmin } from "../../src/admin/server.ts";
import { Readiness } from "../../src/core/readiness.ts";
import { SecureCounters } from "../../src/endpoints/sessions/secure_counters.ts";
import type { ConnectionFacts } from "../../src/firewall/connection/connection_parts.ts";
import { clientKey } from "../../src/firewall/admission/network_set.ts";
import { EndpointCounters } from "../../src/firewall/counters.ts";
import { RecordBrake } from "../../src/telemetry/record_brake.ts";
import { SessionBench, TEST_VERIFIER, type TestClaims, tokenOf } from "../endpoints/session_harness.ts";

/** What a firewall would answer. */
export class FakeFirewall implements AdministeredFirewall {
  readonly addresses = [{ name: "echo", hostname: "127.0.0.1", port: 8765 }];
  readonly counters = new EndpointCounters();
  readonly banned = new Map<string, number>();

  metrics() {
    return {
      endpoints: [{
        name: "echo",
        counters: this.counters,
        refusals: new Map([["origin", 2], ["handshake_rate", 1]] as const),
        sendQueueBytes: 5,
      }],
      bansBegun: 4,
      bansInForce: this.banned.size,
      bufferedBytes: 77,
    };
  }

  readonly open: ConnectionFacts[] = [];
  readonly closed: string[] = [];

  connections() {
    return this.open;
  }

  closeConnection(id: string): boolean {
    this.closed.push(id);
    return this.open.some((facts) => facts.id === id);
  }

  bans() {
    return Array.from(this.banned, ([client, leftMs]) => ({ client, leftMs }));
  }

  ban(address: string, forMs: number): boolean {
    if (address.startsWith("127.")) return false;
    this.banned.set(address, forMs);
    return true;
  }

  unban(address: string): boolean {
    return this.banned.delete(address);
  }

  lackDescriptors(): boolean {
    return false;
  }
}

/** A request as it stands on the wire, except for its Host and Connection headers. */
export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  /** Of HTTP; 1.1 if left out. */
  readonly version?: string;
  /** Undefined for no header at all. */
  readonly host?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What came back. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined if it is no JSON. */
  readonly json: ReturnType<typeof JSON.parse>;
}

/** One request on a connection of its own; nothing is added that a test does not ask for. */
export async function send(port: number, request: RawRequest = {}): Promise<RawResponse> {
  const { method = "GET", path = "/", version = "1.1", headers = {}, body } = request;
  const host = "host" in request ? request.host : `127.0.0.1:${port}`;
  const lines = [`${method} ${path} HTTP/${version}`, "Connection: close"];
  if (host !== undefined) lines.push(`Host: ${host}`);
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined && headers["Content-Length"] === undefined) {
    lines.push(`Content-Length: ${new TextEncoder().encode(body).length}`);
  }
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`)).catch(() => {});
  const text = await new Response(conn.readable).text();
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...headerLines] = text.slice(0, end).split("\r\n");
  const responseHeaders = new Headers();
  for (const line of headerLines) {
    const colon = line.indexOf(":");
    responseHeaders.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const content = text.slice(end + 4);
  const isJson = content !== "" && /json/.test(responseHeaders.get("content-type") ?? "") &&
    !responseHeaders.has("transfer-encoding");
  return {
    status: Number(first.split(" ")[1]),
    headers: responseHeaders,
    text: content,
    json: isJson ? JSON.parse(content) : undefined,
  };
}

/** A listener with what is around it. */
export class AdminBench implements AsyncDisposable {
  readonly sessions = new SessionBench();
  readonly firewall = new FakeFirewall();
  readonly feed = new EventFeed();
  /** As in the program, it stands before all that show records. */
  readonly #brake = new RecordBrake(
    this.feed.tee(() => {}, (fault) => {
      throw fault;
    }),
    clientKey,
  );
  readonly counters = new SecureCounters();
  readonly readiness = new Readiness();
  readonly server: AdminServer;
  isStarted = true;
  problems: readonly string[] = [];
  revokedUser = "";

  constructor(overrides: Partial<AdminOptions> = {}) {
    this.readiness.add(() => this.isStarted ? [] : ["starting"]);
    this.readiness.add(() => this.problems);
    this.server = startAdmin({
      listen: "127.0.0.1:0",
      version: "1.2.3",
      isSecure: false,
      scope: "wsward:admin",
      verifier: TEST_VERIFIER,
      isRevoked: ({ user }) => user === this.revokedUser,
      banTimeMs: 600_000,
      firewall: () => this.isStarted ? this.firewall : undefined,
      readiness: this.readiness,
      sessions: this.sessions.sessions,
      counters: this.counters,
      feed: this.feed,
      log: this.#brake.log,
      ...overrides,
    });
  }

  get port(): number {
    return Number(new URL(this.server.url).port);
  }

  /** A request without a token. */
  send(request: RawRequest): Promise<RawResponse> {
    return send(this.port, request);
  }

  /** A request of an administrator; `body` becomes JSON. */
  call(method: string, path: string, body?: unknown): Promise<RawResponse> {
    return this.send({
      method,
      path,
      headers: {
        ...bearer({ scope: "wsward:admin" }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    this.#brake.flush();
  }
}

/** The header of a token with these claims. */
export function bearer(claims: TestClaims): { readonly Authorization: string } {
  return { Authorization: `Bearer ${tokenOf(claims)}` };
}
