"""What can be wrong with a typed code or a product.

    VoucherError
    ├── CodeError            the text is not a voucher code; found before any look-up
    │   ├── WrongLength
    │   ├── WrongSymbol
    │   └── WrongCheckSymbol
    └── ProductError         a product that must not be minted

Each carries a text for a person, a ``code`` for a machine and the facts, and never the code itself.
"""

from typing import ClassVar


class VoucherError(ValueError):
    """Input that cannot become a voucher code or a product."""

    code: ClassVar[str] = "invalid_voucher"

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class CodeError(VoucherError):
    """The text is not a voucher code."""

    code = "invalid_voucher_code"


class WrongLength(CodeError):
    """The text has too few or too many symbols."""

    code = "voucher_code_length"


class WrongSymbol(CodeError):
    """The text has a symbol that no code contains."""

    code = "voucher_code_symbol"


class WrongCheckSymbol(CodeError):
    """Every symbol is possible, but together they are no code: a slip of the pen."""

    code = "voucher_code_check"


class ProductError(VoucherError):
    """A product with a value out of its bounds; ``field`` names it."""

    code = "invalid_product"

    def __init__(self, message: str, *, field: str, **facts: object) -> None:
        super().__init__(message, field=field, **facts)
        self.field = field
