"""The one place that talks to the server: send, read, and translate what goes wrong.

Imports the driver: reached only when it is used.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from itertools import chain
from typing import Any

import redis.exceptions as theirs

from huey.exceptions import HueyException
from huey.storage.redis.alarm import Alarm
from huey.storage.redis.connecting import PATIENCE, describe
from huey.storage.redis.errors import Phase, translated
from huey.storage.redis.scripts import Script

#: The parts of one command, as the driver takes them.
Command = Sequence[Any]
#: What the server may answer: bytes, numbers, None, and lists of these.
Reply = Any

_BROKEN = (theirs.ConnectionError, theirs.TimeoutError, theirs.InvalidResponse, OSError)


class Wire:
    """Asks over the connections of a pool; each call is one round trip."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.server = describe(pool)
        # Before version 5.3 of the driver this needs the name of a command, later it must not.
        name = inspect.signature(pool.get_connection).parameters.get("command_name")
        required = name is not None and name.default is inspect.Parameter.empty
        self._arguments = ("EVALSHA",) if required else ()

    def ask(self, *command: Any, once: bool = False) -> Reply:
        """Send one command and return its reply.

        Args:
            command: its parts.
            once: it must not be sent again when its reply was lost.

        Raises:
            UnknownOutcome: the reply to such a command was lost.
            StorageError: the server cannot be reached, or refuses for now.
            ConfigurationError: the server refuses, until a person changes something.
        """
        return self.ask_all([command], once=once)[0]

    def ask_all(self, commands: Sequence[Command], *, once: bool = False) -> list[Reply]:
        """Send several commands at once, and return their replies; raises like `ask`."""
        connection = self._connect(once)
        try:
            replies = self._exchange(connection, commands, once)
        finally:
            self.pool.release(connection)
        return [_flat(reply) for reply in replies]

    def run(self, script: Script, arguments: Sequence[Any], *, once: bool = False) -> Reply:
        """Run a script and return what it returns; raises like `ask`.

        ``arguments`` begin with the number of keys.
        """
        return self.run_then(script, arguments, (), once=once)[0]

    def run_then(
        self, script: Script, arguments: Sequence[Any], then: Sequence[Command], *, once: bool
    ) -> list[Reply]:
        """Run a script, and more commands on the same connection; raises like `ask`.

        If the server does not know the script, it is sent again, and so are the commands: they must
        be of a kind that does no harm without the script.
        """
        connection = self._connect(once)
        try:
            return self._run(connection, script, arguments, then, once)
        finally:
            self.pool.release(connection)

    def line(self) -> Line:
        """Give a connection of its own, outside of the pool; it is made when it is used."""
        return Line(self)

    def make_connection(self) -> Any:
        """Build, but do not open, a connection like those of the pool."""
        settings = dict(self.pool.connection_kwargs) | {"socket_timeout": PATIENCE}
        try:
            return self.pool.connection_class(**settings)
        except (TypeError, ValueError, theirs.RedisError) as exc:
            raise translated(exc, self.server, Phase.CONNECTING, once=False) from exc

    def _connect(self, once: bool) -> Any:
        try:
            return self.pool.get_connection(*self._arguments)
        except (TypeError, ValueError, OSError, theirs.RedisError) as exc:
            raise translated(exc, self.server, Phase.CONNECTING, once) from exc

    def _run(
        self,
        connection: Any,
        script: Script,
        arguments: Sequence[Any],
        then: Sequence[Command],
        once: bool,
    ) -> list[Reply]:
        command = ("EVALSHA", script.sha, *arguments)
        try:
            return self._exchange(connection, [command, *then], once)
        except HueyException as exc:
            # The server has not seen the script, or has forgotten it: it was restarted, say.
            if not isinstance(exc.__cause__, theirs.NoScriptError):
                raise
        return self._exchange(connection, [("EVAL", script.text, *arguments), *then], once)

    def _exchange(self, connection: Any, commands: Sequence[Command], once: bool) -> list[Reply]:
        self._send(connection, commands, once)
        return self._read(connection, len(commands), once)

    def _send(self, connection: Any, commands: Sequence[Command], once: bool) -> None:
        if len(commands) == 1:
            packed = connection.pack_command(*commands[0])
        else:
            packed = connection.pack_commands(commands)
        try:
            connection.send_packed_command(packed)
        except _BROKEN as exc:
            connection.disconnect()
            # A command that did not leave whole was not executed; of several, one may have.
            phase = Phase.SENDING if len(commands) == 1 else Phase.WAITING
            raise translated(exc, self.server, phase, once) from exc
        except BaseException:
            connection.disconnect()
            raise

    def _read(self, connection: Any, count: int, once: bool) -> list[Reply]:
        replies: list[Reply] = []
        refusal: theirs.ResponseError | None = None
        try:
            if connection.socket_timeout is None and not connection.can_read(timeout=PATIENCE):
                raise theirs.TimeoutError(f"no reply after {PATIENCE:g} seconds")
            for _ in range(count):
                try:
                    replies.append(connection.read_response(disable_decoding=True))
                except theirs.ResponseError as exc:
                    refusal = refusal or exc
        except _BROKEN as exc:
            connection.disconnect()
            raise translated(exc, self.server, Phase.WAITING, once) from exc
        except BaseException:
            # The reply is still to come, and must not be taken for that of the next command.
            connection.disconnect()
            raise
        if refusal is not None:
            if isinstance(refusal, theirs.ReadOnlyError):
                # After a failover the name may lead to the new master.
                connection.disconnect()
            raise translated(refusal, self.server, Phase.WAITING, once) from refusal
        return replies


class Line:
    """One connection of our own: it may wait long, and does not depend on the pool.

    For one thread at a time; others have to wait.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._connection: Any = None
        self._lock = threading.Lock()

    def run(self, script: Script, arguments: Sequence[Any]) -> Reply:
        """Run a script that may be repeated, and return what it returns; raises like `Wire.ask`."""
        with self._lock:
            connection = self._open()
            return self._wire._run(connection, script, arguments, (), once=False)[0]

    def wait(self, command: Command, seconds: float, alarm: Alarm) -> tuple[bool, Reply]:
        """Send a command that blocks, and wait for its reply; raises like `Wire.ask`.

        Args:
            command: its parts; it must not wait for longer than ``seconds``.
            seconds: at most half of `connecting.PATIENCE`.
            alarm: ends the waiting.

        Returns:
            Whether the alarm was heard, and otherwise the reply. If it was, nobody knows whether
            the command has been executed.
        """
        with self._lock:
            if alarm.heard():
                return True, None
            connection = self._open()
            self._wire._send(connection, [command], once=False)
            if not self._await_reply(connection, seconds, alarm):
                self._close()
                return True, None
            return False, self._wire._read(connection, 1, once=False)[0]

    def close(self) -> None:
        """Close the connection; the next use makes a new one."""
        with self._lock:
            self._close()

    def _await_reply(self, connection: Any, seconds: float, alarm: Alarm) -> bool:
        try:
            return alarm.until_reply(connection, seconds + PATIENCE / 2)
        except (*_BROKEN, TimeoutError) as exc:
            self._close()
            raise translated(exc, self._wire.server, Phase.WAITING, once=False) from exc
        except BaseException:
            self._close()
            raise

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = self._wire.make_connection()
        connection = self._connection
        try:
            # Also after an error: the driver's connections are closed then, but not used up.
            connection.connect()
            if _is_stale(connection):
                connection.disconnect()
                connection.connect()
        except (TypeError, ValueError, OSError, theirs.RedisError) as exc:
            raise translated(exc, self._wire.server, Phase.CONNECTING, once=False) from exc
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None


def _flat(reply: Reply) -> Reply:
    """Bring a reply into the form of protocol 2: pools that were given may speak protocol 3."""
    if isinstance(reply, dict):
        return list(chain.from_iterable(reply.items()))
    if isinstance(reply, list) and reply and isinstance(reply[0], list):
        return list(chain.from_iterable(reply))
    return reply


def _is_stale(connection: Any) -> bool:
    """Tell whether the server has closed a connection; there is nothing to read on a good one."""
    try:
        return bool(connection.can_read(timeout=0))
    except _BROKEN:
        return True
