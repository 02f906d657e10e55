"""Transactions that break off, or tell how many statements they took."""

from typing import Any

from typing_extensions import override

from controller.db.engine import Session


class CutOffError(Exception):
    """The process is gone."""


class CutSession(Session):
    """A transaction that breaks off before its n-th statement."""

    def __init__(self, tx: Session, statements: int) -> None:
        super().__init__(tx._connection)
        self.left = statements

    @override
    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        if self.left == 0:
            raise CutOffError
        self.left -= 1
        return await super().execute(statement, parameters)
