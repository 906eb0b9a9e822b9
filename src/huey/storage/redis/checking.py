"""Is the server fit for a queue? What is not, is refused or told before work begins."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from huey.exceptions import ConfigurationError, StorageError
from huey.storage.redis.core import RedisCore, as_text
from huey.storage.redis.names import clean_name, has_hash_tag

if TYPE_CHECKING:
    from huey.storage.redis.wire import Wire

#: The oldest server with BLMOVE and counted RPOP.
_OLDEST = (6, 2)
_FIELD_TTL_SINCE = {"redis": (7, 4), "valkey": (9, 0)}
_TYPES = {"list": "a list", "sorted": "a sorted set"}
_REDIS_TYPES = {"list": b"list", "sorted": b"zset"}
_CLASSES = {
    b"list": "RedisHuey or RedisExpireHuey",
    b"zset": "PriorityRedisHuey or PriorityRedisExpireHuey",
}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the server says about itself; empty where it must not say anything."""

    facts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, wire: Wire) -> ServerFacts:
        """Ask the server; a user without the right to ask learns nothing."""
        try:
            text = as_text(wire.ask("INFO"))
        except ConfigurationError:
            return cls()
        lines = (line.partition(":") for line in text.splitlines() if ":" in line)
        return cls({key: value.strip() for key, _, value in lines})

    @property
    def is_valkey(self) -> bool:
        """Valkey calls itself Redis 7.2, too."""
        return "valkey_version" in self.facts

    @property
    def version(self) -> tuple[int, ...]:
        """Major and minor number; empty if unknown."""
        text = self.facts.get("valkey_version") or self.facts.get("redis_version", "")
        return tuple(int(number) for number in re.findall(r"\d+", text)[:2])

    @property
    def has_field_ttl(self) -> bool:
        """Whether single fields of a hash can expire."""
        since = _FIELD_TTL_SINCE["valkey" if self.is_valkey else "redis"]
        return bool(self.version) and self.version >= since

    @property
    def is_too_old(self) -> bool:
        """Whether commands are missing that a queue needs."""
        return bool(self.version) and self.version < _OLDEST

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over nodes."""
        return self.facts.get("cluster_enabled") == "1"


class Checking(RedisCore):
    """Checks of the server, at sign-on and on demand."""

    _given_name: str
    _cleans_name: bool

    def check(self) -> list[str]:
        """Look for what will lose tasks some day.

        Returns:
            A sentence for each finding, for the operator.

        Raises:
            ConfigurationError: if the queue cannot work at all.
            StorageError: if the server cannot be reached.
        """
        facts = self._inspect()
        self._check_scripts()
        findings = (
            self._about_name(),
            self._about_memory(facts),
            self._about_persistence(facts),
            self._about_role(facts),
        )
        return [finding for finding in findings if finding]

    def _inspect(self) -> ServerFacts:
        """Refuse a server that cannot work, and data of another kind."""
        facts = ServerFacts.read(self._wire)
        server = self._wire.server
        if facts.is_too_old:
            version = ".".join(map(str, facts.version))
            raise ConfigurationError(
                f"{server} has version {version}, expected at least Redis 6.2 or any Valkey: "
                "upgrade it."
            )
        if facts.is_cluster and not has_hash_tag(self.name):
            raise ConfigurationError(
                f"{server} belongs to a cluster, which would spread the keys of this queue over "
                f'its nodes: put the name in braces, such as RedisHuey("{{{self.name}}}", '
                "clean_name=False), and connect to the node that holds it."
            )
        self._check_type()
        return facts

    def _check_type(self) -> None:
        found = self._wire.ask("TYPE", self._names.queue)
        if found not in (b"none", _REDIS_TYPES[self._queue_form]):
            wrote = _CLASSES.get(found, "something that is no queue")
            raise ConfigurationError(
                f"{self._names.queue} was written by {wrote}: expected "
                f"{_TYPES[self._queue_form]} for {type(self).__name__}, got the type "
                f"{as_text(found)}. Use the class that wrote it, or another queue name."
            )

    def _check_scripts(self) -> None:
        try:
            self._wire.ask("EVAL", "return 1", 0)
        except ConfigurationError as exc:
            raise ConfigurationError(
                f"{self._wire.server} does not let this user run scripts, which every queue needs: "
                f"allow EVAL and EVALSHA (ACL SETUSER … +@scripting). {exc}"
            ) from exc

    def _about_name(self) -> str:
        cleaned = clean_name(self._given_name, self._cleans_name)
        if cleaned == self._given_name:
            return ""
        return (
            f'The queue "{self._given_name}" is called "{cleaned}" on the server, and so is every '
            "other that differs in punctuation only: they share their tasks. Use letters and "
            "digits, or clean_name=False if nothing is stored yet."
        )

    def _about_memory(self, facts: ServerFacts) -> str:
        policy = facts.facts.get("maxmemory_policy", "noeviction")
        if policy == "noeviction" or facts.facts.get("maxmemory", "0") == "0":
            return ""
        return (
            f"{self._wire.server} evicts keys when its memory is full (maxmemory-policy {policy}), "
            "and may evict tasks: set it to noeviction."
        )

    def _about_persistence(self, facts: ServerFacts) -> str:
        if facts.facts.get("aof_enabled", "1") == "1" or self._saves_snapshots():
            return ""
        return (
            f"{self._wire.server} keeps nothing on disk: all tasks are gone when it restarts. Set "
            "appendonly yes."
        )

    def _saves_snapshots(self) -> bool:
        try:
            reply = self._wire.ask("CONFIG", "GET", "save")
        except (ConfigurationError, StorageError):  # hosted servers do not tell
            return True
        return not reply or bool(reply[1])

    def _about_role(self, facts: ServerFacts) -> str:
        if facts.facts.get("role", "master") == "master":
            return ""
        return (
            f"{self._wire.server} is a replica and takes no writes: connect to its master, at "
            f"{facts.facts.get('master_host')}:{facts.facts.get('master_port')}."
        )
