// The Containerfile, without a container engine: its grammar, rules for safety, and its commands run on the program.

import assert from "node:assert/strict";
import { DockerfileParser } from "dockerfile-ast";
import { validate } from "dockerfile-utils";
import { readShipped, replaceOnce } from "../../support/deploy.ts";
import { Program, run } from "../../support/process.ts";
import { RawClient } from "../../support/raw_client.ts";

const TEXT = readShipped("Containerfile");
const EXECUTABLE = "/usr/local/bin/wsward";

/** The instructions of one kind, each with what stands behind its name and its flags. */
function find(keyword: string): string[] {
  return DockerfileParser.parse(TEXT).getInstructions().filter((one) => one.getKeyword() === keyword)
    .map((one) => one.getArgumentsContent() ?? "");
}

/** The only instruction of one kind. */
function only(keyword: string): string {
  const [content, ...more] = find(keyword);
  assert.ok(content !== undefined && more.length === 0, `${keyword} is there once`);
  return content;
}

/** The words of a command that is started without a shell. */
function words(command: string): string[] {
  return JSON.parse(command);
}

Deno.test("an engine understands every instruction of the Containerfile", () => {
  assert.deepEqual(validate(TEXT), []);
  const broken = replaceOnce(TEXT, {
    "HEALTHCHECK": "HEALTCHECK",
    "EXPOSE 8765": "EXPOSE port",
    "--chmod": "--chmd",
  });
  assert.equal(validate(broken).length, 3);
});

Deno.test("the container is small, not root by number, and is stopped by the signal that drains", () => {
  assert.match(only("FROM"), /\/debian:\d+-slim$/);
  const [user, group] = only("USER").split(":").map(Number);
  assert.ok(user! > 0 && group! > 0);
  // Nothing after it could be done as root, and nothing before it is left to be done as somebody else.
  const after = TEXT.slice(TEXT.indexOf("\nUSER "));
  assert.doesNotMatch(after, /^(RUN|COPY|ADD) /m);
  assert.equal(only("STOPSIGNAL"), "SIGTERM");
  assert.equal(only("EXPOSE"), "8765 8888 9091");
  assert.deepEqual([find("ADD"), find("ARG")], [[], []]);
  assert.match(only("RUN"), new RegExp(`--owner=${user} --group=${group} --mode=0700 ${only("WORKDIR")}$`));
  assert.equal(only("COPY"), `wsward ${EXECUTABLE}`);
  assert.match(TEXT, /^COPY --chmod=0755 /m);
});

Deno.test("the program serves as the container starts it, and the health check tells whether it does", async () => {
  const folder = Deno.makeTempDirSync();
  const assignments = find("ENV").flatMap((content) => content.replace(/\\\n/g, " ").trim().split(/\s+/));
  const env = Object.fromEntries(assignments.map((assignment) => assignment.split("=") as [string, string]));
  assert.equal(env.WSWARD_ADMIN_LISTEN, "127.0.0.1:9090");
  assert.equal(env.WSWARD_METRICS_LISTEN, "0.0.0.0:9091");
  // The executable unpacks itself there; Deno would look for its packages.
  assert.equal(env.HOME, only("WORKDIR"));
  delete env.HOME;
  // Free ports, and a folder of this machine.
  Object.assign(env, { WSWARD_ADMIN_LISTEN: "127.0.0.1:0", WSWARD_METRICS_LISTEN: "0.0.0.0:0" });
  Object.assign(env, { WSWARD_ECHO_PORT: "0", WSWARD_SECURE_PORT: "0" });
  env.WSWARD_STATE_FILE = env.WSWARD_STATE_FILE!.replace(only("WORKDIR"), folder);

  const [executable, ...start] = [...words(only("ENTRYPOINT")), ...words(only("CMD"))];
  assert.equal(executable, EXECUTABLE);
  await using program = new Program(start, { folder, env, permissions: [`--allow-read=${folder}`] });
  using client = await RawClient.connect({ port: await program.port("echo") });
  await client.sendText("hello");
  assert.equal(await client.nextText(), "Server received: hello");
  assert.match(program.stdout.text, /ws:\/\/0\.0\.0\.0:/);

  const [, metricsPort] = await program.printed(/Metrics on http:\/\/0\.0\.0\.0:(\d+)\/metrics\n/);
  // By another name, as Prometheus in another container does.
  const metrics = await fetch(`http://localhost:${metricsPort}/metrics`);
  assert.match(await metrics.text(), /^wsward_connections_open\{endpoint="echo"\} 1$/m);

  const [checker, ...args] = words(only("HEALTHCHECK").replace(/^CMD /, ""));
  assert.equal(checker, EXECUTABLE);
  const url = (await program.stdout.until(/Admin on (http:\/\/\S+\/)\n/))[1]!;
  const checkHealth = () => run(args, { env: { WSWARD_ADMIN_URL: url } });
  assert.equal((await checkHealth()).code, 0);
  client.close();
  program.signal(only("STOPSIGNAL") as Deno.Signal);
  assert.equal((await program.result()).code, 0);
  assert.equal((await checkHealth()).code, 1);
  await Deno.remove(folder, { recursive: true });
});
