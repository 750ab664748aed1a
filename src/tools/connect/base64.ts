// Base64 for bytes of any length.

/** Bytes as base64 (RFC 4648 §4). */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3 * 8192) {
    text += btoa(String.fromCharCode(...bytes.subarray(at, at + 3 * 8192)));
  }
  return text;
}
