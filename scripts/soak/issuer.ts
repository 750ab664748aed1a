// An issuer that answers well once, and then in a hostile way. Prints its address.
//
//   deno run --allow-net=127.0.0.1 scripts/soak/issuer.ts slow|drip|hint KEY_SET, as JSON

const [kind, keySet = ""] = Deno.args;
const encoder = new TextEncoder();
const good = encoder.encode(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${keySet.length}\r\nConnection: close\r\n\r\n${keySet}`,
);
const hints = encoder.encode("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(100));
const chunked = encoder.encode("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
const chunks = encoder.encode("1\r\n \r\n".repeat(100));

let isGood = true;

async function answer(conn: Deno.TcpConn): Promise<void> {
  await conn.read(new Uint8Array(4096));
  if (isGood) {
    isGood = false;
    await conn.write(good);
    return conn.close();
  }
  if (kind === "slow") return;
  if (kind === "drip") await conn.write(chunked);
  for (;;) await conn.write(kind === "drip" ? chunks : hints);
}

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(`http://127.0.0.1:${listener.addr.port}/keys`);
for (;;) {
  const conn = await listener.accept();
  // The server gives up sooner or later.
  answer(conn).catch(() => {});
}
