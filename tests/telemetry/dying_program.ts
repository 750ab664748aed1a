// Logs 100 errors and dies in the way its first argument names; its second is the log file.

import { openLog } from "../../src/telemetry/log.ts";

const [death, file = ""] = Deno.args;
const { log, flush } = openLog({ level: "info", file });

globalThis.addEventListener("unload", flush);
globalThis.addEventListener("error", flush);
globalThis.addEventListener("unhandledrejection", flush);

for (let number = 0; number < 100; number++) log("handler.error", { detail: String(number) });

switch (death) {
  case "exit":
    Deno.exit(7);
    break;
  case "error":
    setTimeout(() => {
      throw new Error("uncaught");
    });
    break;
  case "rejection":
    Promise.reject(new Error("unhandled"));
    break;
  case "SIGTERM":
  case "SIGINT":
    Deno.addSignalListener(death, () => {
      flush();
      Deno.exit(0);
    });
    // A signal listener alone does not keep a program alive.
    setInterval(() => {}, 60_000);
    console.log("ready");
}
