"""Another program's way in: a socket in the state directory that takes lines and answers in JSON.

One line of the console in, one JSON object out: ``{"ok": true, "text": ..., "facts": {...}}`` or
``{"ok": false, "text": "what is wrong"}``.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from firmware_sim.console import Console, Quit, WordError

SOCKET_FILE: Final = "control.sock"
PATH_BYTES_MAX: Final = 107  # what the operating system allows
LINE_BYTES_MAX: Final = 4096


class SocketPathError(Exception):
    """The socket cannot be made; the text says what to do."""


@contextlib.asynccontextmanager
async def listening(console: Console, folder: Path) -> AsyncIterator[Path]:
    """Take lines for as long as the context lasts.

    Raises:
        SocketPathError: The state directory's path is too long for a socket.
    """
    path = folder / SOCKET_FILE
    if len(bytes(path)) > PATH_BYTES_MAX:
        raise SocketPathError(
            f"{path} is longer than {PATH_BYTES_MAX} bytes; choose a shorter --state"
        )
    path.unlink(missing_ok=True)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):  # gone, or a line too long
            async for line in reader:
                answer = await _answer(console, line.decode(errors="replace"))
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, path, limit=LINE_BYTES_MAX)
    path.chmod(0o600)
    try:
        yield path
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(console: Console, line: str) -> dict[str, object]:
    try:
        answer = await console.do(line)
    except WordError as error:
        return {"ok": False, "text": str(error)}
    except Quit:
        return {"ok": False, "text": "quit is for the prompt; stop the process instead"}
    return {"ok": True, "text": answer.text, "facts": answer.facts}
