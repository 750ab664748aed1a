// Opens the byte stream under a WebSocket: TCP, TLS or a Unix socket, within a time limit.

import type { Duplex } from "node:stream";
import { type ByteSocket, closeQuietly } from "../firewall/byte_socket.ts";
import type { Target } from "./target.ts";

/** How to dial. */
export interface DialOptions {
  /**
   * The address to connect to, so that a name is resolved only once; the target's host if left out. Not used with a
   * client certificate, unless `insecure`.
   */
  readonly address?: string | undefined;
  readonly timeoutMs: number;
  readonly tls?: TlsOptions;
}

/**
 * How to check the server's certificate, and what to present to the server. All certificates and keys are PEM. With a
 * client certificate, `serverName` and `alpnProtocols` are used only if `insecure`.
 */
export interface TlsOptions {
  /** Whether to accept any certificate. */
  readonly insecure?: boolean;
  /** Authorities to trust besides the system's. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name to ask for (SNI) and to check; the target's if left out. */
  readonly serverName?: string;
  /** `http/1.1` alone if left out. */
  readonly alpnProtocols?: readonly string[];
}

/** A connection could not be opened; the message says why, without a "Cannot". */
export class DialError extends Error {
  override readonly name = "DialError";
}

/** Connects; each of TCP and TLS may take `timeoutMs`. The caller owns the socket. Throws {@linkcode DialError}. */
export async function dial(
  target: Target,
  { address, timeoutMs, tls = {} }: DialOptions,
): Promise<ByteSocket> {
  // Deno presents a client certificate only on a connection that it opens itself.
  if (target.isTls && tls.cert !== undefined && !tls.insecure) {
    return await within(timeoutMs, connectTls(target, tls), "no answer");
  }
  const socket = await within(timeoutMs, connect(target, address), "no answer");
  if (!target.isTls) return socket;
  try {
    return await within(timeoutMs, startTls(socket, target, tls), "the TLS handshake got no answer");
  } catch (error) {
    closeQuietly(socket);
    throw error;
  }
}

async function connectTls(target: Target, { ca, cert, key }: TlsOptions): Promise<ByteSocket> {
  const { hostname, port } = target;
  const options = { hostname, port, caCerts: ca === undefined ? [] : [ca], alpnProtocols: ["http/1.1"] };
  try {
    const socket = await Deno.connectTls({ ...options, cert: cert!, key: key! });
    await socket.handshake();
    return socket;
  } catch (cause) {
    throw new DialError(describe(cause, target), { cause });
  }
}

async function connect(target: Target, address: string | undefined): Promise<Deno.TcpConn> {
  try {
    if (target.socketPath !== undefined) {
      return await Deno.connect({ transport: "unix", path: target.socketPath }) as unknown as Deno.TcpConn;
    }
    const socket = await Deno.connect({ hostname: address ?? target.hostname, port: target.port });
    socket.setNoDelay(true);
    return socket;
  } catch (cause) {
    throw new DialError(describe(cause, target), { cause });
  }
}

function describe(error: unknown, { host, socketPath }: Target): string {
  if (error instanceof Deno.errors.ConnectionRefused) return "connection refused: nothing listens there";
  if (error instanceof Deno.errors.NotFound) return "there is no such socket";
  if (error instanceof Deno.errors.NotCapable) {
    return `permission was not granted; run with ${
      socketPath === undefined ? `--allow-net=${host}` : `--allow-net=unix:${socketPath}`
    }`;
  }
  return error instanceof Error ? error.message : String(error);
}

async function startTls(socket: Deno.TcpConn, target: Target, tls: TlsOptions): Promise<ByteSocket> {
  const serverName = tls.serverName ?? target.hostname;
  const alpn = [...tls.alpnProtocols ?? ["http/1.1"]];
  try {
    // Only node:tls can accept an invalid certificate.
    if (tls.insecure) return await startNodeTls(socket, serverName, alpn, tls);
    const options = {
      hostname: serverName,
      caCerts: tls.ca === undefined ? [] : [tls.ca],
      alpnProtocols: alpn,
    };
    const secured = await Deno.startTls(socket, options);
    await secured.handshake();
    return secured;
  } catch (cause) {
    throw new DialError(`TLS failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

async function startNodeTls(
  socket: ByteSocket,
  servername: string,
  ALPNProtocols: string[],
  { cert, key }: TlsOptions,
): Promise<ByteSocket> {
  const [{ connect }, { TlsStream }, { TlsSocket }] = await Promise.all([
    import("node:tls"),
    import("../firewall/tls/tls_stream.ts"),
    import("../firewall/tls/tls_socket.ts"),
  ]);
  const stream = new TlsStream(socket);
  return await new Promise((resolve, reject) => {
    const options = {
      // It has the part of a Duplex that node:tls uses.
      socket: stream as unknown as Duplex,
      servername,
      ALPNProtocols,
      rejectUnauthorized: false,
      ...(cert === undefined ? {} : { cert, key }),
    };
    const secured = connect(options);
    stream.want(true);
    secured.once("secureConnect", () => {
      secured.off("error", reject);
      stream.off("error", reject).off("end", onEnd);
      resolve(new TlsSocket(secured, stream, socket));
    });
    const onEnd = () => reject(new Error("the server ended the handshake"));
    secured.on("error", reject);
    stream.on("error", reject).on("end", onEnd);
  });
}

/** Waits for a socket; after `timeoutMs` it throws {@linkcode DialError}, whose message begins with `late`. */
async function within<Socket extends ByteSocket>(
  timeoutMs: number,
  work: Promise<Socket>,
  late: string,
): Promise<Socket> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isLate = false;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      reject(new DialError(`${late} within ${timeoutMs} ms`));
    }, timeoutMs);
  });
  // A socket that comes too late is closed, and a failure that comes too late is ignored.
  work.then((socket) => isLate && closeQuietly(socket), () => {});
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
