// Base64url without padding (RFC 4648 §5, RFC 7515 §2), of which each value has exactly one form here.

/** Whether `text` is base64url in its only form: no padding, no other characters, unused bits zero (RFC 4648 §3.5). */
export function isBase64url(text: string): boolean {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return false;
  switch (text.length % 4) {
    case 1:
      return false;
    case 2:
      return /[AQgw]$/.test(text);
    case 3:
      return /[AEIMQUYcgkosw048]$/.test(text);
    default:
      return true;
  }
}

/** The bytes that `text` stands for, or undefined where {@linkcode isBase64url} is false. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  return isBase64url(text) ? Uint8Array.fromBase64(text, { alphabet: "base64url" }) : undefined;
}

/** The text that stands for `bytes`. */
export function encodeBase64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
