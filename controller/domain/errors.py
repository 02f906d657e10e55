"""Every refusal of the rules, by kind.

    DomainError
    ├── Invalid              the input cannot be right, whatever the state (HTTP 422)
    ├── Refused              the input is right, the present state forbids it (409)
    │   └── Conflict         somebody else changed the state first; read again (409)
    │       └── Stale        an edit was made from an older version (412)
    ├── NotFound             no such object, or none of the caller's (404)
    ├── Forbidden            the caller lacks the right (403)
    ├── NoValidSubscription  the site's subscription does not run (403)
    └── TooMany              more often than is allowed (429)

A refusal carries a text for a person, which names field and remedy, a ``code`` for a machine and
the facts. A rule with a refusal of its own makes a subclass next to the rule. The table from
kind to status stands in web/problems.py; the domain knows no HTTP.
"""

from typing import ClassVar, Self


class DomainError(Exception):
    """A refusal. Only its kinds are raised."""

    code: ClassVar[str] = "refused"

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts: dict[str, object] = facts


class Invalid(DomainError):
    """The input cannot be right, whatever the state."""

    code = "invalid"


class Refused(DomainError):
    """The present state forbids what the input asks."""

    code = "refused"


class Conflict(Refused):
    """Somebody else changed the state first; reading again helps."""

    code = "conflict"


class Stale(Conflict):
    """An edit was made from a version that is no longer the newest."""

    code = "stale"

    @classmethod
    def of(cls, what: str) -> Self:
        """Return the refusal of an edit of a ``what``, such as ``access_group``."""
        text = f"The {what.replace('_', ' ')} was changed meanwhile; read it again."
        return cls(text, object=what)


class NotFound(DomainError):
    """There is no such object, or none that the caller may know of."""

    code = "not_found"


class Forbidden(DomainError):
    """The caller may not do this."""

    code = "forbidden"


class NoValidSubscription(DomainError):
    """The site's subscription does not run."""

    code = "no_valid_subscription"


class TooMany(DomainError):
    """The caller does this more often than is allowed."""

    code = "too_many_requests"
