// An echo on npm `ws` for the benchmark: `node ws_server.mjs FOLDER_OF_WS`.
import { createRequire } from "node:module";
import process from "node:process";

const { WebSocketServer } = createRequire(import.meta.url)(process.argv[2]);
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.on("listening", () => console.log(`Listening on ws://127.0.0.1:${server.address().port}/ (ws)`));
