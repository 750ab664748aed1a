// Sends the monitor's requests to this server, with an administrator's token, which is kept in memory only.

const ANSWER_TIMEOUT_MS = 5000;

/** The token, and the function that ends watching; `stop` is undefined while nothing is watched. */
export const watched = { token: "", stop: undefined };

/** Sends a request to this server; throws its answer if that is a problem. */
export async function ask(path, init = {}) {
  const { token, stop } = watched;
  if (stop === undefined) throw new Error("nothing is watched any more");
  const response = await fetch(path, {
    ...init,
    cache: "no-store",
    headers: { authorization: `Bearer ${token}`, ...init.headers },
    signal: init.isStream
      ? stop.signal
      : AbortSignal.any([stop.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  });
  if (response.ok) return response;
  // A slow browser may open the connection long before it sends the request.
  if (response.status === 408 && !init.isAgain) return await ask(path, { ...init, isAgain: true });
  const { detail = response.statusText } = await response.json().catch(() => ({}));
  throw Object.assign(new Error(detail), { status: response.status });
}

/** Asks for JSON. */
export async function askJson(path) {
  const response = await ask(path);
  return await response.json();
}

/** Has the server change something; `body` becomes JSON. What it says of it, if anything. */
export async function change(method, path, body) {
  const sent = body === undefined
    ? {}
    : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await ask(path, { method, ...sent });
  return response.status === 204 ? undefined : await response.json();
}
