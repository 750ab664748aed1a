// The text form of a key set's address: whether a setting may be that.

/**
 * Whether `text` is a URL that a key set may be fetched from: https anywhere, http only on this machine, because whoever
 * can change the answer on its way chooses the keys. Credentials and a fragment are refused.
 */
export function isKeySetUrl(text: string): boolean {
  if (!URL.canParse(text) || /[\p{C}\s]/u.test(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== "" || password !== "" || text.includes("#")) return false;
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
}

// As the URL parser writes it: `127.1` and `0x7f000001` have become `127.0.0.1` by now.
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
