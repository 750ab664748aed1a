// The yardstick of the benchmark, an echo on Deno's own WebSocket server and nothing else: `bare.ts [CERTIFICATE KEY]`.
const [cert, key] = Deno.args.map((path) => Deno.readTextFileSync(path));
const tls = cert === undefined || key === undefined ? {} : { cert, key };
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  socket.onmessage = ({ data }) => socket.send(data);
  return response;
});
console.log(`Listening on ws://127.0.0.1:${server.addr.port}/ (bare)`);
