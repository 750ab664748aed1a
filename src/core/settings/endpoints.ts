// The endpoints that settings ask for: the one list of them.

import type { SettingName, Settings } from "./declarations.ts";

/** What an endpoint is called: in the log, in metrics, on the page. */
export type EndpointName = "echo" | "secure" | "upstream";

/** An endpoint that gets a listener. */
export interface ListedEndpoint {
  readonly name: EndpointName;
  /** The port; 0 for a free one. */
  readonly port: number;
  /** The setting of that port. */
  readonly portSetting: SettingName & ("echoPort" | "securePort");
  /** The name of its private socket in the runtime folder; undefined if it is somebody else's server. */
  readonly socket: string | undefined;
}

/** The names of all private sockets. */
export const SOCKET_NAMES: readonly string[] = ["echo.sock", "secure.sock"];

/** The endpoints, in the order in which they are started. */
export function listEndpoints(settings: Settings): readonly ListedEndpoint[] {
  const { echo, echoPort, secure, securePort, upstream } = settings;
  const listed: ListedEndpoint[] = [];
  if (echo) listed.push({ name: "echo", port: echoPort, portSetting: "echoPort", socket: "echo.sock" });
  if (upstream.length > 0) {
    listed.push({ name: "upstream", port: securePort, portSetting: "securePort", socket: undefined });
  } else if (secure) {
    listed.push({ name: "secure", port: securePort, portSetting: "securePort", socket: "secure.sock" });
  }
  return listed;
}
