// The program with unexpected faults of its own: one of each kind at SIGUSR2.

Deno.addSignalListener("SIGUSR2", () => {
  void Promise.reject(new TypeError("planted rejection"));
  setTimeout(() => {
    throw new RangeError("planted error");
  });
});

await import("../../main.ts");
