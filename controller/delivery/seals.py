"""The controller's side of what is signed for hubs and sealed for locks."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from controller.domain.ids import LockId, SiteId
from gateway.port import Downlink
from gateway.protocol import cose, sealing, wire
from gateway.protocol.messages import Ack, Command, Greeting, Lease, Manifest, Welcome
from gateway.protocol.topics import DownKind, Topic

Signed = Ack | Command | Greeting | Lease | Manifest | Welcome

_KINDS: dict[type[Signed], DownKind] = {
    Ack: DownKind.ACK,
    Command: DownKind.COMMAND,
    Greeting: DownKind.GREETING,
    Lease: DownKind.LEASE,
    Manifest: DownKind.MANIFEST,
    Welcome: DownKind.WELCOME,
}


def signed(hub_id: str, message: Signed, key: Ed25519PrivateKey) -> Downlink:
    """Return a message to a hub, signed for it and for its kind."""
    topic = Topic(hub_id=hub_id, kind=_KINDS[type(message)])
    data = cose.sign(wire.encode(message), key, cose.external_data(topic))
    return Downlink(hub_id=hub_id, kind=_KINDS[type(message)], data=data)


def all_signed(
    messages: Sequence[tuple[str, Signed]], key: Ed25519PrivateKey
) -> Sequence[Downlink]:
    """Return many of them; they belong into a thread."""
    return [signed(hub_id, message, key) for hub_id, message in messages]


def lock_seal_key(
    agreement: X25519PrivateKey, *, site_id: SiteId, lock_id: LockId, public_key: bytes, epoch: int
) -> bytes:
    """Return the key that only this lock and the controller know."""
    return sealing.seal_key(
        agreement,
        X25519PublicKey.from_public_bytes(public_key),
        site_id=bytes.fromhex(site_id),
        lock_id=bytes.fromhex(lock_id),
        epoch=epoch,
    )
