// Certificates and keys: whether they can be used at all, which the TLS library does not say before it needs them.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { StartError } from "../core/errors.ts";

/** Who the server is, and whom it lets in; all in PEM. */
export interface TlsIdentity {
  /** The server's certificate, then its intermediates. */
  readonly cert: string;
  /** The private key of the server's certificate, not encrypted. */
  readonly key: string;
  /** With this, a client must show a certificate that one of these authorities has signed (RFC 8446 §4.3.2). */
  readonly clientCa?: string | undefined;
}

/** Throws {@linkcode StartError} when a part can't be read or the key is not the certificate's. */
export function checkIdentity({ cert, key, clientCa }: TlsIdentity): void {
  const certificate = readCertificates("TLS certificate", cert);
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    // What was caught is left out: no part of a key may reach a log.
    throw new StartError("Cannot use the TLS key: it is not an unencrypted private key in PEM");
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new StartError("Cannot use the TLS key: it does not belong to the TLS certificate");
  }
  if (clientCa !== undefined) readCertificates("TLS client CA", clientCa);
}

/** Reads all, and returns the first. */
function readCertificates(what: string, pem: string): X509Certificate {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    const [first] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return first;
  } catch (cause) {
    throw new StartError(`Cannot use the ${what}: a certificate in it can't be read`, { cause });
  }
  throw new StartError(`Cannot use the ${what}: there is no certificate in PEM in it`);
}
