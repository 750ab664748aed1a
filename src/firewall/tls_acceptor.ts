// The server's side of the TLS handshake, on connections that have been accepted and admitted already.

import { createServer, type TLSSocket } from "node:tls";
import { type ByteSocket, closeQuietly } from "./byte_socket.ts";
import { checkIdentity, type TlsIdentity } from "./tls_identity.ts";
import { TlsSocket } from "./tls_socket.ts";
import { TlsStream } from "./tls_stream.ts";

/**
 * How a TLS handshake ended: with a connection, or with a reason for the log that holds no words of the peer; `isLost` when
 * no rule was broken and the peer went away.
 */
export type TlsResult =
  | { readonly ok: true; readonly socket: ByteSocket }
  | { readonly ok: false; readonly reason: string; readonly isLost?: boolean };

/** Makes TLS 1.2 and 1.3 out of accepted connections, with a certificate that can be changed while it runs. */
export class TlsAcceptor {
  #identity: TlsIdentity;

  /** Throws {@linkcode StartError} when the identity can't be used. */
  constructor(identity: TlsIdentity) {
    checkIdentity(identity);
    this.#identity = identity;
  }

  /**
   * Uses another identity for the handshakes that begin from now on; whatever has begun goes on. Throws
   * {@linkcode StartError} when it can't be used, and keeps the old one.
   */
  reload(identity: TlsIdentity): void {
    checkIdentity(identity);
    this.#identity = identity;
  }

  /**
   * Makes the handshake on `socket`, which it owns from now on: closed with the TLS connection, or before this resolves
   * if there is none. To end a handshake early, close `socket`. Never rejects.
   *
   * @param timeoutMs Milliseconds until the handshake must be complete.
   */
  handshake(socket: ByteSocket, timeoutMs: number): Promise<TlsResult> {
    const { cert, key, clientCa } = this.#identity;
    const stream = new TlsStream(socket);
    return new Promise((resolve) => {
      const timer = setTimeout(() => refuse("the TLS handshake did not come in time"), timeoutMs);
      // It never listens: it is what makes the handshake, and checks the client's certificate, on a stream it is given.
      const server = createServer({
        cert,
        key,
        ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
        minVersion: "TLSv1.2",
        // The library's own timer reports a late handshake but does not free it.
        handshakeTimeout: 0,
      });
      server.on("secureConnection", (tls) => {
        clearTimeout(timer);
        resolve({ ok: true, socket: new TlsSocket(tls, stream) });
        // An end is now the end of one direction; and errors are heard by the socket.
        stream.off("end", onLost).off("error", onLost);
      });
      server.on("tlsClientError", (error, tls) => refuse(describe(error, tls)));
      stream.on("end", onLost).on("error", onLost);
      server.emit("connection", stream);

      function onLost(): void {
        refuse(LOST);
      }

      function refuse(reason: string): void {
        clearTimeout(timer);
        stream.destroy();
        closeQuietly(socket);
        resolve({ ok: false, reason, isLost: reason === LOST });
      }
    });
  }
}

const LOST = "the peer ended before the TLS handshake was complete";

function describe(error: Error, tls: TLSSocket): string {
  // The types say an error, but the library puts its code here, and null where nothing was wrong.
  const refused: unknown = tls.authorizationError;
  if (refused) return `the client certificate was not accepted: ${refused}`;
  return (error as { code?: string }).code === "ECONNRESET" ? LOST : error.message;
}
