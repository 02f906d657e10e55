"""The controller's own secrets."""

import json
import stat
from pathlib import Path

import pytest

from controller.chance import SystemRandomness
from controller.domain.ids import SiteId
from controller.keys import FILE_NAME, Keys, KeysError, load

SITE = SiteId("0" * 31 + "1")
OTHER_SITE = SiteId("0" * 31 + "2")


def first(folder: Path) -> Keys:
    """Load the secrets of a new installation."""
    return load(folder, SystemRandomness(), first_start=True)


def again(folder: Path) -> Keys:
    """Load the secrets of one that has data."""
    return load(folder, SystemRandomness(), first_start=False)


def test_a_second_start_finds_the_same_secrets(tmp_path: Path) -> None:
    """Everything derived is the same after a restart."""
    made = first(tmp_path / "keys")

    found = again(tmp_path / "keys")

    assert found.tag_key(SITE) == made.tag_key(SITE)
    assert found.idempotency_key == made.idempotency_key
    assert found.voucher_pepper == made.voucher_pepper
    assert found.signing.private_bytes_raw() == made.signing.private_bytes_raw()
    assert found.agreement.private_bytes_raw() == made.agreement.private_bytes_raw()


def test_a_start_that_was_killed_before_there_were_data_goes_on(tmp_path: Path) -> None:
    """A first start repeated keeps what the one before had made."""
    assert first(tmp_path).master == first(tmp_path).master


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    """The file is made for its owner alone."""
    first(tmp_path)

    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """The refusal names the command that mends it."""
    first(tmp_path)
    (tmp_path / FILE_NAME).chmod(mode)

    with pytest.raises(KeysError, match="chmod 600"):
        again(tmp_path)


def test_secrets_are_not_made_anew_for_data_that_exist(tmp_path: Path) -> None:
    """A lost file is an error, since all pins and codes hang on it."""
    with pytest.raises(KeysError, match="backup"):
        again(tmp_path)

    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"master": 1}', b"\xff\xfe"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing half is read, and nothing is overwritten."""
    first(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(content)

    with pytest.raises(KeysError, match="damaged"):
        first(tmp_path)

    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_a_secret_of_another_length_is_refused(tmp_path: Path) -> None:
    """A cut secret is noticed at start."""
    first(tmp_path)
    secrets = json.loads((tmp_path / FILE_NAME).read_text())
    secrets["master"] = secrets["master"][:-2]
    (tmp_path / FILE_NAME).write_text(json.dumps(secrets))

    with pytest.raises(KeysError, match="damaged"):
        again(tmp_path)


def test_derived_keys_differ(tmp_path: Path) -> None:
    """No two purposes and no two sites share a key."""
    keys = first(tmp_path)

    derived = {keys.tag_key(SITE), keys.tag_key(OTHER_SITE), keys.idempotency_key, keys.master}

    assert len(derived) == 4


def test_a_claim_secret_comes_back_for_its_hub_only(tmp_path: Path) -> None:
    """What the database holds is no secret, and cannot be moved to another hub's row."""
    keys = first(tmp_path)
    sealed = keys.seal_claim_secret(b"s" * 32, serial="IQ-1")

    assert b"s" * 8 not in sealed
    assert len(sealed) <= 100
    assert keys.unseal_claim_secret(sealed, serial="IQ-1") == b"s" * 32
    with pytest.raises(KeysError):
        keys.unseal_claim_secret(sealed, serial="IQ-2")


def test_secrets_do_not_show_in_logs(tmp_path: Path) -> None:
    """The text of the value names no secret."""
    keys = first(tmp_path)

    assert keys.master.hex() not in repr(keys)
    assert str(keys.master) not in repr(keys)
