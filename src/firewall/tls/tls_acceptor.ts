// The server's side of the TLS handshake, on connections that were accepted and admitted.

import type { X509Certificate } from "node:crypto";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { badRequest, encodeRefusal, type Refusal } from "../../protocol/handshake.ts";
import type { Log } from "../../telemetry/log.ts";
import { type ByteSocket, closeQuietly, isConnectionLost } from "../byte_socket.ts";
import { CheckedClients } from "./tls_clients.ts";
import { ALERTS, encodeAlert, readHello } from "./tls_hello.ts";
import { checkIdentity, type TlsIdentity } from "./tls_identity.ts";
import { TlsSocket } from "./tls_socket.ts";
import { TlsStream } from "./tls_stream.ts";
import { TlsTurns } from "./tls_turns.ts";

/** How a TLS handshake ended: with a connection, or with a reason for the log that quotes nothing from the peer. */
export type TlsResult = { readonly ok: true; readonly socket: ByteSocket } | TlsFailure;

/** Why there is no TLS connection. */
export interface TlsFailure {
  readonly ok: false;
  readonly reason: string;
  /** Whether the peer just went away, which breaks no rule. */
  readonly isLost?: true;
}

/** A failure, and what the peer is told of it. */
interface Ending {
  readonly failure: TlsFailure;
  /** Written before the end, encrypted if there is a connection. The library writes its own alerts. */
  readonly last?: Uint8Array;
  /** Whether the peer is told nothing. */
  readonly isSilent?: true;
  /** The library's words. Which alert it sends is known only once it is written. */
  readonly detail?: string;
}

/** What handshakes are made with until the next reload. */
interface Terms {
  /** It never listens. The library keeps the certificate, its key and its connection handler in it. */
  readonly server: Server;
  readonly clientCa: string | undefined;
  /** Undefined without a client authority. */
  readonly clients: CheckedClients | undefined;
}

/** How long a peer may take to read why there is no connection, in milliseconds. */
const LINGER_MS = 1000;
/** How many may take that long at once. Those beyond get a moment, which is enough for most. */
const MAX_LINGERING = 256;
const MOMENT_MS = 20;

const LATE: Ending = {
  failure: { ok: false, reason: "the TLS handshake did not come in time" },
  isSilent: true,
};
const LOST: Ending = {
  failure: { ok: false, reason: "the peer ended before the TLS handshake was complete", isLost: true },
  isSilent: true,
};
const OUTDATED: Ending = {
  failure: {
    ok: false,
    reason: "the session to be resumed is not of a client certificate that is accepted now",
  },
  // Nor is it given a ticket: without one, its next attempt is a whole handshake.
  isSilent: true,
};
const SPEAK_TLS = badRequest("this port speaks TLS: use wss:// or https://");

/** Makes TLS 1.2 and 1.3 out of accepted connections, with a certificate that can be changed while it runs. */
export class TlsAcceptor {
  readonly #turns = new TlsTurns();
  readonly #log: Log | undefined;
  #terms: Terms;
  #lingering = 0;

  /**
   * Throws {@linkcode StartError} when the identity can't be used.
   *
   * @param log Gets a record if the certificate is not valid now.
   */
  constructor(identity: TlsIdentity, log?: Log) {
    this.#log = log;
    this.#terms = this.#createTerms(identity);
  }

  /**
   * Uses another identity for handshakes that begin from now on; those under way go on. With another client authority
   * no older session can be resumed. Throws {@linkcode StartError} when it can't be used, and keeps the old one.
   */
  reload(identity: TlsIdentity): void {
    this.#terms = this.#createTerms(identity, this.#terms);
  }

  #createTerms(identity: TlsIdentity, before?: Terms): Terms {
    const reason = checkIdentity(identity, Date.now());
    if (reason !== undefined) this.#log?.("tls.certificate_not_valid", { reason });
    const { cert, key, clientCa } = identity;
    const server = createServer({
      cert,
      key,
      ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true }),
      minVersion: "TLSv1.2",
      // RFC 7301: a client that offers only other protocols gets an alert.
      ALPNProtocols: ["http/1.1"],
      // The library's own timer frees nothing, and would hold a failed handshake until it ends: for 2 minutes with 0.
      handshakeTimeout: -1,
    });
    if (clientCa === undefined) return { server, clientCa, clients: undefined };
    const isSame = before?.clientCa === clientCa && before.clients !== undefined;
    return { server, clientCa, clients: isSame ? before.clients : new CheckedClients(clientCa) };
  }

  /**
   * Makes the handshake on `socket`, which it owns from now on: closed with the TLS connection, or before this resolves
   * if there is none. To end a handshake early, close `socket`. Rejects with faults of this program only.
   *
   * Holds about a kilobyte until the whole ClientHello is there, and computes nothing before its turn.
   *
   * @param timeoutMs Milliseconds until the handshake must be complete.
   * @param onWaiting Given what ends it at once, to be called by who closes the socket: one that waits for its turn does not see that.
   */
  async handshake(
    socket: ByteSocket,
    timeoutMs: number,
    onWaiting: (giveUp: () => void) => void = () => {},
  ): Promise<TlsResult> {
    const stream = new TlsStream(socket);
    const late = Promise.withResolvers<Ending>();
    onWaiting(() => late.resolve(LOST));
    let timer = setTimeout(() => {
      closeQuietly(socket);
      late.resolve(LATE);
    }, timeoutMs);
    try {
      const result = await Promise.race([this.#open(socket, stream, late.promise), late.promise]);
      if (result instanceof TlsSocket) return { ok: true, socket: result };
      clearTimeout(timer);
      timer = setTimeout(() => closeQuietly(socket), this.#lingering < MAX_LINGERING ? LINGER_MS : MOMENT_MS);
      this.#lingering++;
      try {
        if (!result.isSilent) await stream.finish(result.last);
      } finally {
        this.#lingering--;
      }
      stream.destroy();
      closeQuietly(socket);
      const { failure, detail } = result;
      return detail === undefined || stream.alert === undefined
        ? failure
        : failed(`${ALERTS[stream.alert]} (${detail})`).failure;
    } catch (error) {
      stream.destroy();
      closeQuietly(socket);
      if (isConnectionLost(error)) return LOST.failure;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(socket: ByteSocket, stream: TlsStream, late: Promise<unknown>): Promise<TlsSocket | Ending> {
    const hello = await readHello(socket);
    if (hello === undefined) return LOST;
    if (hello === "not_tls") return { ...failed("this is no TLS"), isSilent: true };
    if (hello === "http") return { ...failed("this is plain HTTP"), last: encode(SPEAK_TLS) };
    if (typeof hello === "number") return { ...failed(ALERTS[hello]), last: encodeAlert(hello) };
    return await new Promise((resolve, reject) => {
      const onSecure = (tls: TLSSocket, { clients }: Terms) => {
        // A handshake that began before a reload is not judged by the old terms.
        const ending = clients === this.#terms.clients ? judge(clients, tls) : OUTDATED;
        if (ending?.isSilent) stream.mute();
        resolve(ending ?? new TlsSocket(tls, stream, socket));
      };
      const onFailure = (error: Error | undefined) => {
        if (error === undefined) return resolve(LOST);
        const ending = describe(error);
        if (ending === undefined) reject(error);
        else resolve(ending);
      };
      const leave = this.#turns.take(() => {
        const terms = this.#terms;
        try {
          connect(terms.server, stream, (tls) => {
            try {
              onSecure(tls, terms);
            } catch (error) {
              // The library would swallow it.
              reject(error);
            }
          }, onFailure);
          stream.start(hello);
        } catch (error) {
          reject(error);
        }
      });
      void late.then(leave);
    });
  }
}

/**
 * Starts TLS on `stream`. Calls `onSecure` when the handshake is complete, `onFailure` when it fails, without an error
 * if the peer has ended.
 */
function connect(
  server: Server,
  stream: TlsStream,
  onSecure: (tls: TLSSocket) => void,
  onFailure: (error?: Error) => void,
): void {
  const handlers: Record<string, (subject: never) => void> = {
    secureConnection: (tls: TLSSocket) => {
      // From now on an end is that of one direction.
      stream.off("end", onEnd);
      onSecure(tls);
    },
    tlsClientError: onFailure,
  };
  function onEnd(): void {
    onFailure();
  }
  stream.on("end", onEnd);
  // Creating a server costs as much as a handshake. This is the existing one, with other listeners.
  const own: Server = Object.create(server, {
    emit: {
      value: (event: string, subject: never) => handlers[event]?.(subject),
    },
    // Not false: a client without a certificate must get the alert for it. Not true: a wrong certificate is judged
    // here.
    rejectUnauthorized: { value: undefined },
  });
  for (const accept of server.listeners("connection")) accept.call(own, stream);
}

/**
 * What is wrong with the client's certificate, if there is a client authority. A resumed session alone proves nothing.
 */
function judge(clients: CheckedClients | undefined, tls: TLSSocket): Ending | undefined {
  if (clients === undefined) return undefined;
  const certificate: X509Certificate | undefined = tls.getPeerX509Certificate();
  if (tls.isSessionReused()) {
    if (certificate !== undefined && clients.has(certificate, Date.now())) return undefined;
    return OUTDATED;
  }
  if (tls.authorized && certificate !== undefined) {
    clients.add(certificate);
    return undefined;
  }
  // The types say an error, but the library puts its code here.
  const reason = `the client certificate was not accepted: ${tls.authorizationError}`;
  // An unhandled 'error' would end the process; whatever it is, there is no connection.
  tls.on("error", () => {});
  // The library can't send an alert any more, so the peer is told in words.
  tls.end(encode({ status: 403, reason }));
  return { failure: { ok: false, reason } };
}

/** What an error of the library says about the peer; undefined if it is not about the peer. */
function describe(error: Error): Ending | undefined {
  const { code } = error as { code?: unknown };
  if (typeof code !== "string" || !code.startsWith("ERR_SSL_")) {
    return isConnectionLost(error) ? LOST : undefined;
  }
  // The alert was encrypted; the library's other codes are vague.
  const kind = code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"
    ? "certificate_required"
    : code.slice("ERR_SSL_".length).toLowerCase();
  return { ...failed(`${kind} (${error.message})`), detail: error.message };
}

function failed(kind: string): Ending {
  return { failure: { ok: false, reason: `the TLS handshake failed: ${kind}` } };
}

function encode(refusal: Refusal): Uint8Array {
  return encodeRefusal(refusal, { date: new Date().toUTCString(), hasBody: true });
}
