// A fake server's answers to the beginning of a connection.

import type { FakeRedisConnection } from "./fake_redis.ts";

const HELLO = "%1\r\n+proto\r\n:3\r\n";

/** Answers as Redis does to what begins a connection; `script` answers each EVALSHA and EVAL, or sends by itself. */
export async function greet(
  connection: FakeRedisConnection,
  script: (command: readonly string[]) => string | Uint8Array<ArrayBuffer> | undefined | Promise<undefined>,
): Promise<void> {
  for (
    let command = await connection.command();
    command !== undefined;
    command = await connection.command()
  ) {
    const [name] = command;
    if (name === "HELLO") await connection.send(HELLO);
    else if (name === "TIME") {
      const ms = Date.now();
      await connection.send(`*2\r\n+${Math.floor(ms / 1000)}\r\n+${ms % 1000 * 1000}\r\n`);
    } else if (name === "SUBSCRIBE") await connection.send(`>3\r\n+subscribe\r\n+${command[1]}\r\n:1\r\n`);
    else {
      const answer = await script(command);
      if (answer !== undefined) await connection.send(answer);
    }
  }
}
