"""What is decided without a server: reservations, the net effect of a batch, complete chords."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from huey import keys
from huey.storage.delivery import ChordStep, Claim, DeadLetter, Outgoing, Reservation, Settlement
from huey.storage.memory import MemoryStorage
from huey.storage.sql.filing import filed, unfiled
from huey.storage.sql.postgres.reservations import decide
from huey.storage.sql.writes import Writes, completed, partial_of

KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from([b"1", b"2"])
SETTLEMENTS = st.builds(
    Settlement,
    results=st.lists(st.tuples(KEYS, VALUES), max_size=2).map(tuple),
    delete=st.lists(KEYS, max_size=2).map(tuple),
    delete_if=st.lists(st.tuples(KEYS, VALUES), max_size=2).map(tuple),
)


class TestWrites:
    @given(
        before=st.dictionaries(KEYS, VALUES),
        settlements=st.lists(SETTLEMENTS, min_size=1, max_size=5),
    )
    def test_have_the_effect_of_the_settlements_one_after_the_other(
        self, before: dict[str, bytes], settlements: list[Settlement]
    ) -> None:
        step_by_step = MemoryStorage()
        for key, value in before.items():
            step_by_step.put_data(key, value)
        step_by_step.settle(settlements)

        writes = Writes()
        for settlement in settlements:
            writes.add(settlement)
        after = {key: value for key, value in before.items() if key not in writes.deleted}
        after = {
            key: value for key, value in after.items() if (key, value) not in writes.deleted_if
        }
        after |= writes.values

        assert after == step_by_step.result_items()

    def test_keep_messages_and_letters_in_order(self) -> None:
        writes = Writes()
        for number in range(3):
            writes.add(
                Settlement(
                    outgoing=(Outgoing(b"%d" % number),), dead=DeadLetter(b"%d" % number, "failed")
                )
            )

        assert [message.data for message in writes.outgoing] == [b"0", b"1", b"2"]
        assert [letter.data for letter in writes.dead] == [b"0", b"1", b"2"]

    def test_know_of_which_messages_something_is_remembered(self) -> None:
        writes = Writes()
        for claim in (
            Claim("1", b"new"),
            Claim("2", b"again", attempt=2),
            Claim("3", b"crashed", crashes_alone=1),
        ):
            writes.add(Settlement(claim))

        assert writes.marked == [b"again", b"crashed"]


class TestChords:
    @given(
        earlier=st.sets(st.integers(0, 3)),
        reports=st.lists(st.integers(0, 3), min_size=1, max_size=6),
        size=st.integers(1, 4),
    )
    def test_are_complete_when_a_storage_that_counts_one_by_one_says_so(
        self, earlier: set[int], reports: list[int], size: int
    ) -> None:
        memory = MemoryStorage()
        memory.settle([_report(index, 99) for index in earlier])
        steps = [ChordStep("ch", index, size, b"v") for index in reports]
        new = {partial_of(step) for step in steps if step.index not in earlier}
        counts = {"ch": len(earlier) + len(new)}

        told = completed(steps, new, counts)

        one_by_one = memory.settle([_report(index, size) for index in reports])
        assert told == [answer.name == "CHORD_COMPLETE" for answer in one_by_one]


def _report(index: int, size: int) -> Settlement:
    return Settlement(chord=ChordStep("ch", index, size, b"v"))


RESERVATIONS = st.one_of(
    st.none(),
    st.builds(
        Reservation,
        key=KEYS,
        value=st.sampled_from(["x", "y", "z"]),
        revoke_with=st.sampled_from([None, b"flag"]),
    ),
)
OUTGOING = st.builds(Outgoing, data=st.binary(max_size=2), reservation=RESERVATIONS)


class TestReservations:
    @given(
        before=st.dictionaries(KEYS, st.sampled_from(["x", "y"])),
        messages=st.lists(OUTGOING, max_size=6),
    )
    def test_are_decided_like_by_a_storage_that_takes_one_after_the_other(
        self, before: dict[str, str], messages: Sequence[Outgoing]
    ) -> None:
        memory = MemoryStorage()
        for key, value in before.items():
            memory.put_data(key, value.encode())

        decision = decide(messages, before)

        assert decision.standing == memory.enqueue_many(messages)
        assert [message.data for message in decision.accepted] == memory.enqueued_items()
        after = {key: value.encode() for key, value in before.items()}
        after |= {key: value.encode() for key, (value, _) in decision.taken.items()}
        assert after | decision.revoked == memory.result_items()

    def test_name_whom_they_revoke(self) -> None:
        wish = Reservation("k", "new", revoke_with=b"flag")

        decision = decide([Outgoing(b"m", reservation=wish)], {"k": "old"})

        assert decision.revoked == {keys.revoked_id("old"): b"flag"}
        assert decision.standing == ["old"]


class TestFiling:
    @given(micros=st.integers(0, 4_000_000_000_000_000))
    def test_keeps_the_due_time_to_the_microsecond_and_is_never_early(self, micros: int) -> None:
        due = micros / 1_000_000

        assert filed(due) >= due
        assert unfiled(filed(due)) == due
