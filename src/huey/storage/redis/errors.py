"""What goes wrong at the server, in our words. Imports the driver: reached only when it is used.

The translated exceptions are those of the driver, too, so that applications that catch, say,
``redis.ConnectionError`` around a call of a task go on working.
"""

from __future__ import annotations

import enum

import redis.exceptions as theirs

from huey.exceptions import ConfigurationError, HueyException, StorageError, UnknownOutcome


class ServerUnreachable(StorageError, theirs.ConnectionError):
    """There is no connection, or it broke before the command was sent, or the reply was lost."""


class ServerTooSlow(StorageError, theirs.TimeoutError):
    """The server did not answer in time."""


class ServerRefused(StorageError, theirs.ResponseError):
    """The server answered with an error that may pass by itself."""


class ReplyLost(UnknownOutcome, theirs.ConnectionError):
    """The command was sent, and its reply did not arrive."""


class Phase(enum.Enum):
    """How far a command had come."""

    CONNECTING = "connecting"
    SENDING = "sending"
    WAITING = "waiting for the reply"


#: Parts of the server's error texts, in any version; which of them a person must act on, and how.
_FOR_PEOPLE = (
    (
        "WRONGTYPE",
        "a key of this queue holds another type. Queues of RedisHuey and RedisExpireHuey are lists, "
        "those of PriorityRedisHuey and PriorityRedisExpireHuey are sorted sets: use the class that "
        "wrote it, or another queue name",
    ),
    (
        "NOPERM",
        "the user may not do this. A queue needs the keys huey.* and the commands of +@read +@write "
        "+@scripting +@blocking +@connection +time +info",
    ),
    (
        "user has no permissions",
        "the user may not do this inside scripts: allow it the keys huey.* and +@read +@write +time",
    ),
    ("ACL failure", "the user may not do this inside scripts: allow it huey.* and +@read +@write"),
    ("can't run this command", "the user lacks the right to run a command: see ACL SETUSER"),
    ("DB index is out of range", "there is no such database: choose a lower db"),
    ("invalid DB index", "there is no such database: expected a number as db"),
    ("SELECT is not allowed", "this server has one database only: leave out db"),
    (
        "MOVED",
        "this node of a cluster does not hold the queue: connect to the node that is named, and give "
        "the queue a name in braces with clean_name=False",
    ),
    (
        "CROSSSLOT",
        "the keys of this queue lie on several nodes of a cluster: give it a name in braces with "
        'clean_name=False, such as RedisHuey("{app}", clean_name=False)',
    ),
    ("appendonly is disabled", "durable=True needs appendonly yes in the server's configuration"),
    (
        "unknown command",
        "the server is too old, or was told to refuse a command that a queue needs",
    ),
    ("Unknown Redis command", "the server is too old: expected Redis 6.2, or any Valkey"),
)

_OF_THE_LOGIN = (theirs.AuthenticationError, theirs.AuthorizationError)


def translated(exc: BaseException, server: str, phase: Phase, once: bool) -> HueyException:
    """Put an exception of the driver into our words.

    Args:
        exc: what was raised.
        server: as `connecting.describe` says it.
        phase: how far the command had come.
        once: the command must not be repeated blindly.
    """
    text = str(exc).strip() or type(exc).__name__
    match exc:
        case _ if phase is Phase.WAITING and once and not isinstance(exc, theirs.ResponseError):
            return ReplyLost(
                f"The reply of {server} was lost ({text}): the message may or may not be in the "
                "queue. Enqueue it again only if running it twice does no harm."
            )
        case theirs.AuthenticationWrongNumberOfArgsError():
            return ConfigurationError(
                f"{server} is older than user names: leave out the username. It says: {text}"
            )
        case _ if isinstance(exc, _OF_THE_LOGIN) or _asks_for_login(text):
            return ConfigurationError(
                f"{server} refuses the login: check username and password. It says: {text}"
            )
        case theirs.InvalidResponse() if phase is Phase.CONNECTING:
            return ConfigurationError(
                f"{server} does not speak the Redis protocol: for TLS use rediss:// or ssl=True, "
                "and check the port."
            )
        case theirs.ResponseError():
            return _refused(exc, text, server)
        case theirs.TimeoutError():
            return ServerTooSlow(f"{server} did not answer in time while {phase.value}: {text}")
        case TypeError() | ValueError() if phase is Phase.CONNECTING:
            return ConfigurationError(f"The driver does not accept the connection settings: {text}")
        case _ if "SSL" in text and phase is Phase.CONNECTING:
            return ConfigurationError(
                f"{server} does not agree on TLS: use redis:// for a server without it, and check "
                f"the certificates. It says: {text}"
            )
    return ServerUnreachable(f"{server} cannot be reached, while {phase.value}: {text}")


def _asks_for_login(text: str) -> bool:
    return text.startswith(("NOAUTH", "WRONGPASS")) or "invalid password" in text


def _refused(exc: theirs.ResponseError, text: str, server: str) -> HueyException:
    for sign, advice in _FOR_PEOPLE:
        if sign in text:
            return ConfigurationError(f"{server} refuses: {advice}. It says: {text}")
    return ServerRefused(f"{server} refuses, and nothing was written: {text}")
