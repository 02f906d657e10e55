"""How a newer access state comes: manifest, sections one by one, then one switch."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from firmware_sim.hub import locks, tables, uplink
from firmware_sim.hub.state import Access, HubIdentity, HubState, Piece, Pull
from firmware_sim.outputs import FlashDelete, FlashWrite
from firmware_sim.schedule import zone_named
from firmware_sim.turn import Turn
from gateway.protocol import sections, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import (
    SECTIONS_IN_FLIGHT_MAX,
    Ask,
    Manifest,
    Root,
    SectionKind,
)
from gateway.protocol.topics import UpKind

MANIFEST_KEY: Final = "manifest"
SECTION_PREFIX: Final = "section/"
ASK_AGAIN_S_MIN: Final = 5.0
ASK_AGAIN_S_MAX: Final = 60.0
NOTHING: Final = Access(pieces={}, tables=tables.EMPTY)


def take_manifest(turn: Turn[HubState], payload: bytes) -> None:
    """Begin to fetch a newer state; its signature has been verified.

    The same revision cut into other sections replaces an unfinished pull: of a controller that
    compiles otherwise since its upgrade nobody gets the sections of before.

    Raises:
        ProtocolError: It is no manifest, or somebody else's.
    """
    state = turn.state
    manifest = wire.decode(Manifest, payload)
    check(manifest, state.identity)
    fetched = state.pull.manifest if state.pull is not None else None
    newest = fetched or state.access
    place, held = (manifest.epoch, manifest.revision), (newest.epoch, newest.revision)
    is_recut = place == held and fetched is not None and fetched != manifest
    if state.subscribed and (place > held or is_recut):
        begin(turn, manifest, payload)


def check(manifest: Manifest, identity: HubIdentity) -> None:
    """Pass a manifest of this hub.

    Raises:
        ProtocolError: It is another's.
    """
    if (manifest.hub_id, manifest.site_id) != (identity.hub_id, identity.site_id):
        raise ProtocolError("manifest: for another hub or site")


def begin(turn: Turn[HubState], manifest: Manifest, payload: bytes) -> None:
    """Fetch what is missing of a state, or switch to it if nothing is."""
    given_up = turn.state.pull
    pull = Pull(
        manifest=manifest,
        payload=payload,
        missing=tuple(_missing(manifest.roots, turn.state.sections)),
        pieces=given_up.pieces if given_up is not None else {},
        pause_s=ASK_AGAIN_S_MIN,
    )
    turn.state = replace(turn.state, pull=pull)
    _go_on(turn)


def take_section(turn: Turn[HubState], data: bytes) -> None:
    """Keep a section that is missing; it is known by its hash, whoever sent it.

    Raises:
        ProtocolError: It is not of the kind that the manifest says.
    """
    pull = turn.state.pull
    name = hashlib.sha256(data).digest()
    if pull is None or name not in pull.asked:
        return
    (root, *_) = [root for root in pull.missing if root.hash == name]
    piece = _piece(root, data)
    turn.emit(FlashWrite(key=section_key(name), data=data))
    turn.state = replace(turn.state, sections={**turn.state.sections, name: data})
    missing = tuple(each for each in pull.missing if each.hash != name)
    if root.kind is SectionKind.INDEX:
        missing += tuple(_missing(_leaves(piece.items), turn.state.sections))
    pull = replace(
        pull,
        missing=missing,
        pieces={**pull.pieces, name: piece},
        asked=pull.asked - {name},
        pause_s=ASK_AGAIN_S_MIN,
    )
    turn.state = replace(turn.state, pull=pull)
    _go_on(turn)


def ask_again(turn: Turn[HubState], *, now: bool = False) -> None:
    """Ask once more for what has not come, ever more slowly."""
    pull = turn.state.pull
    if pull is None or not turn.state.uplink.connected:
        return
    if now or turn.instant.mono_s >= pull.again_s:
        pause_s = min(ASK_AGAIN_S_MAX, 2 * pull.pause_s)
        pull = replace(pull, asked=frozenset(), pause_s=pause_s)
        turn.state = replace(turn.state, pull=pull)
        _ask(turn, pull)


def read(
    manifest: Manifest, held: Mapping[bytes, bytes], known: Mapping[bytes, Piece]
) -> Access | None:
    """Return the state that a manifest names, or None while a section is missing.

    Args:
        manifest: What to read.
        held: Sections by hash.
        known: Pieces that need not be read anew.

    Raises:
        ProtocolError: A section is not of the kind that is said of it.
    """
    pieces: dict[bytes, Piece] = {}
    roots = list(manifest.roots)
    for root in roots:
        if root.hash not in held:
            return None
        piece = known.get(root.hash) or _piece(root, held[root.hash])
        pieces[root.hash] = piece
        if root.kind is SectionKind.INDEX:
            roots.extend(_leaves(piece.items))
    return Access(
        epoch=manifest.epoch,
        revision=manifest.revision,
        zone=zone_named(manifest.time_zone),
        pieces=pieces,
        tables=tables.join(
            (piece.holders for piece in pieces.values()),
            (item for piece in pieces.values() for item in piece.items),
        ),
    )


def restored(flash: Mapping[str, bytes]) -> Mapping[bytes, bytes]:
    """Return the sections that flash holds, by what they really hash to."""
    held = (data for key, data in flash.items() if key.startswith(SECTION_PREFIX))
    return {hashlib.sha256(data).digest(): data for data in held}


def section_key(name: bytes) -> str:
    """Return where a section lies in flash."""
    return f"{SECTION_PREFIX}{name.hex()}"


def _piece(root: Root, data: bytes) -> Piece:
    """Read a section.

    Raises:
        ProtocolError: It is not of the kind that is said of it.
    """
    items = sections.read(root.kind, data)
    if root.kind is SectionKind.PEOPLE:
        return Piece(root=root, data=data, items=(), holders=tables.holders_of(items))
    return Piece(root=root, data=data, items=items, holders={})


def _go_on(turn: Turn[HubState]) -> None:
    pull = turn.state.pull
    assert pull is not None, "somebody has begun"
    if pull.missing:
        _ask(turn, pull)
        return
    known = {**turn.state.access.pieces, **pull.pieces}
    access = read(pull.manifest, turn.state.sections, known)
    assert access is not None, "nothing is missing"
    _switch(turn, access, pull.payload)


def _ask(turn: Turn[HubState], pull: Pull) -> None:
    """Ask for as many more as may be on their way at once."""
    room = SECTIONS_IN_FLIGHT_MAX - len(pull.asked)
    wanted = dict.fromkeys(root.hash for root in pull.missing if root.hash not in pull.asked)
    more = tuple(wanted)[:room]
    if not more or not turn.state.uplink.connected:
        return
    ask = Ask(revision=pull.manifest.revision, hashes=more)
    turn.emit(uplink.signed(turn.state, UpKind.ASK, ask))
    again_s = turn.instant.mono_s + pull.pause_s
    pull = replace(pull, asked=pull.asked | set(more), again_s=again_s)
    turn.state = replace(turn.state, pull=pull)


def _switch(turn: Turn[HubState], access: Access, payload: bytes) -> None:
    """Let the new state serve. The one write of the manifest is the switch; the rest tidies up."""
    state = turn.state
    turn.emit(FlashWrite(key=MANIFEST_KEY, data=payload))
    unused = state.sections.keys() - access.pieces.keys()
    turn.emit(*(FlashDelete(key=section_key(name)) for name in unused))
    kept = {name: data for name, data in state.sections.items() if name in access.pieces}
    turn.state = replace(
        state,
        sections=kept,
        access=access,
        pull=None,
        locks=locks.links_of(state.identity, access, state.locks, {}),
    )
    for lock_id in turn.state.locks:
        locks.configure(turn, lock_id)
    locks.heartbeat(turn)


def _missing(roots: Iterable[Root], held: Mapping[bytes, bytes]) -> Iterable[Root]:
    """Yield what is not held, of these roots and of what they name."""
    for root in roots:
        if root.hash not in held:
            yield root
        elif root.kind is SectionKind.INDEX:
            items = sections.read(root.kind, held[root.hash])
            yield from _missing(_leaves(items), held)


def _leaves(items: Iterable[sections.Item]) -> tuple[Root, ...]:
    """Return what an index section names; no index names another.

    Raises:
        ProtocolError: It does.
    """
    roots = tuple(item for item in items if isinstance(item, Root))
    if any(root.kind is SectionKind.INDEX for root in roots):
        raise ProtocolError("index section: it names another index")
    return roots
