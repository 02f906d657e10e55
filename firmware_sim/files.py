"""Files that are there whole or not at all, and for nobody else to read."""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Replace a file's content; after a power cut it is the old or the new."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
