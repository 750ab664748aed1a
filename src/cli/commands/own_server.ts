// Starts a server within another command, on free ports and with its own key.

import config from "../../../deno.json" with { type: "json" };
import type { Settings } from "../../core/settings/declarations.ts";

/** A running server of our own. */
export interface OwnServer {
  /** By endpoint; without those that are left out. */
  readonly urls: Readonly<Partial<Record<"echo" | "secure", string>>>;
  readonly keyFile: string;
  stop(): Promise<void>;
}

/** Starts it with these settings, except for ports and files. Throws {@linkcode StartError}. */
export async function startOwnServer(settings: Settings): Promise<OwnServer> {
  const folder = settings.runtimeDir ?? await Deno.makeTempDir({ prefix: "wsward-" });
  if (settings.runtimeDir !== undefined) await Deno.mkdir(folder, { mode: 0o700 });
  const keyFile = `${folder}/wsward.key`;
  const { startGuest } = await import("../../app/guest.ts");
  const server = await startGuest({
    ...settings,
    host: "127.0.0.1",
    echoPort: 0,
    securePort: 0,
    adminListen: undefined,
    jwksUrl: undefined,
    keyFile,
    stateFile: undefined,
    runtimeDir: folder,
    // Open connections must not hold up the end.
    drainTimeout: 100,
  }, config.version);
  const urls = server.lines.map((line) => /(wss?:\/\/\S+) \((echo|secure)\)/.exec(line)).filter((match) =>
    match !== null
  );
  return {
    urls: Object.fromEntries(urls.map(([, url, name]) => [name, url])),
    keyFile,
    async stop() {
      await server.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
