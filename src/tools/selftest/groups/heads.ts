// Request heads that are too large, or come from where they should not.

import type { Case } from "../case.ts";
import { inGroup, refuses } from "../judge.ts";
import { describeAnswer, type Probe } from "../probe.ts";
import { fail, info, pass, warn } from "../verdict.ts";

const SIZES = [8 * 1024, 32 * 1024] as const;
/** Times below this are noise. */
const NOISE_MS = 60;

/** All cases about the size of a request head, and what it costs to read one. */
export const HEAD_LIMIT_CASES: readonly Case[] = inGroup("head limits", [
  refuses(
    {
      id: "hs-huge-header",
      section: "RFC 6585 §5",
      level: "SHOULD",
      sends: "a header of 70 kB",
      right: "431",
    },
    (probe) => probe.head([`X-Huge: ${"a".repeat(70_000)}`]),
    { on101: "warn" },
  ),
  refuses(
    {
      id: "hs-long-uri",
      section: "RFC 9110 §15.5.15",
      level: "SHOULD",
      sends: "a path of 70 kB",
      right: "414 or 431",
    },
    (probe) => probe.head([], `/${"a".repeat(70_000)}`),
    { on101: "warn" },
  ),
  refuses(
    {
      id: "hs-many-headers",
      section: "RFC 6585 §5",
      level: "SHOULD",
      sends: "500 headers",
      right: "431, or 101 in no time",
    },
    (probe) => probe.head(Array.from({ length: 500 }, (_, i) => `X-${i}: a`)),
    { on101: "info" },
  ),
  {
    id: "hs-header-growth",
    section: "RFC 6455 §10",
    level: "SHOULD",
    sends: "blanks, commas and quotes in each header, 8 and 32 KiB",
    right: "time grows no faster than size",
    async run(probe) {
      const slow: string[] = [];
      for (
        const name of [
          "Origin",
          "Cookie",
          "Sec-WebSocket-Protocol",
          "Sec-WebSocket-Extensions",
          "Connection",
          "X-Any",
        ]
      ) {
        for (const fill of [" ", ",", '"']) {
          const [small = 0, large = 0] = await measure(probe, name, fill);
          // Four times the size: quadratic work would take sixteen times as long.
          if (large < NOISE_MS || large < 8 * small) continue;
          const [again = 0, largeAgain = 0] = await measure(probe, name, fill);
          if (largeAgain >= NOISE_MS && largeAgain >= 8 * again) {
            slow.push(`${name} of ${JSON.stringify(fill)}: ${small.toFixed(0)} and ${large.toFixed(0)} ms`);
          }
        }
      }
      return slow.length === 0 ? pass("linear") : fail(slow.join("; "));
    },
  },
], "limit");

async function measure(probe: Probe, name: string, fill: string): Promise<readonly number[]> {
  const timesMs: number[] = [];
  for (const size of SIZES) {
    const wire = await probe.dial();
    const head = probe.head([`${name}: a${fill.repeat(size)}a`]);
    const startMs = performance.now();
    await wire.send(head);
    await wire.client.nextHead(probe.timeoutMs);
    timesMs.push(performance.now() - startMs);
    wire.close();
  }
  return timesMs;
}

function origin(
  id: string,
  sends: string,
  values: (probe: Probe) => readonly string[],
): Omit<Case, "group" | "class"> {
  return {
    id,
    section: "RFC 6455 §10.2",
    level: "SHOULD",
    sends,
    right: "403",
    async run(probe) {
      const taken: string[] = [];
      let observed = "";
      for (const value of values(probe)) {
        const { answer } = await probe.ask(probe.head(value.split("\n").map((one) => `Origin: ${one}`)));
        observed = describeAnswer(answer);
        if (answer.kind === "late" || (answer.kind === "head" && answer.status >= 500)) {
          return fail(`${observed} for ${value}`);
        }
        if (answer.kind === "head" && answer.status === 101) taken.push(value.replace("\n", " and "));
      }
      return taken.length === 0 ? pass(observed) : warn(`101 for ${taken.join(", ")}`);
    },
  };
}

/** All cases about where a web page comes from. */
export const ORIGIN_CASES: readonly Case[] = inGroup("origin", [
  origin("origin-foreign", "the Origin of another site", () => ["https://evil.example"]),
  origin("origin-null", "Origin: null", () => ["null"]),
  origin("origin-two", "two Origins", ({ target }) => [`${ownOrigin(target)}\nhttps://evil.example`]),
  origin("origin-lookalike", "Origins of other sites that look like the server's own", ({ target }) => {
    const own = ownOrigin(target);
    return [
      `${own}.evil.example`,
      `${own.replace(/:\d+$/, "")}.evil.example`,
      `http://evil-${target.hostname}`,
    ];
  }),
  {
    id: "origin-same-host",
    section: "RFC 6454 §5",
    level: "SHOULD",
    sends: "the server's own host, but another port, and another scheme",
    right: "403; a 101 is worth knowing, because a server may trust its own host",
    async run(probe) {
      const own = ownOrigin(probe.target);
      const other = probe.target.isTls ? own.replace("https", "http") : own.replace("http", "https");
      const taken: string[] = [];
      for (const value of [`${own.replace(/:\d+$/, "")}:1`, other]) {
        const { answer } = await probe.ask(probe.head([`Origin: ${value}`]));
        if (answer.kind !== "head" || answer.status >= 500) {
          return fail(`${describeAnswer(answer)} for ${value}`);
        }
        if (answer.status === 101) taken.push(value);
      }
      return taken.length === 0 ? pass("refused") : info(`101 for ${taken.join(", ")}`);
    },
  },
]);

function ownOrigin({ isTls, host }: Probe["target"]): string {
  return `${isTls ? "https" : "http"}://${host}`;
}
