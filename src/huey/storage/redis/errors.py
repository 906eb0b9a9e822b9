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


class ServerNeedsAttention(ConfigurationError, StorageError):
    """The server will go on refusing until a person changes something; nothing was written.

    A storage error, too: a consumer that runs when, say, the password is changed waits for the
    person, and drops nothing.
    """


class ReplyLost(UnknownOutcome, theirs.ConnectionError):
    """The command was sent, and its reply did not arrive."""


class Phase(enum.Enum):
    """How far a command had come."""

    CONNECTING = "connecting"
    SENDING = "sending"
    WAITING = "waiting for the reply"


#: Parts of the server's error texts, in any version; and what a person must do about them.
_FOR_PEOPLE = {
    "WRONGTYPE": (
        "a key of this queue holds another type. RedisHuey and RedisExpireHuey keep their queue as "
        "a list, PriorityRedisHuey and PriorityRedisExpireHuey as a sorted set: use the class that "
        "wrote it, or another queue name"
    ),
    "NOPERM": (
        "the user may not do this. A queue needs the keys huey.* and the commands +@read +@write "
        "+@scripting +@blocking +@connection +time +info"
    ),
    "ACL failure": "allow the user inside scripts the keys huey.* and +@read +@write +time",
    "no permissions": "allow the user inside scripts the keys huey.* and +@read +@write +time",
    "can't run this command": "the user lacks the right to run a command: see ACL SETUSER",
    "DB index is out of range": "there is no such database: choose a lower db",
    "invalid DB index": "there is no such database: expected a number as db",
    "SELECT is not allowed": "this server has one database only: leave out db",
    "MOVED": (
        "this node of a cluster does not hold the queue: connect to the node that it names, and "
        "give the queue a name in braces with clean_name=False"
    ),
    "CROSSSLOT": (
        "the keys of this queue lie on several nodes of a cluster: give it a name in braces, such "
        'as RedisHuey("{app}", clean_name=False)'
    ),
    "WAITAOF": "durable=True needs Redis 7.2 or any Valkey, with appendonly yes",
    "unknown command": "it is too old (expected Redis 6.2 or any Valkey), or a command is disabled",
    "Unknown Redis command": "it is too old: expected Redis 6.2, or any Valkey",
}


#: Codes that the driver cuts off the server's text, by the name of the class that it turns them to.
_CODES = {
    "AskError": "ASK",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}


def translated(exc: BaseException, server: str, phase: Phase, once: bool) -> HueyException:
    """Put an exception of the driver into our words.

    Args:
        exc: what was raised.
        server: as `connecting.describe` says it.
        phase: how far the command had come.
        once: the command must not be repeated blindly.
    """
    name = type(exc).__name__
    text = f"{_CODES.get(name, '')} {exc}".strip() or name
    if phase is Phase.CONNECTING:
        advice = _advice_on_connecting(exc, text)
        if advice:
            return ServerNeedsAttention(f"{server} cannot be used: {advice}. It says: {text}")
    match exc:
        case theirs.ResponseError():
            return _refused(text, server)
        case theirs.BusyLoadingError():
            return ServerUnreachable(f"{server} is still starting: {text}")
        case theirs.AuthenticationError() | theirs.AuthorizationError():
            return ServerNeedsAttention(f"{server} asks for a login: {text}")
        case _ if once and phase is Phase.WAITING:
            return ReplyLost(
                f"The reply of {server} was lost ({text}): the message may or may not be in the "
                "queue. Enqueue it again only if running it twice does no harm."
            )
        case theirs.TimeoutError() | TimeoutError():
            return ServerTooSlow(f"{server} did not answer in time while {phase.value}: {text}")
    return _unreachable(text, server, phase)


def _unreachable(text: str, server: str, phase: Phase) -> HueyException:
    if phase is Phase.CONNECTING and "closed" in text:
        text += " A server with TLS may do that: try rediss:// or ssl=True."
    return ServerUnreachable(f"{server} cannot be reached, while {phase.value}: {text}")


def _advice_on_connecting(exc: BaseException, text: str) -> str:
    """Say what a person must change before there can be a connection; empty: it may pass."""
    match exc:
        case theirs.AuthenticationWrongNumberOfArgsError():
            return "it knows no user names, so leave out the username"
        case theirs.AuthenticationError() | theirs.AuthorizationError():
            return "the login is refused, so check username and password"
        case theirs.InvalidResponse():
            return "it does not speak Redis; for TLS use rediss:// or ssl=True, and check the port"
        case TypeError() | ValueError():
            return "the driver does not take these connection settings"
    if text.startswith(("NOAUTH", "WRONGPASS")) or "invalid password" in text:
        return "the login is refused, so check username and password"
    if "SSL" in text:
        return "use redis:// or ssl=False if it has no TLS, and check the certificates if it has"
    return ""


def _refused(text: str, server: str) -> HueyException:
    for sign, advice in _FOR_PEOPLE.items():
        if sign in text:
            return ServerNeedsAttention(f"{server} refuses: {advice}. It says: {text}")
    return ServerRefused(f"{server} refuses, and nothing was written: {text}")
