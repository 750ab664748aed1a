"""An echo on Python `websockets` for the benchmark."""

import asyncio

try:
    from websockets.asyncio.server import serve
except ImportError:  # before version 13
    from websockets import serve


async def echo(connection, _path=None):
    async for message in connection:
        await connection.send(message)


async def main():
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        sockets = getattr(server, "sockets", None) or server.server.sockets
        port = list(sockets)[0].getsockname()[1]
        print(f"Listening on ws://127.0.0.1:{port}/ (websockets)", flush=True)
        await asyncio.Future()


asyncio.run(main())
