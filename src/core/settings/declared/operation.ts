// Settings: what operators see, the log, many nodes.

import { holdsCredentials, isRedisUrl } from "../../redis_text.ts";
import { isIpAddressAndPort, isLoopbackAddress, isPlainPath } from "../../network_text.ts";
import {
  choice,
  duration,
  integer,
  optionalPath,
  optionalText,
  path,
  type Setting,
  size,
  text,
  toggle,
} from "../setting_types.ts";

/** Administration, the log, many nodes, the process. */
export const OPERATION = {
  adminListen: optionalText({
    group: "Administration",
    placeholder: "address",
    help: "loopback address and port of the page, the metrics and the commands for administrators",
    accepts: isLoopbackAddress,
    rule: "a loopback address and a port, such as 127.0.0.1:9090 or [::1]:9090, because it speaks no TLS",
    unset: "off",
  }),
  adminScope: text({
    group: "Administration",
    help: "word that a token must have in its claim scope, or scp, to administer",
    // RFC 6749 §3.3.
    accepts: (given) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(given),
    rule: "a word of ASCII without quotes, spaces or backslashes",
    default: "wsward:admin",
  }),
  metricsListen: optionalText({
    group: "Administration",
    placeholder: "address",
    help:
      "address and port of /healthz, /readyz and /metrics alone, for probes and Prometheus on other machines",
    accepts: isIpAddressAndPort,
    rule: "an IP address and a port, such as 0.0.0.0:9091 or [::]:9091",
    unset: "off",
  }),
  metricsTokenFile: optionalPath({
    group: "Administration",
    help: "file with the bearer token that /metrics of --metrics-listen asks for; read again at SIGHUP",
    unset: "no token is asked for",
  }),
  healthPath: optionalText({
    group: "Administration",
    placeholder: "path",
    help: "path at which the public ports answer GET and HEAD: 200 when the server is ready, or 503",
    accepts: isPlainPath,
    rule: "a path without a query, such as /healthz",
    unset: "none",
  }),
  logFile: path({
    group: "Log",
    help: "file that errors are appended to; none for no file, ./none for one of that name",
    default: "websocket_errors.log",
  }),
  logLevel: choice({
    group: "Log",
    help: "least severe record that the terminal shows",
    choices: ["debug", "info", "warning", "error", "fatal"],
    aliases: { warn: "warning" },
    default: "info",
  }),
  logFormat: choice({
    group: "Log",
    help: "form of a record, on the terminal and in the file",
    choices: ["text", "json"],
    default: "text",
  }),
  readyLines: choice({
    group: "Log",
    help: "whether the addresses are printed on stdout when the server listens; auto: not with " +
      "--log-format json, whose first record has them",
    choices: ["auto", "on", "off"],
    default: "auto",
  }),
  logMaxSize: size({
    group: "Log",
    help: "size at which the file is renamed to FILE.1 and a new one begun",
    default: "10MiB",
    min: "4KiB",
    max: "1024GiB",
    word: "unlimited",
  }),
  logMaxFiles: integer({
    group: "Log",
    help: "how many full files are kept besides the current one: FILE.1 is the newest",
    default: "5",
    min: "1",
    max: "1000",
  }),
  logChain: toggle({
    group: "Log",
    help: "let each record of the file carry the SHA-256 of the one before; needs --log-format json",
    default: false,
  }),
  redis: optionalText({
    group: "Many nodes",
    placeholder: "url",
    help:
      "Redis or Valkey through which many processes and machines share sessions, used tokens, revocations and bans; " +
      "with a name or a password only in a variable or a file of settings",
    accepts: isRedisUrl,
    rule:
      "redis://host:port, rediss://host:port for TLS or unix:///path.sock, with name:password and an at sign after the // if it asks for them",
    refuseFlag: (given) =>
      holdsCredentials(given) ? "everybody on this machine sees the password in a flag" : undefined,
    unset: "none, this process is alone",
  }),
  redisPrefix: text({
    group: "Many nodes",
    help: "prefix of all keys in Redis; nodes with the same one belong together",
    accepts: (given) => /^[\w.-]{1,64}$/.test(given),
    rule: "1 to 64 letters, digits, dots, dashes or underscores",
    default: "wsward",
  }),
  redisTimeout: duration({
    group: "Many nodes",
    help: "how long Redis may take to answer; after that it counts as lost, and nobody waits for it",
    default: "250ms",
    min: "10ms",
    max: "5s",
  }),
  redisCa: optionalPath({
    group: "Many nodes",
    help: "certificate authority in PEM to trust besides the usual ones, for rediss; read again at SIGHUP",
    unset: "the usual ones",
  }),
  nodeName: optionalText({
    group: "Many nodes",
    placeholder: "name",
    help: "name of this node in lists and records",
    accepts: (given) => /^[\w.-]{1,64}$/.test(given),
    rule: "1 to 64 letters, digits, dots, dashes or underscores",
    unset: "node- and something random",
  }),
  onRedisLoss: choice({
    group: "Many nodes",
    help:
      "what happens to new sessions without Redis: local limits hold, or they are refused with 503 or 1013",
    choices: ["local", "refuse"],
    default: "local",
  }),
  reusePort: toggle({
    group: "Many nodes",
    help: "let several processes listen on the same ports, among which Linux divides new connections",
    default: false,
  }),
  runtimeDir: optionalPath({
    group: "Process",
    help: "folder for the private sockets",
    unset: "a fresh temporary folder",
  }),
} as const satisfies Record<string, Setting>;
