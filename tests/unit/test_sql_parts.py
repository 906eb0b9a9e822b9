"""The pure parts of the SQL storages: filing times, gathered writes, batches of statements."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huey.storage.delivery import Claim, Outgoing, Settlement
from huey.storage.sql.filing import filed, is_foreign, unfiled
from huey.storage.sql.sqlite.batches import change_in, insert_rows, select_in
from huey.storage.sql.sqlite.clockwork import _FOREIGN
from huey.storage.sql.sqlite.filesystem import remote_kind
from huey.storage.sql.writes import Writes

#: Whole microseconds between the years 2001 and 2106, as seconds.
INSTANTS = st.integers(10**15, 4_291_747_200 * 10**6).map(lambda us: us / 10**6)


class TestFiling:
    @given(due=INSTANTS)
    def test_nothing_is_filed_before_it_is_due_nor_a_microsecond_late(self, due: float) -> None:
        assert due < filed(due) <= due + 1e-6

    @given(due=INSTANTS)
    def test_the_due_time_is_found_again(self, due: float) -> None:
        assert unfiled(filed(due)) == due
        assert unfiled(due) == due

    @given(due=INSTANTS)
    def test_what_we_filed_is_told_from_what_others_filed(self, due: float) -> None:
        query = f"SELECT {_FOREIGN} FROM (SELECT ? AS timestamp)"
        with sqlite3.connect(":memory:") as connection:
            by_sqlite = [connection.execute(query, (t,)).fetchone()[0] for t in (due, filed(due))]
        connection.close()

        assert [is_foreign(due), is_foreign(filed(due))] == [True, False]
        assert by_sqlite == [1, 0]

    @given(first=INSTANTS, second=INSTANTS)
    def test_the_order_is_kept(self, first: float, second: float) -> None:
        assert (first < second) == (filed(first) < filed(second))


class TestWrites:
    def test_the_last_word_counts(self) -> None:
        writes = Writes()

        writes.add(Settlement(results=(("a", b"1"), ("b", b"1"), ("c", b"1"))))
        writes.add(Settlement(results=(("b", b"2"),), delete=("a", "d")))
        writes.add(Settlement(delete_if=(("b", b"1"), ("c", b"1"), ("e", b"1"))))

        assert writes.values == {"b": b"2"}
        assert writes.deleted == {"a", "c", "d"}
        assert writes.deleted_if == {("e", b"1")}

    def test_only_marked_messages_are_looked_up_for_their_marks(self) -> None:
        writes = Writes()
        for claim in (Claim("1", b"a"), Claim("2", b"b", attempt=2), Claim("3", b"c", 1, 1)):
            writes.add(Settlement(claim, outgoing=(Outgoing(claim.data),)))

        assert writes.marked == [b"b", b"c"]
        assert [message.data for message in writes.outgoing] == [b"a", b"b", b"c"]


class TestBatches:
    @pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 127, 128, 129, 500, 501, 1311])
    def test_any_number_of_rows_is_written_found_and_changed(self, count: int) -> None:
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (a integer PRIMARY KEY, b text)")
        rows = [(number, f"row {number}") for number in range(count)]

        insert_rows(connection, "INSERT INTO t (a, b)", rows)
        wanted = [number for number, _ in rows[::2]]
        found = sorted(
            select_in(connection, "SELECT a, b FROM t WHERE b <> ? AND a IN", ("",), wanted)
        )
        change_in(connection, "UPDATE t SET b = ? WHERE a IN", ("changed",), wanted)

        assert found == rows[::2]
        query = "SELECT count(*), count(CASE b WHEN 'changed' THEN 1 END) FROM t"
        assert connection.execute(query).fetchone() == (count, len(wanted))
        connection.close()


MOUNTS = r"""21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 21 0:35 / /srv/a\040share rw,relatime shared:20 - nfs4 server:/export rw,vers=4.2
41 40 0:36 / /srv/a\040share/local rw - tmpfs tmpfs rw
42 21 0:37 / /mnt/nfsdisk rw - xfs /dev/vdb rw
"""


class TestFileSystems:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/var/huey.db", None),
            ("/srv/a share/huey.db", "nfs4"),
            ("/srv/a share/deep/huey.db", "nfs4"),
            ("/srv/a shared/huey.db", None),
            ("/srv/a share/local/huey.db", None),
            ("/mnt/nfsdisk/huey.db", None),
        ],
    )
    def test_network_file_systems_are_recognised(self, path: str, kind: str | None) -> None:
        assert remote_kind(path, MOUNTS) == kind

    def test_an_unknown_table_names_nothing(self, tmp_path: Path) -> None:
        assert remote_kind("/var/huey.db", "") is None
        assert remote_kind(str(tmp_path)) in (None, "9p")
