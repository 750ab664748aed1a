// Another server, for a soak of wsward in front of it: Deno's own WebSocket, which answers as the echo endpoint does.
//
//   deno run --allow-net=127.0.0.1 scripts/soak/echo_server.ts

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`ws://127.0.0.1:${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(typeof data === "string" ? `Server received: ${data}` : data);
    }
  };
  return response;
});
