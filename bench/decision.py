"""A hub that knows 50,000 people: how soon it answers a lock, and how soon it takes an edit.

The firmware's own step functions, fed with signed messages and sealed frames as they come from
controller and locks; no broker, no radio and no disk.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from bench.crowd import DEVICE_KEY, HUB_ID, NOW_S, Site
from bench.report import Line, percentile
from firmware_sim.hub.decision import decide
from firmware_sim.hub.state import HubState
from firmware_sim.hub.step import boot, step
from firmware_sim.inputs import Connected, HubInput, RadioHeard, Received
from firmware_sim.instant import Instant
from firmware_sim.outputs import FlashDelete, FlashWrite, Output, Publish, RadioSend
from gateway.protocol import cose, wire
from gateway.protocol.messages import Ask, Status, Welcome
from gateway.protocol.topics import DownKind, Topic, UpKind

P99_MS_MAX: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done."""

    people: int = 50_000
    asks: int = 5_000
    edits: int = 20
    rounds: int = 3


async def measure(_folder: Path, size: Size) -> list[Line]:
    """Return what decisions and edits take; nothing here waits for anything."""
    site = Site(size.people)
    building = _Building(site)
    building.start()
    lines = [*_asked(building, size), *_edited(building, size)]
    instant = building.instant()
    started = time.perf_counter()
    state, _ = boot(site.identity, building.flash, instant)
    took_ms = (time.perf_counter() - started) * 1000
    assert len(state.access.tables.holders) == size.people
    return [
        *lines,
        Line(what="slowest step while all of it came", rounds=building.fetching_ms, unit="ms"),
        Line(what="start from flash", rounds=[took_ms], unit="ms"),
    ]


def _asked(building: "_Building", size: Size) -> Iterator[Line]:
    """Measure decisions, alone and from frame to frame."""
    site, alone_ms, whole_ms, sealing_ms = building.site, [], [], []
    access = building.state.access
    for number in range(size.rounds):
        asks = [site.ask(number * size.asks + one) for one in range(size.asks)]
        alone_ms.append(
            [
                _took(decide, access.tables, digest, lock_id, at_s=NOW_S + each, zone=access.zone)[
                    0
                ]
                for each, (digest, lock_id, _) in enumerate(asks)
            ]
        )
        whole_ms.append([building.take(RadioHeard(data=data)) for _, _, data in asks])
        sealing_ms.append([_sealing_alone(data) for _, _, data in asks])
    count = size.rounds * size.asks
    limit = percentile([one for some in sealing_ms for one in some], 0.5)
    yield _line(f"decide alone, p50 of {count:,}", 0.5, alone_ms)
    yield _line("decide alone, p99", 0.99, alone_ms, bar=P99_MS_MAX)
    yield replace(
        _line("ASK to ANSWER, p50", 0.5, whole_ms),
        limit=limit,
        limit_is="opening and sealing the two frames",
    )
    yield _line("ASK to ANSWER, p99", 0.99, whole_ms, bar=P99_MS_MAX)


def _edited(building: "_Building", size: Size) -> Iterator[Line]:
    """Measure how the hub takes a change of one person."""
    whole_ms, switch_ms = [], []
    for number in range(size.rounds):
        steps = [building.edit(number * size.edits + one) for one in range(size.edits)]
        whole_ms.append([sum(each) for each in steps])
        switch_ms.append([each[-1] for each in steps])
    yield _line("one person edited, all steps, p50", 0.5, whole_ms)
    yield _line("the step that switches, p50", 0.5, switch_ms)
    yield _line("the step that switches, p99", 0.99, switch_ms)


def _line(what: str, share: float, rounds: list[list[float]], bar: float | None = None) -> Line:
    return Line(what=what, rounds=[percentile(each, share) for each in rounds], unit="ms", bar=bar)


def _took(work: Callable[..., Any], *arguments: Any, **more: Any) -> tuple[float, Any]:
    """Return how many milliseconds something took, and its result."""
    started = time.perf_counter()
    result = work(*arguments, **more)
    return (time.perf_counter() - started) * 1000, result


def _sealing_alone(ask: bytes) -> float:
    """Return how long AES-SIV alone takes over a question and an answer."""
    cipher, body = AESSIV(bytes(range(64))), ask[-60:]
    sealed = cipher.encrypt(body, [b"frame ASK"])
    started = time.perf_counter()
    AESSIV(bytes(range(64))).decrypt(sealed, [b"frame ASK"])
    AESSIV(bytes(range(64))).encrypt(body, [b"frame ANSWER"])
    return (time.perf_counter() - started) * 1000


@dataclass
class _Building:
    """The hub, and everything that answers it."""

    site: Site
    flash: dict[str, bytes] = field(default_factory=dict)
    fetching_ms: Sequence[float] = ()
    _served: dict[bytes, bytes] = field(default_factory=dict)
    _state: HubState | None = None
    _mono_s: float = 1000.0
    _said: list[Publish] = field(default_factory=list)
    _answered: bool = False

    @property
    def state(self) -> HubState:
        """The hub; it has power."""
        assert self._state is not None
        return self._state

    def instant(self) -> Instant:
        """Return an instant a little later."""
        self._mono_s += 0.001
        entropy = hashlib.sha256(str(self._mono_s).encode()).digest()
        return Instant(mono_s=self._mono_s, entropy=entropy)

    def start(self) -> None:
        """Bring the hub up to its first access state."""
        self._state, outputs = boot(self.site.identity, {}, self.instant())
        self._do(outputs)
        self.take(Connected())
        self.take(self._welcome())
        self.take(self.site.lease())
        manifest, self._served = self.site.published()
        self.fetching_ms = [max(self._fetch(manifest)[:-1])]

    def edit(self, number: int) -> list[float]:
        """Let an edit of one person come; return what each step took, the switch last."""
        self.site.block(number)
        manifest, self._served = self.site.published()
        return self._fetch(manifest)

    def take(self, event: HubInput) -> float:
        """Let something happen; return the milliseconds that the firmware took."""
        took_ms, (self._state, outputs) = _took(step, self.state, event, self.instant())
        self._do(outputs)
        if isinstance(event, RadioHeard):
            assert self._answered, "every question gets an answer"
        return float(took_ms)

    def _fetch(self, manifest: Received) -> list[float]:
        """Serve a manifest and its sections until the hub has switched."""
        self._said.clear()
        took_ms = [self.take(manifest)]
        while self.state.access.revision < self.site.revision:
            asked = [_heard(each, Ask).hashes for each in self._said if each.kind is UpKind.ASK]
            self._said.clear()
            for name in (name for names in asked for name in names):
                section = Received(kind=DownKind.SECTION, payload=self._served[name])
                took_ms.append(self.take(section))
        return took_ms

    def _welcome(self) -> Received:
        (hello,) = (each for each in self._said if each.kind is UpKind.HELLO)
        welcome = Welcome(
            nonce=_heard(hello, Status).nonce,
            epoch=1,
            lease_number=1,
            revision=1,
            calendar_ms=NOW_S * 1000,
            speed=1,
            utc_ms=NOW_S * 1000,
        )
        return self.site.signed(DownKind.WELCOME, welcome)

    def _do(self, outputs: Sequence[Output]) -> None:
        self._answered = False
        for output in outputs:
            match output:
                case FlashWrite():
                    self.flash[output.key] = output.data
                case FlashDelete():
                    self.flash.pop(output.key, None)
                case Publish():
                    self._said.append(output)
                case RadioSend():
                    self._answered = True
                case _:
                    continue


def _heard(publish: Publish, kind: type[wire.M]) -> wire.M:
    key = Ed25519PrivateKey.from_private_bytes(DEVICE_KEY).public_key()
    external = cose.external_data(Topic(hub_id=HUB_ID.hex(), kind=publish.kind))
    return wire.decode(kind, cose.verify(publish.payload, [key], external))
