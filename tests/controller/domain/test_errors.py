"""Every refusal has a code of its own."""

import pkgutil
from collections import Counter
from importlib import import_module

import controller.domain
from controller.domain.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    NoValidSubscription,
    Refused,
    TooMany,
)
from vouchers.errors import VoucherError

KINDS = (Invalid, Refused, Conflict, NotFound, Forbidden, NoValidSubscription, TooMany)


def descendants(of: type[Exception]) -> set[type[Exception]]:
    """A class's subclasses at every depth."""
    return {deeper for cls in of.__subclasses__() for deeper in ({cls} | descendants(cls))}


def refusals() -> list[type[DomainError] | type[VoucherError]]:
    """Every refusal of the rules and of vouchers."""
    for module in pkgutil.iter_modules(controller.domain.__path__, "controller.domain."):
        import_module(module.name)
    classes = descendants(DomainError) | descendants(VoucherError)
    return [
        cls
        for cls in classes
        if cls.__module__.startswith(("controller.domain.", "vouchers."))
        and issubclass(cls, DomainError | VoucherError)
    ]


def test_codes_are_unique_and_readable() -> None:
    """A machine can tell any two refusals apart."""
    codes = Counter(cls.code for cls in refusals())

    assert [code for code, count in codes.items() if count > 1] == []
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


def test_every_refusal_is_of_a_kind() -> None:
    """So that each has an HTTP status."""
    assert all(issubclass(cls, (*KINDS, VoucherError)) for cls in refusals())


def test_a_refusal_carries_text_and_facts() -> None:
    """The text is for people, the facts are for machines."""
    refusal = NotFound("There is no such lock.", lock_id="abc")

    assert str(refusal) == refusal.message == "There is no such lock."
    assert refusal.facts == {"lock_id": "abc"}
