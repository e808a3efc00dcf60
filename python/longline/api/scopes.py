"""What an API key may do: a set of scopes, and which of them a route asks for.

`read` looks at everything of the account. `calls` places calls and acts on live ones, and has webhooks sent again.
`admin` changes what stays (trunks, access lists, apps, numbers, secrets), and includes the other two. A route is asked
for `read` when it is a GET, for `calls` when its tag is one of `_OF_CALLS`, else for `admin`: what is new is shut until
somebody says otherwise.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final


class Scope(StrEnum):
    READ = "read"
    CALLS = "calls"
    ADMIN = "admin"


ALL_SCOPES: Final = frozenset(Scope)
_OF_CALLS: Final = frozenset({"calls", "streams", "events"})


def scope_of(method: str, tags: Collection[Any]) -> Scope:
    """The scope that a route with these tags asks for."""
    if method in ("GET", "HEAD"):
        return Scope.READ
    return Scope.CALLS if _OF_CALLS & set(tags) else Scope.ADMIN


def allows(scopes: Collection[Scope], wanted: Scope) -> bool:
    return wanted in scopes or Scope.ADMIN in scopes
