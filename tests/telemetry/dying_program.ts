// Logs 100 errors and dies in the way its first argument names; its second is the log file.

import { openLog } from "../../src/telemetry/log.ts";

const [death, file = ""] = Deno.args;
const { log, flushAll, finish } = openLog({ level: "info", file });

globalThis.addEventListener("unload", flushAll);
globalThis.addEventListener("error", flushAll);
globalThis.addEventListener("unhandledrejection", flushAll);

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
    Deno.addSignalListener(death, () => void finish().finally(() => Deno.exit(0)));
    // A signal listener alone does not keep a program alive.
    setInterval(() => {}, 60_000);
    console.log("ready");
}
