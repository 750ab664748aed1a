// The yardstick of the benchmark: an echo on Deno's native WebSocket server with nothing around it.
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  socket.onmessage = ({ data }) => socket.send(data);
  return response;
});
console.log(`Listening on ws://127.0.0.1:${server.addr.port}/ (bare)`);
