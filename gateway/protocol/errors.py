"""The one error of the wire language."""


class ProtocolError(ValueError):
    """What arrived is not the wire language of Doorward; the text says what is wrong with it."""
