"""The controller's own secrets, in one file of ``<data>/keys``, and what is derived from them.

One file, written at one stroke: a crash at first start leaves all of them or none. Whoever has
the file can forge doors and vouchers, so nobody but its owner may read it; whoever loses it loses
all pins of hubs and locks, so it is never made a second time for data that exist.
"""

import contextlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from controller.domain.ids import SiteId
from controller.ports import Randomness

FILE_NAME: Final = "controller.json"
KEY_BYTES: Final = 32
SIV_KEY_BYTES: Final = 64
NAMES: Final = ("master", "voucher_pepper", "signing", "agreement")
OTHERS_MAY: Final = stat.S_IRWXG | stat.S_IRWXO


class KeysError(Exception):
    """The secrets cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Keys:
    """Every secret that the controller itself holds."""

    master: bytes
    voucher_pepper: bytes
    signing: Ed25519PrivateKey  # leases, manifests, commands, answers
    agreement: X25519PrivateKey  # what is sealed for a hub or a lock

    def tag_key(self, site_id: SiteId) -> bytes:
        """Return the key under which a site's tag numbers are digested."""
        return self._derived("tag", KEY_BYTES, bytes.fromhex(site_id))

    @property
    def idempotency_key(self) -> bytes:
        """Return the key under which remembered answers are kept."""
        return self._derived("idempotency", KEY_BYTES)

    def seal_claim_secret(self, secret: bytes, *, serial: str) -> bytes:
        """Return the secret of a hub's sticker as the database may hold it."""
        return self._claim_box().encrypt(secret, [serial.encode()])

    def unseal_claim_secret(self, sealed: bytes, *, serial: str) -> bytes:
        """Return the secret of a hub's sticker.

        Raises:
            KeysError: It was sealed under another master key, or for another hub.
        """
        try:
            return self._claim_box().decrypt(sealed, [serial.encode()])
        except InvalidTag as error:
            raise KeysError("a claim secret was sealed under another master key") from error

    def _claim_box(self) -> AESSIV:
        return AESSIV(self._derived("claim secret", SIV_KEY_BYTES))

    def _derived(self, purpose: str, length: int, context: bytes = b"") -> bytes:
        info = f"doorward controller {purpose}\n".encode() + context
        return HKDF(hashes.SHA256(), length, salt=None, info=info).derive(self.master)


def load(folder: Path, randomness: Randomness, *, first_start: bool) -> Keys:
    """Return the secrets of an installation.

    Args:
        folder: ``<data>/keys``; made if it is missing.
        randomness: Where new secrets come from.
        first_start: There are no data yet that need the old secrets, so new ones may be made.

    Raises:
        KeysError: The file is missing, damaged, or readable by others.
    """
    path = folder / FILE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if first_start and not path.exists():
            _make(path, randomness)
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS_MAY:
                raise KeysError(
                    f"{path} can be read by others than its owner, so its secrets may be known; "
                    f"run: chmod 600 {path}"
                )
            return _parse(path, file.read())
    except FileNotFoundError as error:
        raise KeysError(
            f"{path} is missing, and the data need the secrets in it; restore it from the backup"
        ) from error
    except OSError as error:
        raise KeysError(f"{path} cannot be used ({error.strerror})") from error


def _make(path: Path, randomness: Randomness) -> None:
    secrets = {name: randomness.token_bytes(KEY_BYTES).hex() for name in NAMES}
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()  # of a process that was killed here
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(secrets, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable too, before anything is sealed under what it holds."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse(path: Path, content: bytes) -> Keys:
    try:
        secrets = {name: bytes.fromhex(text) for name, text in json.loads(content).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    if set(secrets) != set(NAMES) or {len(secret) for secret in secrets.values()} != {KEY_BYTES}:
        raise _damaged(path)
    return Keys(
        master=secrets["master"],
        voucher_pepper=secrets["voucher_pepper"],
        signing=Ed25519PrivateKey.from_private_bytes(secrets["signing"]),
        agreement=X25519PrivateKey.from_private_bytes(secrets["agreement"]),
    )


def _damaged(path: Path) -> KeysError:
    return KeysError(f"{path} is damaged; restore it from the backup")
