// An echo on npm `ws` for the benchmark: `node ws_server.mjs FOLDER_OF_WS [CERTIFICATE KEY]`.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createRequire } from "node:module";
import process from "node:process";

const [folder, cert, key] = process.argv.slice(2);
const { WebSocketServer } = createRequire(import.meta.url)(folder);
const http = cert === undefined
  ? createServer()
  : createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) });
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
http.listen(0, "127.0.0.1", () => console.log(`Listening on ws://127.0.0.1:${http.address().port}/ (ws)`));
