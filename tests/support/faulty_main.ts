// The program with faults of its own that nothing expects: one of each kind at SIGUSR2.

Deno.addSignalListener("SIGUSR2", () => {
  void Promise.reject(new TypeError("planted rejection"));
  setTimeout(() => {
    throw new RangeError("planted error");
  });
});

await import("../../main.ts");
