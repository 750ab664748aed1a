// Checks the upstreams: whether each is there, has the right TLS, and what it answers.

import { StartError } from "../../core/errors.ts";
import type { Settings } from "../../core/settings/declarations.ts";
import { urlHost } from "../../core/shown.ts";
import { parseUpstreamUrl, type UpstreamAddress } from "../../core/upstream_text.ts";
import { type ByteSocket, closeQuietly, isConnectionLost, writeAll } from "../../firewall/byte_socket.ts";
import { acceptFor, readUpstreamAnswer } from "../../firewall/upstream/answer.ts";
import { dial, readUpstreamTls, type UpstreamTls } from "../../firewall/upstream/dial.ts";
import { encodeUpstreamRequest } from "../../firewall/upstream/request.ts";
import { GOING_AWAY, newMaskKey } from "../../firewall/ways/relayed.ts";
import { encodeClose } from "../../protocol/frame.ts";
import type { Finding } from "./doctor_finding.ts";

/** Makes one handshake with each server, without a token, and closes. */
export async function examineUpstreams(settings: Settings): Promise<readonly Finding[]> {
  let tls: UpstreamTls;
  try {
    tls = readUpstreamTls(settings);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const remedy = "check --upstream-ca, --upstream-cert and --upstream-key";
    return [{ name: "upstream", result: "failure", state: error.message, remedy }];
  }
  return await Promise.all(
    settings.upstream.map((url) => examineUpstream(parseUpstreamUrl(url)!, settings, tls)),
  );
}

async function examineUpstream(
  address: UpstreamAddress,
  settings: Settings,
  tls: UpstreamTls,
): Promise<Finding> {
  const name = `upstream ${address.name}`;
  const { upstreamTimeout } = settings;
  const socket = await dial(address, tls, upstreamTimeout, new AbortController().signal);
  if ("result" in socket) {
    const { result, error, hint } = socket;
    const remedy = hint ??
      (result === "tls"
        ? "check its certificate, --upstream-ca and --upstream-server-name"
        : "start it, or check --upstream; until it is there clients get 502");
    return { name, result: "warning", state: error, remedy };
  }
  const timer = setTimeout(() => closeQuietly(socket), upstreamTimeout);
  try {
    return { name, ...await ask(socket, address, settings) };
  } catch (error) {
    if (!isConnectionLost(error)) throw error;
    const remedy = "check that it speaks WebSocket there, and --upstream-timeout";
    return { name, result: "warning", state: "it is there, but does not answer a handshake", remedy };
  } finally {
    clearTimeout(timer);
    closeQuietly(socket);
  }
}

async function ask(
  socket: ByteSocket,
  address: UpstreamAddress,
  { upstreamHost, upstreamPath }: Settings,
): Promise<Omit<Finding, "name">> {
  const path = (upstreamPath[0] ?? "/").replace(/\*$/, "");
  const key = crypto.getRandomValues(new Uint8Array(16)).toBase64();
  const host = address.kind === "unix" ? "localhost" : `${urlHost(address.hostname)}:${address.port}`;
  await writeAll(
    socket,
    encodeUpstreamRequest({
      head: {
        method: "GET",
        path,
        query: "",
        headers: new Map([["host", host], ["sec-websocket-key", key]]),
      },
      pass: { query: "", cookie: undefined, subprotocols: [], fallback: undefined, ticket: undefined },
      ticket: { headers: [], opened: () => {}, closed: () => {} },
      server: address,
      host: upstreamHost,
      connection: "doctor",
      address: "127.0.0.1",
      isSecure: false,
    }),
  );
  const answer = await readUpstreamAnswer(socket, await acceptFor(key), []);
  if ("rest" in answer) {
    await writeAll(socket, encodeClose(GOING_AWAY, newMaskKey()));
    return { result: "ok", state: `it accepts a handshake for ${path}` };
  }
  if ("fault" in answer) {
    return { result: "warning", state: answer.fault, remedy: "name a WebSocket server with --upstream" };
  }
  const remedy = "check whether it wants another path, or a user, which only a token gives it";
  return { result: "warning", state: `it answers with status ${answer.status} for ${path}`, remedy };
}
