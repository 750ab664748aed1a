// Which URLs a setting may name for a key set.

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

// `hostname` is as the URL parser writes it: `127.1` and `0x7f000001` are `127.0.0.1` by now.
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
