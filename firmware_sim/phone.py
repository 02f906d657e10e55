"""A phone with a digital key: what it says to a lock."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.protocol import phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A key that never leaves the phone, and the newest document that the controller signed."""

    key: bytes  # Ed25519, private
    document: bytes = b""  # none yet

    @property
    def public_key(self) -> bytes:
        """What the phone registers at the controller."""
        return self._private.public_key().public_bytes_raw()

    def hello(self) -> phone.Hello:
        """Return how it begins at a lock."""
        return phone.Hello(document=self.document)

    def prove(self, challenge: phone.Challenge) -> phone.Proof:
        """Return its answer to a lock's challenge."""
        return phone.prove(challenge, self.document, self._private)

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.key)
