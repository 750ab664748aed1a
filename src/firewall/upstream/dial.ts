// Connects to an upstream within a time limit: TCP, TLS or a Unix socket.

import { readCaCerts } from "../../core/ca_file.ts";
import { isOutOfDescriptors, isOwnLack } from "../../core/descriptors.ts";
import { isOwnFault } from "../../core/own_fault.ts";
import type { Settings } from "../../core/settings/declarations.ts";
import type { UpstreamAddress } from "../../core/upstream_text.ts";
import { type ByteSocket, closeQuietly } from "../byte_socket.ts";
import { readPem } from "../tls/pem_file.ts";

/** The settings of TLS to upstreams, in PEM. */
export interface UpstreamTls {
  readonly caCerts: string[];
  readonly serverName: string | undefined;
  readonly identity: { readonly cert: string; readonly key: string } | undefined;
}

/** Why there is no connection. */
export interface DialFailure {
  /** `descriptors` and `resources` are what this machine lacks, and say nothing about the server. */
  readonly result: "unreachable" | "tls" | "timeout" | "descriptors" | "resources";
  /** The system's words. */
  readonly error: string;
  readonly hint?: string;
}

/**
 * Reads the files of the settings.
 *
 * @throws {StartError} when a file can't be read, or the authority is no certificates in PEM.
 */
export function readUpstreamTls(settings: Settings): UpstreamTls {
  const { upstreamCa, upstreamServerName, upstreamCert, upstreamKey } = settings;
  return {
    caCerts: upstreamCa === undefined ? [] : readCaCerts("--upstream-ca", upstreamCa),
    serverName: upstreamServerName,
    identity: upstreamCert === undefined || upstreamKey === undefined ? undefined : {
      cert: readPem("upstream certificate", upstreamCert).text,
      key: readPem("upstream key", upstreamKey).text,
    },
  };
}

/** Connects, TLS included, until `signal` is aborted. Names are resolved anew each time. Rejects for our own fault only. */
export async function dial(
  address: UpstreamAddress,
  tls: UpstreamTls,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ByteSocket | DialFailure> {
  const attempt = new Attempt(address, tls);
  const late = Promise.withResolvers<DialFailure>();
  const giveUp = () => {
    attempt.abort();
    late.resolve({ result: "timeout", error: "no connection in time" });
  };
  const timer = setTimeout(giveUp, timeoutMs);
  signal.addEventListener("abort", giveUp);
  try {
    return await Promise.race([attempt.run(), late.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  }
}

const MORE_DESCRIPTORS = "raise the limit (ulimit -n) or lower --max-connections: a connection needs three";

class Attempt {
  readonly #address: UpstreamAddress;
  readonly #tls: UpstreamTls;
  readonly #abortion = new AbortController();
  #socket: ByteSocket | undefined;
  #isInTls = false;

  constructor(address: UpstreamAddress, tls: UpstreamTls) {
    this.#address = address;
    this.#tls = tls;
  }

  /** Ends it; a connection that comes all the same is closed. */
  abort(): void {
    this.#abortion.abort();
    if (this.#socket !== undefined) closeQuietly(this.#socket);
  }

  async run(): Promise<ByteSocket | DialFailure> {
    try {
      const socket = await this.#connect();
      if (!this.#abortion.signal.aborted) return socket;
      closeQuietly(socket);
      return { result: "timeout", error: "no connection in time" };
    } catch (error) {
      if (this.#socket !== undefined) closeQuietly(this.#socket);
      if (error instanceof Deno.errors.NotCapable) {
        const { message } = error;
        return { result: "unreachable", error: message, hint: "run with the flags of --print-permissions" };
      }
      if (isOwnFault(error)) throw error;
      const { message } = error as Error;
      if (isOutOfDescriptors(error)) return { result: "descriptors", error: message, hint: MORE_DESCRIPTORS };
      if (isOwnLack(error)) return { result: "resources", error: message };
      return { result: this.#isInTls ? "tls" : "unreachable", error: message };
    }
  }

  async #connect(): Promise<ByteSocket> {
    const address = this.#address;
    if (address.kind === "unix") {
      return this.#socket = await Deno.connect({ transport: "unix", path: address.path });
    }
    const { hostname, port } = address;
    const { signal } = this.#abortion;
    const { caCerts, serverName, identity } = this.#tls;
    const options = { caCerts, alpnProtocols: ["http/1.1"] };
    if (address.kind === "tls" && identity !== undefined) {
      this.#isInTls = true;
      const conn = await Deno.connectTls({ hostname, port, ...options, ...identity });
      this.#socket = conn;
      await conn.handshake();
      return conn;
    }
    const conn = await Deno.connect({ hostname, port, signal });
    this.#socket = conn;
    // Small messages must not wait for the acknowledgement of the last one.
    conn.setNoDelay(true);
    if (address.kind === "tcp") return conn;
    this.#isInTls = true;
    const secure = await Deno.startTls(conn, { hostname: serverName ?? hostname, ...options });
    this.#socket = secure;
    await secure.handshake();
    return secure;
  }
}
