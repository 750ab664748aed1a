// A process for a test: an echo endpoint that is told to use up its file descriptors, and to give them back.
import { createEchoHandler } from "../../src/endpoints/echo.ts";
import { startEndpoint } from "../../src/endpoints/endpoint.ts";
import type { LogFields } from "../../src/telemetry/log.ts";

const [socketPath = ""] = Deno.args;
const held: Deno.FsFile[] = [];

// Tells of the native listener's end, which the endpoint itself keeps quiet about until it serves again.
const serve = Deno.serve;
Deno.serve = ((...args: Parameters<typeof serve>) => {
  const server = serve(...args);
  server.finished.then(() => console.log("ended"), () => console.log("ended"));
  return server;
}) as typeof serve;

startEndpoint({
  name: "echo",
  socketPath,
  createHandler: createEchoHandler({ prefix: "" }),
  linkOf: () => undefined,
  log: (event, fields: LogFields = {}) => console.log(event, fields.endpoint),
});
console.log("ready");

for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  if (line.startsWith("starve")) {
    starve();
    console.log("starved");
  }
  if (line.startsWith("feed")) { for (const file of held.splice(0)) file.close(); }
}

function starve(): void {
  try {
    for (;;) held.push(Deno.openSync("/dev/null"));
  } catch {
    // No descriptor is left, which is what was wanted.
  }
}
