"""The page in the admin: who sees it, who may act, and that what is stored stays harmless."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.urls import reverse
from orders.tasks import add  # type: ignore[import-not-found]  # of the example

from huey.contrib import djhuey
from huey.contrib.djhuey.stats.peek import read_message
from huey.serializer import JsonSerializer, Serializer, SignedSerializer
from huey.storage.delivery import DeadLetter, Settlement

PAGE = "/admin/hueystats/hueydashboard/"
ACTION = f"{PAGE}action/"
FRAGMENT = f"{PAGE}fragment/"


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    yield
    djhuey.HUEY.flush()
    for letter in djhuey.HUEY._lossless.dead_letters():
        djhuey.HUEY._lossless.delete_dead(letter.key)
    User.objects.all().delete()


def client_of(*permissions: str, **options: Any) -> Client:
    user = User.objects.create_user(f"user{time.monotonic_ns()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(**options)
    client.force_login(user)
    return client


@pytest.fixture
def viewer() -> Client:
    return client_of("view_hueydashboard")


@pytest.fixture
def changer() -> Client:
    return client_of("view_hueydashboard", "change_hueydashboard")


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


class TestWhoMayWhat:
    def test_nobody_sees_it_without_logging_in(self) -> None:
        for url in (PAGE, FRAGMENT, f"{PAGE}events/"):
            answer = Client().get(url)
            assert (answer.status_code, "login" in answer["Location"]) == (302, True)

    def test_staff_without_the_permission_do_not_see_it(self) -> None:
        client = client_of()

        for url in (PAGE, FRAGMENT, f"{PAGE}events/"):
            assert client.get(url).status_code == 403
        assert "Huey" not in text_of(client.get("/admin/"))

    def test_viewers_see_it_in_the_menu_and_find_no_buttons(self, viewer: Client) -> None:
        add(2, 3)

        assert PAGE in text_of(viewer.get("/admin/"))
        page = text_of(viewer.get(PAGE))
        assert "orders.tasks.add" in page
        assert 'name="op"' not in page

    def test_viewers_may_not_act(self, viewer: Client) -> None:
        add(2, 3)

        assert viewer.post(ACTION, {"op": "flush_queue"}).status_code == 403
        assert djhuey.HUEY.pending_count() == 1

    def test_acting_takes_a_post_with_a_token(self, changer: Client) -> None:
        add(2, 3)
        strict = client_of("change_hueydashboard", enforce_csrf_checks=True)

        assert changer.get(ACTION, {"op": "flush_queue"}).status_code == 405
        assert strict.post(ACTION, {"op": "flush_queue"}).status_code == 403
        assert djhuey.HUEY.pending_count() == 1

    @pytest.mark.parametrize("page", ["add/", "1/", "1/change/", "1/delete/", "1/history/"])
    def test_there_is_nothing_to_add_change_or_delete(self, changer: Client, page: str) -> None:
        assert changer.get(f"{PAGE}{page}").status_code == 404

    def test_addresses_have_names(self) -> None:
        assert reverse("admin:hueystats_hueydashboard_changelist") == PAGE
        assert reverse("admin:hueystats_dashboard_fragment") == FRAGMENT
        assert reverse("admin:hueystats_dashboard_action") == ACTION
        assert reverse("admin:hueystats_dashboard_events") == f"{PAGE}events/"


class TestWhatIsShown:
    def test_waiting_scheduled_and_dead_tasks_and_consumers(self, viewer: Client) -> None:
        storage: Any = djhuey.HUEY._lossless
        waiting = add(1, 2)
        djhuey.HUEY.add_schedule(add.s(3, 4, delay=1000, id="one-for-later"))
        storage.settle([Settlement(dead=dead_letter("a-dead-one"))])
        storage.sign_on("consumer-one", {"host": "far", "pid": 77, "workers": 5})
        try:
            page = text_of(viewer.get(PAGE))
        finally:
            storage.sign_off("consumer-one")

        for text in (waiting.id, "one-for-later", "a-dead-one", "it is poison", "<td>77</td>"):
            assert text in page

    def test_the_queue_that_was_asked_for(self, viewer: Client) -> None:
        assert "<b>shop-mail</b>" in text_of(viewer.get(PAGE, {"queue": "mail"}))
        assert "<b>shop</b>" in text_of(viewer.get(PAGE, {"queue": "no such"}))

    def test_arguments_are_hidden_unless_the_settings_say(self, viewer: Client) -> None:
        add("a secret", 3)

        with override_settings(HUEY_STATS={}):
            assert "2 arguments" in (page := text_of(viewer.get(FRAGMENT)))
            assert "secret" not in page
        with override_settings(HUEY_STATS={"show_args": True}):
            assert "a secret" in text_of(viewer.get(FRAGMENT))
        with override_settings(HUEY_STATS={"show_args": f"{__name__}.redacted"}):
            assert "(redacted)" in text_of(viewer.get(FRAGMENT))

    def test_what_is_stored_is_escaped(self, viewer: Client) -> None:
        storage: Any = djhuey.HUEY._lossless
        evil = "<script>alert(1)</script>"
        add(evil, 1)
        storage.settle([Settlement(dead=dead_letter(evil, evil))])

        page = text_of(viewer.get(PAGE))

        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page

    def test_a_storage_that_does_not_answer_is_shown_as_such(
        self, viewer: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> int:
            raise ConnectionError("no route to <host>")

        monkeypatch.setattr(djhuey.HUEY.storage, "queue_size", refuse)

        assert "ConnectionError: no route to &lt;host&gt;" in text_of(viewer.get(PAGE))

    def test_a_hundred_thousand_waiting_tasks_are_not_read(self, viewer: Client) -> None:
        read: list[bytes] = []
        storage: Any = djhuey.HUEY.storage
        for _ in range(100):
            djhuey.HUEY.enqueue_many(add.s(n, n) for n in range(1000))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("huey.serializer._unpickle", read.append)
            page = text_of(viewer.get(PAGE))

        assert "<b>100000</b>waiting" in page
        assert page.count("orders.tasks.add<br>") == 50
        assert not read
        assert storage.queue_size() == 100_000


class TestActions:
    def act(self, client: Client, **form: str) -> str:
        answer = client.post(ACTION, {"queue": "default", **form}, follow=True)
        assert answer.redirect_chain == [(f"{PAGE}?queue=default", 302)]
        return text_of(answer)

    def test_revoke_and_restore_a_task(self, changer: Client) -> None:
        result = add(1, 2)

        self.act(changer, op="revoke_id", id=result.id)
        assert result.is_revoked()
        self.act(changer, op="restore_id", id=result.id)
        assert not result.is_revoked()

    def test_revoke_and_restore_a_function(self, changer: Client) -> None:
        page = self.act(changer, op="revoke_task", task="orders.tasks.add")
        assert add.is_revoked()
        assert "revoked</span>" in page

        self.act(changer, op="restore_task", task="orders.tasks.add")
        assert not add.is_revoked()

    def test_try_a_dead_task_again(self, changer: Client) -> None:
        storage: Any = djhuey.HUEY._lossless
        storage.settle([Settlement(dead=dead_letter("again"))])

        page = self.act(changer, op="replay", key=storage.dead_letters()[0].key)

        assert "back in the queue" in page
        assert [task.id for task in djhuey.pending()] == ["again"]
        assert storage.dead_count() == 0

    def test_delete_a_dead_task(self, changer: Client) -> None:
        storage: Any = djhuey.HUEY._lossless
        storage.settle([Settlement(dead=dead_letter("gone"))])

        self.act(changer, op="delete_dead", key=storage.dead_letters()[0].key)

        assert storage.dead_count() == djhuey.HUEY.pending_count() == 0

    def test_empty_the_queue_the_schedule_and_the_results(self, changer: Client) -> None:
        add(1, 2)
        djhuey.HUEY.add_schedule(add.s(3, 4, delay=1000))
        djhuey.HUEY.put("key", "value")

        for op in ("flush_queue", "flush_schedule", "flush_results", "flush_locks"):
            self.act(changer, op=op)

        huey = djhuey.HUEY
        assert huey.pending_count() + huey.scheduled_count() + huey.result_count() == 0

    @pytest.mark.parametrize("form", [{"op": "explode"}, {"op": "revoke_id"}, {}])
    def test_an_action_that_there_is_not_does_nothing(
        self, changer: Client, form: dict[str, str]
    ) -> None:
        add(1, 2)

        assert 'class="error"' in self.act(changer, **form)
        assert djhuey.HUEY.pending_count() == 1


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return exploded.append, ("ran",)


exploded: list[str] = []


class TestReadingWhatIsStored:
    def message(self, *args: Any) -> Any:
        return djhuey.HUEY._registry.create_message(add.s(*args))

    def test_nothing_in_it_runs(self, viewer: Client) -> None:
        djhuey.HUEY.storage.enqueue(pickle.dumps(Bomb()))
        djhuey.HUEY.storage.enqueue(pickle.dumps(self.message(Bomb(), 1)))

        page = text_of(viewer.get(PAGE))

        assert not exploded
        assert "bytes)" in page
        assert "orders.tasks.add" in page

    @pytest.mark.parametrize(
        "serializer",
        [
            Serializer(),
            Serializer(compression=True),
            JsonSerializer(),
            SignedSerializer(secret="s"),
            SignedSerializer(secret="s", digest="sha256", compression=True),
        ],
    )
    def test_a_message_is_read(self, serializer: Serializer) -> None:
        message = self.message(1, {"a": [2]})

        found = read_message(serializer, serializer.serialize(message))

        assert found is not None
        assert (found.id, found.name, list(found.args)) == (
            message.id,
            message.name,
            [1, {"a": [2]}],
        )

    def test_an_object_is_named_and_not_made(self) -> None:
        found = read_message(Serializer(), pickle.dumps(self.message(Bomb, ValueError("x"))))

        assert found is not None
        assert repr(found.args[1]) == "<builtins.ValueError>"

    @pytest.mark.parametrize(
        "data", [b"", b"no pickle", b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.", b"x" * 100_000]
    )
    def test_other_bytes_are_left_alone(self, data: bytes) -> None:
        assert read_message(Serializer(), data) is None

    def test_a_forged_signature_is_not_read(self) -> None:
        forged = SignedSerializer(secret="other").serialize(self.message(1, 2))

        assert read_message(SignedSerializer(secret="s"), forged) is None

    def test_a_serializer_of_the_project_is_not_asked(self) -> None:
        class Own(Serializer):
            def _deserialize(self, data: bytes) -> Any:
                return exploded.append("asked")

        assert read_message(Own(), pickle.dumps(self.message(1, 2))) is None
        assert not exploded


def dead_letter(task_id: str, detail: str = "it is poison") -> DeadLetter:
    data = djhuey.HUEY.serialize_task(add.s(1, 2, id=task_id))
    return DeadLetter(data, "crashed its worker", detail)


def redacted(name: str, args: Any, kwargs: dict[str, Any]) -> str:
    return f"{name} (redacted)"
