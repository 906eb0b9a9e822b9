"""What we write has exactly the form that Huey 3.5.4 reads: row 5 of what the outside leans on.

That it does read it is shown by hand, with `python -m tests.compat.record.ours`.
"""

import pickle
import pickletools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from huey.api import SKIPPED, Error, Huey, MemoryHuey, chord
from huey.registry import Message
from tests.behaviour.driving import run_all, run_next

FAR = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)


class Reading(pickle.Unpickler):
    """Refuses every global, and notes its name."""

    found: list[str]

    def find_class(self, module: str, name: str) -> Any:
        self.found.append(f"{module}.{name}")
        return super().find_class(module, name)


def globals_in(data: bytes) -> set[str]:
    """The names that whoever reads these bytes has to import."""
    import io

    reader = Reading(io.BytesIO(data))
    reader.found = []
    reader.load()
    return set(reader.found)


def add(a: int = 0, b: int = 0) -> int:
    if a < 0:
        raise ValueError("negative")
    return a + b


@pytest.fixture
def huey() -> Huey:
    return MemoryHuey("app")


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


def queued(huey: Huey) -> Iterator[bytes]:
    yield from huey.storage.enqueued_items()


class TestMessages:
    def test_a_plain_one_names_the_message_and_nothing_else(self, huey: Huey, sums: Any) -> None:
        sums(1, b=2)
        [data] = queued(huey)

        assert globals_in(data) == {"huey.registry.Message"}

    def test_it_is_a_tuple_of_fifteen(self, huey: Huey, sums: Any) -> None:
        sums.options(id="i", retries=1, retry_delay=2, priority=3, timeout=4, retry_backoff=5)(6)
        [data] = queued(huey)

        message = pickle.loads(data)
        assert type(message) is Message
        assert tuple(message) == (
            *("i", f"{__name__}.add", None, 1, 2, 3, (6,), {}),
            *(None, None, None, None, 4, None, 5),
        )
        # As Huey writes it: a new object of the class, with the tuple as its only state.
        opcodes = [opcode.name for opcode, _, _ in pickletools.genops(data)]
        assert opcodes.count("NEWOBJ") == 1
        assert "BUILD" not in opcodes

    def test_what_hangs_on_it_is_made_of_messages_and_plain_tuples(
        self, huey: Huey, sums: Any
    ) -> None:
        members = [sums.s(1).then(sums, 2).error(sums), sums.s(3)]
        huey.enqueue(chord(members, sums.s()))
        data, _ = queued(huey)

        assert globals_in(data) == {"huey.registry.Message"}
        message = pickle.loads(data)
        assert type(message.on_complete) is type(message.on_error) is Message
        config = message.on_complete.chord_config
        assert type(config) is tuple
        assert (config[1:3], type(config[3])) == ((2, 0), Message)

    @pytest.mark.parametrize(
        "settings",
        [
            {"unique": True},
            {"retry_max_delay": 5, "retry_jitter": 0.5, "retry_on": ValueError},
            {"delivery": "at_most_once"},
        ],
    )
    def test_what_huey_does_not_know_travels_elsewhere(
        self, huey: Huey, settings: dict[str, Any]
    ) -> None:
        huey.task(**settings, name="special", retries=1)(add)(-1)
        run_next(huey)
        [data] = queued(huey)

        assert globals_in(data) == {"huey.registry.Message"}
        assert len(pickle.loads(data)) == 15

    def test_instants_are_naive_and_nothing_else_is_special(self, huey: Huey, sums: Any) -> None:
        sums.schedule((1,), eta=FAR, expires=FAR)
        [data] = queued(huey)

        zone = {"datetime.timezone", "datetime.timedelta"}  # of the expiry as it was given
        assert globals_in(data) - zone == {"huey.registry.Message", "datetime.datetime"}
        message = pickle.loads(data)
        assert message.eta == message.expires_resolved == FAR.replace(tzinfo=None)

    def test_a_retry_is_the_same_message_with_one_less(self, huey: Huey, sums: Any) -> None:
        sums.options(id="i", retries=2)(-1)
        [before] = [pickle.loads(data) for data in queued(huey)]
        run_next(huey)
        [after] = [pickle.loads(data) for data in queued(huey)]

        assert after == before._replace(retries=1)


class TestStoredData:
    @staticmethod
    def stored(huey: Huey) -> dict[str, Any]:
        """Key → names to import, and value."""
        return {
            key: (globals_in(data), pickle.loads(data)) for key, data in huey.all_results().items()
        }

    def test_results_are_plain_and_errors_name_their_class(self, huey: Huey, sums: Any) -> None:
        good, bad = sums(1, 2), sums(-1)
        run_all(huey)

        stored = self.stored(huey)
        assert stored[good.id] == (set(), 3)
        names, error = stored[bad.id]
        assert names == {"huey.utils.Error"}
        assert type(error) is Error
        assert error.metadata.keys() == {"error", "retries", "traceback", "task_id"}

    def test_flags_are_pairs_under_the_keys_of_huey(self, huey: Huey, sums: Any) -> None:
        huey.revoke_by_id("i")
        huey.revoke_by_id("once", revoke_once=True)
        sums.revoke(revoke_until=FAR)

        assert self.stored(huey) == {
            "r:i": (set(), (None, False)),
            "r:once": (set(), (None, True)),
            f"rt:{__name__}.add": ({"datetime.datetime"}, (FAR.replace(tzinfo=None), False)),
        }

    def test_a_lock_is_a_text_under_the_key_of_huey(self, huey: Huey) -> None:
        huey.lock_task("mine").acquire()

        [(key, (names, value))] = self.stored(huey).items()
        assert key == "app.lock.mine"
        assert names == set()
        assert isinstance(value, str)

    def test_a_rate_limit_counts_under_the_key_of_huey(self, huey: Huey) -> None:
        for _ in range(3):
            huey.rate_limit("mail", limit=5, per=3600).acquire()

        assert huey.storage.incr("app.rl.mail", 0) == 3

    def test_half_a_chord_is_where_huey_looks_for_it(self, huey: Huey, sums: Any) -> None:
        members = [sums.s(1), sums.s(-1), sums.s(3, expires=-1), sums.s(4)]
        huey.enqueue(chord(members, sums.s()))
        cid = pickle.loads(next(queued(huey))).chord_config[0]
        for _ in range(3):
            run_next(huey)

        stored = self.stored(huey)
        assert stored[f"chord:{cid}:0"] == (set(), 1)
        assert stored[f"chord:{cid}:1"][0] == {"huey.utils.Error"}
        assert stored[f"chord:{cid}:2"] == ({"huey.utils.SKIPPED"}, SKIPPED)
        assert huey.storage.incr(f"chord:{cid}", 0) == 3

    def test_a_skip_is_the_constant_itself(self) -> None:
        assert pickle.loads(pickle.dumps(SKIPPED)) is SKIPPED
        assert repr(SKIPPED) == "SKIPPED"
