"""Which hardware there is: made once, kept in the state directory, found again at every start."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware_sim import files, provision
from firmware_sim.lock.state import LockIdentity
from firmware_sim.provision import Chance, QrCode, Sticker
from firmware_sim.runner import SimHub, SimLock
from gateway.protocol import claim

FLEET_FILE: Final = "fleet.json"
CODE_SYMBOLS: Final = 16  # 80 bits
SERIAL_BYTES: Final = 4
CAPACITY: Final = 360
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class FleetError(Exception):
    """The state directory cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockUnit:
    """A lock as it left the factory, and what the cloud calls it."""

    name: str
    serial: str
    code: str
    key: str  # X25519, private, hex
    capacity: int = CAPACITY
    lock_id: str | None = None  # None until registered

    @property
    def public_key(self) -> str:
        """What stands on the sticker, hex."""
        key = X25519PrivateKey.from_private_bytes(bytes.fromhex(self.key))
        return key.public_key().public_bytes_raw().hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class HubUnit:
    """A hub as it left the factory, its locks, and what the cloud calls it."""

    name: str
    serial: str
    code: str
    locks: tuple[LockUnit, ...]
    hub_id: str | None = None  # None until registered
    claim_url: str = ""
    ca_fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All hardware of one site."""

    site_id: str
    hubs: tuple[HubUnit, ...]


def made(site_id: str, *, hubs: int, locks: int, chance: Chance) -> Fleet:
    """Return new hardware. Hub 1 has the locks 1.1, 1.2 and so on."""
    return Fleet(
        site_id=site_id,
        hubs=tuple(
            HubUnit(
                name=f"{hub}",
                serial=_serial("IQ", chance),
                code=_code(chance),
                locks=tuple(
                    LockUnit(
                        name=f"{hub}.{lock}",
                        serial=_serial("LK", chance),
                        code=_code(chance),
                        key=chance.token_bytes(32).hex(),
                    )
                    for lock in range(1, locks + 1)
                ),
            )
            for hub in range(1, hubs + 1)
        ),
    )


def load(folder: Path) -> Fleet | None:
    """Return the hardware of a state directory, or None when it has none.

    Raises:
        FleetError: The file is not ours.
    """
    path = folder / FLEET_FILE
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text())
        hubs = tuple(
            HubUnit(**{**hub, "locks": tuple(LockUnit(**lock) for lock in hub["locks"])})
            for hub in raw["hubs"]
        )
        return Fleet(site_id=raw["site_id"], hubs=hubs)
    except (ValueError, TypeError, KeyError) as error:
        raise FleetError(f"{path} is damaged ({error}). Move it away and start anew.") from error


def save(folder: Path, fleet: Fleet) -> None:
    """Write the hardware down."""
    text = json.dumps(dataclasses.asdict(fleet), indent=2)
    files.write(folder / FLEET_FILE, text.encode())


async def switched_off(
    fleet: Fleet,
    *,
    folder: Path,
    session: aiohttp.ClientSession,
    chance: Chance,
    broker_port: int | None = None,
) -> list[SimHub]:
    """Return the devices of a registered fleet, claimed and without power.

    Args:
        broker_port: Where the broker listens now, if it has moved since the claims.

    Raises:
        ClaimRefusedError: A hub cannot be claimed.
    """
    hubs = []
    for unit in fleet.hubs:
        home = folder / "hubs" / unit.serial
        claimed = provision.load(home) or await provision.provision(
            Sticker(serial=unit.serial, activation_code=unit.code),
            QrCode(claim_url=unit.claim_url, ca_fingerprint=unit.ca_fingerprint),
            folder=home,
            session=session,
            chance=chance,
        )
        if broker_port is not None:
            claimed = dataclasses.replace(claimed, broker_port=broker_port)
        locks = [_lock(lock, folder=folder, chance=chance) for lock in unit.locks]
        hubs.append(SimHub(unit.name, claimed, locks, flash=home / "flash", chance=chance))
    return hubs


def _lock(unit: LockUnit, *, folder: Path, chance: Chance) -> SimLock:
    home = folder / "locks" / unit.serial
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = LockIdentity(
        serial=unit.serial,
        key=bytes.fromhex(unit.key),
        sticker_secret=claim.code_secret(unit.code),
        capacity=unit.capacity,
    )
    return SimLock(unit.name, identity, flash=home / "flash", chance=chance)


def _serial(kind: str, chance: Chance) -> str:
    return f"{kind}-{chance.token_bytes(SERIAL_BYTES).hex().upper()}"


def _code(chance: Chance) -> str:
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in chance.token_bytes(CODE_SYMBOLS))
