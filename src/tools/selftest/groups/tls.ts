// TLS: versions, certificates, names, and connections that break off.

import { dial, DialError } from "../../dial.ts";
import { latin1 } from "../../../core/latin1.ts";
import { OPCODE } from "../../../protocol/frame.ts";
import { RawClient } from "../../raw_client.ts";
import { bytesOf, concat, frame, text } from "../../raw_frame.ts";
import type { Case } from "../case.ts";
import { fail, info, pass, Unperformable, type Verdict, warn } from "../verdict.ts";
import { inGroup } from "../judge.ts";
import { describeArrival, type Probe } from "../probe.ts";

/** A plain TCP connection to the TLS port. */
async function plain(probe: Probe): Promise<RawClient> {
  const { target, address, timeoutMs } = probe.options;
  try {
    return new RawClient(await dial({ ...target, isTls: false }, { address, timeoutMs }));
  } catch (error) {
    if (error instanceof DialError) throw new Unperformable(`cannot connect: ${error.message}`);
    throw error;
  }
}

function needsTls(probe: Probe): void {
  if (!probe.target.isTls) throw new Unperformable("the target is not wss://", "skip");
}

/** A ClientHello of TLS 1.0 or 1.1, with cipher suites of that time and the server's name (RFC 2246 §7.4.1.2). */
function oldHello(minor: 1 | 2, name: string): Uint8Array<ArrayBuffer> {
  const suites = [0xc0, 0x13, 0xc0, 0x14, 0xc0, 0x09, 0xc0, 0x0a, 0x00, 0x2f, 0x00, 0x35, 0x00, 0x0a];
  const u16 = (value: number) => Uint8Array.of(value >> 8, value & 255);
  const host = bytesOf(name);
  const serverName = concat(
    u16(0),
    u16(host.length + 5),
    u16(host.length + 3),
    Uint8Array.of(0),
    u16(host.length),
    host,
  );
  const groups = concat(u16(10), u16(6), u16(4), u16(23), u16(24));
  const points = concat(u16(11), u16(2), Uint8Array.of(1, 0));
  const extensions = concat(serverName, groups, points);
  const body = concat(
    Uint8Array.of(3, minor),
    crypto.getRandomValues(new Uint8Array(32)),
    Uint8Array.of(0),
    u16(suites.length),
    Uint8Array.from(suites),
    Uint8Array.of(1, 0),
    u16(extensions.length),
    extensions,
  );
  const handshake = concat(Uint8Array.of(1, 0), u16(body.length), body);
  return concat(Uint8Array.of(22, 3, minor), u16(handshake.length), handshake);
}

async function oldVersion(probe: Probe, minor: 1 | 2): Promise<Verdict> {
  using client = await plain(probe);
  await client.send(oldHello(minor, probe.target.hostname), probe.timeoutMs);
  const answer = await client.rest(6, probe.timeoutMs);
  // A handshake record (22) with a ServerHello (2) accepts the version, an alert (21) refuses it.
  if (answer[0] === 22 && answer[5] === 2) return fail(`TLS 1.${minor - 1} is taken`);
  return answer[0] === 21 || answer.length === 0
    ? pass(`TLS 1.${minor - 1} is refused`)
    : warn(`${answer.length} bytes that are no TLS`);
}

/** Why TLS fails with these options in place of the run's; undefined if it does not. */
async function tryTls(probe: Probe, tls: Parameters<typeof dial>[1]["tls"]): Promise<string | undefined> {
  const { target, address, timeoutMs } = probe.options;
  try {
    (await dial(target, { address, timeoutMs, tls: { ...probe.options.tls, ...tls } })).close();
    return undefined;
  } catch (error) {
    if (error instanceof DialError) return error.message;
    throw error;
  }
}

/** All cases about TLS. */
export const TLS_CASES: readonly Case[] = inGroup("tls", [
  tlsCase("tls-old-versions", "RFC 8996", "MUST", "hellos of TLS 1.0 and 1.1", "an alert", async (probe) => {
    for (const minor of [1, 2] as const) {
      const verdict = await oldVersion(probe, minor);
      if (verdict.result !== "pass") return verdict;
    }
    return pass("TLS 1.0 and 1.1 are refused");
  }),
  tlsCase(
    "tls-certificate",
    "RFC 9110 §4.3.4",
    "SHOULD",
    "the name of the URL, and the trust of the system and --ca",
    "a certificate for it that is valid now",
    async (probe) => {
      const fault = await tryTls(probe, { insecure: false });
      return fault === undefined ? pass("valid for this name") : warn(fault);
    },
  ),
  tlsCase(
    "tls-plain",
    "RFC 8446 §5.1",
    "MUST",
    "a plain request on the TLS port",
    "an alert, an error or the end",
    async (probe) => {
      using client = await plain(probe);
      await client.send(probe.head(), probe.timeoutMs);
      const answer = await client.rest(16, probe.timeoutMs);
      if (latin1(answer).startsWith("HTTP/1.1 101")) return fail("101 without TLS");
      if (answer.length > 0) return pass(answer[0] === 21 ? "an alert" : "an error in plain text");
      const end = await client.end(0);
      return end.kind === "end" ? pass(`a ${end.how}`) : warn("nothing in time");
    },
  ),
  tlsCase(
    "tls-unknown-sni",
    "RFC 6066 §3",
    "SHOULD",
    "a server name that it does not have",
    "an alert, or its own certificate",
    async (probe) => {
      const fault = await tryTls(probe, { insecure: true, serverName: "no-such-name.example" });
      return fault?.includes("within")
        ? warn(fault)
        : pass(fault === undefined ? "its own certificate" : "refused");
    },
  ),
  tlsCase(
    "tls-h2-only",
    "RFC 7301 §3.2",
    "MUST",
    "ALPN with h2 alone",
    "an alert, or no protocol chosen; no HTTP/1.1 under the name of h2",
    async (probe) => {
      const { target, address, timeoutMs } = probe.options;
      try {
        const socket = await dial(target, {
          address,
          timeoutMs,
          tls: { ...probe.options.tls, alpnProtocols: ["h2"] },
        });
        using client = new RawClient(socket);
        // A server of HTTP/2 begins with SETTINGS, whatever it is sent.
        await client.send(probe.head(), timeoutMs);
        const answer = latin1(await client.rest(12, timeoutMs));
        return answer.startsWith("HTTP/1.1 101") ? info("101: no protocol was chosen") : pass("no WebSocket");
      } catch (error) {
        if (error instanceof DialError) {
          return error.message.includes("within") ? warn(error.message) : pass("refused");
        }
        throw error;
      }
    },
  ),
  tlsCase(
    "tls-split-records",
    "RFC 8446 §5.1",
    "MUST",
    "a handshake and a Ping, a byte in each record",
    "101 and the Pong",
    async (probe) => {
      const wire = await probe.dial();
      for (const byte of bytesOf(probe.head())) await wire.send(Uint8Array.of(byte));
      const head = await wire.client.nextHead(probe.timeoutMs);
      if (head.kind !== "head" || head.status !== 101) {
        return fail(
          head.kind === "head" ? String(head.status) : "no 101",
        );
      }
      for (const byte of frame({ opcode: OPCODE.ping, payload: "records" })) {
        await wire.send(
          Uint8Array.of(byte),
        );
      }
      const arrival = await wire.next();
      return arrival.kind === "frame" && arrival.opcode === OPCODE.pong
        ? pass("101 and the Pong")
        : fail(describeArrival(arrival));
    },
  ),
  tlsCase(
    "tls-truncation",
    "RFC 8446 §6.1",
    "SHOULD",
    "the end of TCP inside a message, without close_notify",
    "a server that lives",
    async (probe) => {
      const wire = await probe.open();
      await wire.send(text("half", { claimedLength: 100n, lengthForm: 7 }));
      wire.close();
      const fault = await probe.findFaultOfEcho(await probe.open());
      return fault === undefined ? pass("it lives") : fail(fault);
    },
  ),
  {
    ...tlsCase(
      "tls-silent",
      "RFC 6455 §10",
      "SHOULD",
      "nothing on the TLS port (--silence-threshold)",
      "the end",
      async (probe) => {
        using client = await plain(probe);
        const { silenceMs } = probe.options.thresholds;
        const end = await client.end(silenceMs);
        return end.kind === "end" ? pass(`a ${end.how}`) : warn(`still open after ${silenceMs / 1000} s`);
      },
    ),
    class: "limit",
    isSlow: true,
  },
]);

function tlsCase(
  id: string,
  section: string,
  level: Case["level"],
  sends: string,
  right: string,
  run: Case["run"],
): Omit<Case, "group" | "class"> {
  return {
    id,
    section,
    level,
    sends,
    right,
    run: async (probe) => {
      needsTls(probe);
      return await run(probe);
    },
  };
}
