// Checks certificates and keys, which the TLS library does only when it needs them.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { StartError } from "../../core/errors.ts";

/** Who the server is, and which clients it accepts; all in PEM. */
export interface TlsIdentity {
  /** The server's certificate, then its intermediates. */
  readonly cert: string;
  /** The private key of the server's certificate, not encrypted. */
  readonly key: string;
  /** If given, a client must show a certificate that one of these authorities has signed (RFC 8446 §4.3.2). */
  readonly clientCa?: string | undefined;
  /** Their paths, for error messages. */
  readonly files?: Readonly<Partial<Record<"cert" | "key" | "clientCa", string | undefined>>>;
}

/**
 * Throws {@linkcode StartError} when a part can't be read or the key is not the certificate's.
 *
 * @returns What the operator should know: that the certificate is not valid at `nowMs`, in milliseconds since 1970.
 */
export function checkIdentity(
  { cert, key, clientCa, files = {} }: TlsIdentity,
  nowMs: number,
): string | undefined {
  const [certName, keyName] = [named("TLS certificate", files.cert), named("TLS key", files.key)];
  const [certificate] = readCertificates(certName, cert);
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    // Whatever the library says about the key, its error is left out: no part of a key may reach a log.
    throw new StartError(`Cannot use the ${keyName}: it is not an unencrypted private key in PEM`);
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new StartError(`Cannot use the ${keyName}: it does not belong to the ${certName}`);
  }
  if (clientCa !== undefined) readCertificates(named("TLS client CA", files.clientCa), clientCa);
  const { validFrom, validTo } = certificate;
  if (nowMs > Date.parse(validTo)) return `it ended at ${isoTime(validTo)}`;
  if (nowMs < Date.parse(validFrom)) return `it begins at ${isoTime(validFrom)}`;
  return undefined;
}

function named(what: string, file: string | undefined): string {
  return file === undefined ? what : `${what} "${file}"`;
}

function isoTime(date: string): string {
  return new Date(date).toISOString().replace(".000", "");
}

/**
 * The certificates in `pem`: at least one.
 *
 * @param what What they are, for the error.
 * @throws {StartError} when there is none, or one can't be read.
 */
export function readCertificates(what: string, pem: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  let certificates: X509Certificate[];
  try {
    certificates = blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw new StartError(`Cannot use the ${what}: a certificate in it can't be read`, { cause });
  }
  const [first, ...others] = certificates;
  if (first === undefined) {
    throw new StartError(`Cannot use the ${what}: there is no certificate in PEM in it`);
  }
  return [first, ...others];
}
