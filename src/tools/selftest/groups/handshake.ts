// The opening handshake: what must be taken and what must be refused.

import { bytesOf, concat, text } from "../../raw_frame.ts";
import { acceptFor, KEY } from "../../client_handshake.ts";
import type { Case } from "../case.ts";
import { fail, info, pass, type Verdict, warn } from "../verdict.ts";
import { accepts, inGroup, refuses } from "../judge.ts";
import { type Answer, describeAnswer, describeArrival, type Probe } from "../probe.ts";

type Head = Answer & { kind: "head" };

/** The request head with the line that begins with `from` replaced, or left out if `to` is empty. */
function replaced(from: string, to: string): (probe: Probe) => string {
  return (probe) => {
    const lines = probe.head().split("\r\n");
    return lines.map((line) => line.startsWith(from) ? to : line).filter((line, i) =>
      line !== "" || i >= lines.length - 2
    )
      .join("\r\n");
  };
}

function added(...lines: readonly string[]): (probe: Probe) => string {
  return (probe) => probe.head(lines);
}

function chosen({ headers }: Head, name: string): string | undefined {
  return headers.get(name)?.join(", ");
}

function wantsVersionHeader({ headers, status }: Head): Verdict | undefined {
  return headers.has("sec-websocket-version")
    ? undefined
    : warn(`${status} without Sec-WebSocket-Version: 13`);
}

/** Warns of a 101 that has the header `name`. */
function choosesNothing(name: string, words: string): (head: Head) => Verdict | undefined {
  return (head) => {
    const value = chosen(head, name);
    return value === undefined ? undefined : warn(`${words} is chosen: ${value.slice(0, 60)}`);
  };
}

/** All cases about the opening handshake. */
export const HANDSHAKE_CASES: readonly Case[] = inGroup("handshake", [
  {
    id: "hs-accept",
    section: "RFC 6455 §4.2.2",
    level: "MUST",
    sends: "a valid handshake",
    right: "101 with Upgrade, Connection and the accept that answers the key",
    async run(probe) {
      const { answer } = await probe.ask(probe.head());
      if (answer.kind !== "head" || answer.status !== 101) return fail(describeAnswer(answer));
      const accept = chosen(answer, "sec-websocket-accept");
      if (accept !== await acceptFor(KEY)) return fail(`101 with the accept ${accept}`);
      const upgrade = chosen(answer, "upgrade")?.toLowerCase();
      const connection = chosen(answer, "connection")?.toLowerCase();
      return upgrade === "websocket" && /(^|,)\s*upgrade\s*(,|$)/.test(connection ?? "")
        ? pass("101")
        : fail(`101 with Upgrade ${upgrade} and Connection ${connection}`);
    },
  },
  accepts(
    {
      id: "hs-header-case",
      section: "RFC 9110 §5.1",
      level: "MUST",
      sends: "names and tokens in mixed case",
      right: "101",
    },
    (probe) =>
      probe.head().replace("Host:", "hOST:").replace("Upgrade: websocket", "UPGRADE: WebSocket").replace(
        "Connection: Upgrade",
        "connection: keep-alive, uPGRADE",
      ),
  ),
  {
    id: "hs-early-data",
    section: "RFC 6455 §4.1",
    level: "SHOULD",
    sends: "a message in the same segment as the handshake",
    right: "101, then the answer",
    async run(probe) {
      if (probe.manner.kind === "none") return info("not observable: the server answers no message");
      if (probe.options.token !== undefined) return info("not observable: a token comes first");
      const { answer, wire } = await probe.ask(concat(bytesOf(probe.head()), text(probe.options.send)));
      if (answer.kind !== "head" || answer.status !== 101) return warn(describeAnswer(answer));
      const arrival = await wire.next();
      return probe.isAnswer(arrival, probe.options.send)
        ? pass("101 and the answer")
        : warn(describeArrival(arrival));
    },
  },
  refuses({
    id: "hs-post",
    section: "RFC 6455 §4.2.1",
    level: "MUST",
    sends: "POST in place of GET",
    right: "a refusal",
  }, (probe) => probe.head().replace("GET", "POST")),
  refuses({
    id: "hs-http10",
    section: "RFC 6455 §4.2.1",
    level: "MUST",
    sends: "HTTP/1.0",
    right: "a refusal",
  }, (probe) => probe.head().replace("HTTP/1.1", "HTTP/1.0")),
  refuses(
    { id: "hs-no-host", section: "RFC 9112 §3.2", level: "MUST", sends: "no Host", right: "400" },
    replaced("Host:", ""),
  ),
  refuses(
    { id: "hs-two-hosts", section: "RFC 9112 §3.2", level: "MUST", sends: "two Hosts", right: "400" },
    (probe) => probe.head([`Host: ${probe.target.host}`]),
  ),
  refuses({
    id: "hs-no-version",
    section: "RFC 6455 §4.2.1",
    level: "MUST",
    sends: "no Sec-WebSocket-Version",
    right: "a refusal",
  }, replaced("Sec-WebSocket-Version:", "")),
  refuses(
    {
      id: "hs-version-99",
      section: "RFC 6455 §4.4",
      level: "MUST",
      sends: "Sec-WebSocket-Version: 99",
      right: "426 with Sec-WebSocket-Version: 13",
    },
    replaced("Sec-WebSocket-Version:", "Sec-WebSocket-Version: 99"),
    { check: wantsVersionHeader },
  ),
  refuses(
    {
      id: "hs-version-8",
      section: "RFC 6455 §4.4",
      level: "SHOULD",
      sends: "the version of a draft, 8",
      right: "426, or 101 if that draft is spoken",
    },
    replaced("Sec-WebSocket-Version:", "Sec-WebSocket-Version: 8"),
    { on101: "info" },
  ),
  refuses({
    id: "hs-no-key",
    section: "RFC 6455 §4.2.1",
    level: "MUST",
    sends: "no Sec-WebSocket-Key",
    right: "a refusal",
  }, replaced("Sec-WebSocket-Key:", "")),
  refuses({
    id: "hs-bad-key",
    section: "RFC 6455 §4.2.1",
    level: "MUST",
    sends: "a key of 3 bytes",
    right: "a refusal",
  }, replaced("Sec-WebSocket-Key:", "Sec-WebSocket-Key: AAAA")),
  refuses({
    id: "hs-two-keys",
    section: "RFC 6455 §11.3.1",
    level: "MUST",
    sends: "two keys",
    right: "a refusal",
  }, added("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")),
  refuses({
    id: "hs-no-upgrade",
    section: "RFC 6455 §4.2.1",
    level: "MUST",
    sends: "Connection: Upgrade without Upgrade",
    right: "a refusal",
  }, replaced("Upgrade:", "")),
  refuses(
    {
      id: "hs-bare-lf",
      section: "RFC 9112 §2.2",
      level: "SHOULD",
      sends: "lines that end in LF alone",
      right: "a refusal, or 101",
    },
    (probe) => probe.head().replaceAll("\r\n", "\n") + "\r\n\r\n",
    { on101: "info" },
  ),
  refuses(
    {
      id: "hs-obs-fold",
      section: "RFC 9112 §5.2",
      level: "MUST",
      sends: "a folded header line",
      right: "a refusal, or a space in place of the fold",
    },
    added("X-Fold: a", "\tb"),
    { on101: "info" },
  ),
  refuses({
    id: "hs-space-colon",
    section: "RFC 9112 §5.1",
    level: "MUST",
    sends: "a space before a colon",
    right: "400",
  }, added("X-Space : a")),
  refuses(
    {
      id: "hs-nul",
      section: "RFC 9110 §5.5",
      level: "MUST",
      sends: "NUL in a header",
      right: "a refusal, or a space in its place",
    },
    added("X-Nul: a\0b"),
    { on101: "warn" },
  ),
  refuses({
    id: "hs-te-and-cl",
    section: "RFC 9112 §6.1",
    level: "SHOULD",
    sends: "Transfer-Encoding with Content-Length",
    right: "a refusal",
  }, (probe) => probe.head(["Transfer-Encoding: chunked", "Content-Length: 5"]) + "0\r\n\r\n"),
  refuses({
    id: "hs-body",
    section: "RFC 9110 §7.8",
    level: "SHOULD",
    sends: "a body of 5 bytes",
    right: "a refusal",
  }, (probe) => probe.head(["Content-Length: 5"]) + "hello"),
  {
    id: "hs-crlf-reflection",
    section: "RFC 9112 §11.1",
    level: "MUST",
    sends: "encoded line breaks in the path, and odd names in lists",
    right: "no header of the sender's making in the answer",
    async run(probe) {
      const path = `${probe.target.path.split("?")[0]}?a=%0d%0aX-Injected:%20yes`;
      const { answer } = await probe.ask(probe.head(["Sec-WebSocket-Protocol: a%0d%0aX-Injected:yes"], path));
      if (answer.kind === "late") return fail("nothing in time");
      return answer.kind === "head" && answer.headers.has("x-injected")
        ? fail("the answer has the header X-Injected")
        : pass(describeAnswer(answer));
    },
  },
  {
    id: "hs-absolute-form",
    section: "RFC 9112 §3.2.2",
    level: "SHOULD",
    sends: "the whole URL as the request target",
    right: "101; a refusal is worth knowing, because no client sends this to a server",
    async run(probe) {
      const { path, host } = probe.target;
      const { answer } = await probe.ask(probe.head().replace(`GET ${path}`, `GET http://${host}${path}`));
      const observed = describeAnswer(answer);
      if (answer.kind !== "head" || answer.status >= 500) return fail(observed);
      return answer.status === 101 ? pass(observed) : info(observed);
    },
  },
  accepts({
    id: "hs-empty-list-elements",
    section: "RFC 9110 §5.6.1.2",
    level: "SHOULD",
    sends: "Connection: , Upgrade ,,",
    right: "101",
  }, replaced("Connection:", "Connection: , Upgrade ,,")),
  refuses(
    {
      id: "hs-plain-get",
      section: "RFC 9110 §15.5.22",
      level: "SHOULD",
      sends: "a GET without a word of WebSocket",
      right: "426, or a page",
    },
    (probe) => `GET ${probe.target.path} HTTP/1.1\r\nHost: ${probe.target.host}\r\n\r\n`,
    { check: ({ status }) => pass(String(status)) },
  ),
  accepts(
    {
      id: "hs-subprotocol-unknown",
      section: "RFC 6455 §4.2.2",
      level: "SHOULD",
      sends: "two subprotocols that nobody knows",
      right: "none is chosen",
    },
    added("Sec-WebSocket-Protocol: x-unknown-1, x-unknown-2"),
    choosesNothing("sec-websocket-protocol", "an unknown subprotocol"),
  ),
  {
    ...accepts({
      id: "hs-subprotocol-nospace",
      section: "RFC 9110 §5.6.1",
      level: "SHOULD",
      sends: "a list without spaces",
      right: "101, as with spaces",
    }, added("Sec-WebSocket-Protocol: x-unknown-1,x-unknown-2")),
  },
  notChosen(
    "hs-subprotocol-malformed",
    'Sec-WebSocket-Protocol: a b, ;;, "',
    "sec-websocket-protocol",
    "names that are none",
  ),
  notChosen(
    "hs-subprotocol-dup",
    "Sec-WebSocket-Protocol: x-a, x-a",
    "sec-websocket-protocol",
    "the same name twice",
  ),
  notChosen(
    "hs-ext-unknown",
    "Sec-WebSocket-Extensions: x-unknown; p=1",
    "sec-websocket-extensions",
    "an extension that nobody knows",
  ),
  notChosen(
    "hs-ext-malformed",
    'Sec-WebSocket-Extensions: ;;=, "',
    "sec-websocket-extensions",
    "a malformed list of extensions",
  ),
  refuses(
    {
      id: "hs-foreign-host",
      section: "RFC 9110 §7.4",
      level: "SHOULD",
      sends: "the Host of another site (DNS rebinding)",
      right: "421",
    },
    (probe) => probe.head().replace(/Host: .*/, "Host: rebinding.example"),
    { on101: "warn" },
  ),
  refuses(
    {
      id: "hs-path-unknown",
      section: "RFC 9110 §15.5.5",
      level: "SHOULD",
      sends: "a path that nobody uses",
      right: "404",
    },
    (probe) => probe.head([], "/wsward-selftest-no-such-path"),
    { on101: "warn" },
  ),
]);

/** A list that may be refused or ignored, but of which nothing may be chosen. */
function notChosen(id: string, line: string, name: string, sends: string): Omit<Case, "group" | "class"> {
  return {
    id,
    section: "RFC 6455 §4.2.2",
    level: "MUST",
    sends,
    right: "a refusal, or 101 that chooses none of it",
    async run(probe) {
      const { answer } = await probe.ask(probe.head([line]));
      const observed = describeAnswer(answer);
      if (answer.kind === "late" || (answer.kind === "head" && answer.status >= 500)) return fail(observed);
      const value = answer.kind === "head" ? chosen(answer, name) : undefined;
      if (value === undefined) return pass(observed);
      // Here a server may know the name that was offered; in the other cases there is none that it could know.
      return id === "hs-subprotocol-dup"
        ? warn(`${observed}, and ${value} is chosen`)
        : fail(`${observed}, and ${value} is chosen`);
    },
  };
}
