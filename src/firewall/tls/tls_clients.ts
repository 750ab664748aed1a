// Remembers which client certificates were checked, so that no session of another one is resumed.

import type { X509Certificate } from "node:crypto";
import { readCertificates } from "./tls_identity.ts";

/** How many certificates are remembered; a forgotten one needs a whole handshake. */
const MAX_CLIENTS = 16_384;

/** What is needed of a certificate, and of its issuer's if the client has sent it. */
export interface ClientCertificate extends Pick<X509Certificate, "fingerprint256" | "validTo"> {
  readonly issuerCertificate?: ClientCertificate | undefined;
}

/**
 * The certificates that whole handshakes have checked against one client authority.
 *
 * The runtime's TLS resumes any session that this process has made, also under another authority or without one, and
 * calls it authorized; no option prevents that. So a resumption counts only if the certificate of its session is here.
 * Only the holder of a valid certificate can add one.
 */
export class CheckedClients {
  readonly #authorities: ReadonlySet<string>;
  readonly #most: number;
  /**
   * Until when sessions of a certificate may be resumed, in milliseconds since 1970, by fingerprint; longest unused
   * first.
   */
  readonly #untilMs = new Map<string, number>();

  /**
   * @param authority Certificates in PEM.
   * @param most How many to remember; at least 1.
   */
  constructor(authority: string, most = MAX_CLIENTS) {
    this.#authorities = new Set(
      readCertificates("TLS client CA", authority).map(({ fingerprint256 }) => fingerprint256),
    );
    this.#most = most;
  }

  /** Remembers a certificate that has been checked just now. */
  add({ fingerprint256, validTo, issuerCertificate: issuer }: ClientCertificate): void {
    let untilMs = Date.parse(validTo);
    // The end date of the authority does not count, as in a whole handshake (RFC 5280 §6.1).
    if (issuer !== undefined && !this.#authorities.has(issuer.fingerprint256)) {
      untilMs = Math.min(untilMs, Date.parse(issuer.validTo));
    }
    this.#put(fingerprint256, untilMs);
    if (this.#untilMs.size <= this.#most) return;
    const [longestUnused] = this.#untilMs.keys();
    this.#untilMs.delete(longestUnused!);
  }

  /** Whether a session of `certificate` may go on at `nowMs`, in milliseconds since 1970. */
  has({ fingerprint256 }: ClientCertificate, nowMs: number): boolean {
    const untilMs = this.#untilMs.get(fingerprint256);
    if (untilMs === undefined || nowMs > untilMs) return false;
    this.#put(fingerprint256, untilMs);
    return true;
  }

  #put(fingerprint: string, untilMs: number): void {
    this.#untilMs.delete(fingerprint);
    this.#untilMs.set(fingerprint, untilMs);
  }
}
