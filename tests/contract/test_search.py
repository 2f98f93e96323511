"""The search of messages and titles, on every backend."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import WITHOUT, InvalidCursorError, InvalidInputError, ProjectNotFoundError, Store
from hermes_store.storage import search_pages
from tests.support.search_oracle import hits, places, scanned

pytestmark = pytest.mark.usefixtures("few_pending")

#: Texts in twelve languages, with parts of them that have to be found, and words that must not be.
CORPUS: dict[str, tuple[str, list[str], list[str]]] = {
    "Chinese": ("我们要做数据库迁移，然后再测试。", ["迁移", "数", "数据库", "再测试"], ["移迁", "数库"]),
    "Japanese": ("データベースの移行をｶﾞｲﾄﾞで説明", ["ベース", "の移行", "ガイド", "で"], ["スベー"]),
    "Korean": ("데이터베이스 마이그레이션을 실행합니다", ["베이스", "마이그레이션", "다"], ["스이베"]),
    "Thai": ("ภาษาไทยเขียนติดกัน", ["ไทย", "เขียน", "กัน"], ["ยไท"]),
    "German": ("Die Straße ist GRÖSSER als nötig", ["strasse", "größer", "NOTIG", "groß*"], ["stra"]),
    "French": ("Un café déjà bu à l'été", ["cafe", "Déjà", "l'été", '"cafe deja"'], ["caf"]),
    "Turkish": ("İstanbul'da ılık bir gün", ["istanbul", "ilik", "gun"], ["istan"]),
    "Russian": ("Ещё одна ПРОВЕРКА поиска", ["еще", "проверка", "пров*"], ["провер"]),
    "Greek": ("Η ΑΝΑΖΗΤΗΣΗ του κόσμου", ["αναζητηση", "κοσμου", "αναζήτηση*"], ["αναζητ"]),
    "Arabic": ("البَحْثُ في الرسائل", ["البحث", "الرسائل"], ["بحث"]),
    "Hindi": ("हिन्दी में खोज करें", ["हिन्दी", "खोज"], ["हिन"]),
    "Vietnamese": ("Tìm kiếm tiếng Việt", ["tim kiem", "viet", '"tieng viet"'], ["tien"]),
    "code": (
        "def get_user_name(self): return HTTPServer.localPort  # src/app/main.py, v2.10 SHA256",
        [
            "get_user_name",
            "user_name",
            "name",
            "GET_USER",
            "localport",
            "LocalPort",
            "port",
            "HTTPServer",
            "httpserver",
            *["src/app/main.py", "main.py", "app/main", "v2.10", "sha*", "self.", "local_p*", "getusername OR x"][:7],
        ],
        ["getusername", "use", "mainpy"],
    ),
    "emoji": ("Fertig 🎉👩‍💻 ok", ["🎉", "👩", "fertig 🎉"], ["🚀"]),
}


@pytest.mark.parametrize("language", CORPUS)
def test_every_language_is_found_by_its_parts(store: Store, session_id: str, language: str) -> None:
    _, found, not_found = CORPUS[language]
    store.messages.extend(session_id, [{"role": "user", "content": other} for other, _, _ in CORPUS.values()])
    position = [*CORPUS].index(language)
    for words in found:
        assert (session_id, position) in places(store, words), words
    for words in not_found:
        assert (session_id, position) not in places(store, words), words


def test_snippets_show_the_matches_in_their_text(store: Store, session_id: str) -> None:
    long = "filler " * 400
    store.messages.append(session_id, {"role": "user", "content": f"{long}the Größe of ①ｶﾞ数据库 here {long}"})
    for words, expected in {
        "grosse": ["Größe"],
        "ガ": ["ｶﾞ"],
        "据库": ["据库"],
        "1": ["①"],
        "the of": ["the", "of"],
    }.items():
        [hit] = store.search(words).items
        assert [hit.snippet[first:last] for first, last in hit.matches] == expected
        assert "Größe" in hit.snippet
        assert len(hit.snippet) <= 160


def test_a_hit_identifies_its_session_and_message(store: Store, session_id: str) -> None:
    store.messages.append(session_id, {"role": "assistant", "content": "needle", "timestamp": 1.7e9})
    [hit] = store.search("needle").items
    assert hit.session == store.sessions.get(session_id)
    assert (hit.position, hit.role, hit.timestamp, hit.snippet) == (0, "assistant", 1.7e9, "needle")
    assert hit.matches == [(0, 6)]
    assert 0 < hit.score <= 1


def test_words_phrases_prefixes_and_exclusions(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, ["red green blue", "green red", "redder than green", "blue"])

    def found(words: str) -> list[int]:
        return sorted(position for _, position in places(store, words) if position is not None)

    assert found("red green") == [0, 1]
    assert found('"red green"') == [0]
    assert found("red*") == [0, 1, 2]
    assert found("red* -blue") == [1, 2]
    assert found('green -"red green"') == [1, 2]
    assert found("GREEN red green") == [0, 1]
    assert found("-blue") == []
    assert found('"red gre*"') == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "",
        " ",
        "*",
        "-",
        '"',
        '""',
        "-*",
        '-"',
        "AND",
        "a OR b",
        "NOT (x",
        "words:a",
        "^a",
        "a NEAR/2 b",
        "'a",
        "a\\",
        "a:*",
        "a & !b",
        "<->",
        "\x00",
        "\ud83d",
        "{a}",
        "%",
        "_",
        "a;--",
        "+",
        "🎉" * 200,
        "x" * 5000,
        "a " * 5000,
        '"' * 99,
    ],
)
def test_whatever_is_typed_is_text(store: Store, session_id: str, words: str) -> None:
    store.messages.extend(session_id, ["a b or not x words near 2 c", {"content": "+"}])
    assert set(places(store, words)) == scanned(store, words)


def test_text_that_a_person_reads_is_searched(store: Store, session_id: str) -> None:
    image = "iVBORw0KGgo" * 300
    store.messages.extend(
        session_id,
        [
            {"role": "user", "content": [{"type": "text", "text": "partone"}, {"type": "text", "text": "parttwo"}]},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}],
            },
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "call_secretid", "function": {"name": "read_file", "arguments": '{"path": "argpath"}'}}
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "name": "grep", "input": {"pattern": ["inputvalue"]}}],
            },
            {"role": "tool", "content": "toolresult"},
            {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "nested"}]}]},
            {"role": "user", "content": f"before data:image/png;base64,{image} after {image} end"},
            "plaintext",
            {"role": "user", "content": None, "other": "metadata"},
        ],
    )
    expected = {"partone": 0, "parttwo": 0, "argpath": 2, "read_file": 2, "inputvalue": 3, "toolresult": 4}
    expected |= {"nested": 5, "before": 6, "after": 6, "end": 6, "plaintext": 7}
    for words, position in expected.items():
        assert places(store, words) == [(session_id, position)], words
    for words in ("iVBOR*", "metadata", "call_secretid", "png", "base64"):
        assert places(store, words) == [], words


@pytest.mark.slow
def test_long_messages_are_searched_up_to_a_limit(store: Store, session_id: str) -> None:
    store.messages.append(
        session_id, {"content": "start " + "word " * 19_000 + "reached " + "word " * 1_000_000 + "beyond"}
    )
    store.messages.append(session_id, {"content": "是 不 " * 300 + "的确如此"})
    assert places(store, "start reached") == [(session_id, 0)]
    assert places(store, "beyond") == []
    assert places(store, '"word reached word"') == [(session_id, 0)]
    assert places(store, "的确") == [(session_id, 1)]
    assert places(store, '"不 的确"') == [(session_id, 1)]
    assert places(store, '"不 确"') == []


def test_what_is_changed_is_not_found_any_more(store: Store, session_id: str) -> None:
    def found(words: str) -> list[int | None]:
        return [position for _, position in places(store, words)]

    now = store.messages.extend(session_id, ["alpha", "beta", "gamma", "delta"]).revision
    now = store.messages.update(session_id, 0, "omega", expected_revision=now).revision
    assert (found("alpha"), found("omega")) == ([], [0])
    now = store.messages.replace(session_id, ["new", "omega", "gamma", "delta"], expected_revision=now).revision
    assert (found("beta"), found("omega"), found("gamma"), found("new")) == ([], [1], [2], [0])
    now = store.messages.truncate(session_id, keep=2, expected_revision=now).revision
    assert (found("gamma"), found("delta"), found("omega")) == ([], [], [1])
    with store.messages.stream(session_id, {"content": "first"}) as stream:
        stream.checkpoint({"content": "second"})
        assert (found("first"), found("second")) == ([], [2])
    store.sessions.update(session_id, title="Epsilon")
    assert (found("trip"), found("epsilon")) == ([], [None])
    store.sessions.update(session_id, title="Untitled")
    assert (found("untitled"), found("epsilon")) == ([], [])


def test_a_deleted_session_is_not_found_until_restored(store: Store, session_id: str) -> None:
    store.messages.append(session_id, "needle")
    store.sessions.delete(session_id)
    assert places(store, "needle") == places(store, "trip") == []
    store.sessions.restore(session_id)
    assert places(store, "needle") == [(session_id, 0)]
    assert places(store, "trip") == [(session_id, None)]
    store.sessions.purge(session_id)
    assert places(store, "needle") == places(store, "trip") == []


def test_what_a_transaction_undoes_is_not_found(store: Store, session_id: str) -> None:
    def fail() -> None:
        with store.transaction() as tx:
            tx.messages.append(session_id, "needle")
            tx.sessions.update(session_id, title="Needles")
            assert places(tx, "needle*") == [(session_id, None), (session_id, 0)]
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert places(store, "needle*") == []


def test_filters_choose_sessions_and_messages(store: Store) -> None:
    project = store.projects.create(name="P").project_id
    for name, fields in {
        "plain": {},
        "filed": {"project_id": project},
        "kept": {"archived": True},
        "sourced": {"source": "cli"},
        "works": {"profile": "work"},
    }.items():
        made = store.sessions.create(session_id=name, title="Needle", **fields)  # type: ignore[arg-type]
        message = {"role": "tool" if name == "kept" else "user", "content": "needle", "timestamp": 1e9 + len(name)}
        store.messages.append(made.session_id, message)

    def found(**options: Any) -> list[str]:
        return sorted({name for name, position in places(store, "needle", **options) if position is not None})

    every = ["filed", "kept", "plain", "sourced", "works"]
    assert found() == every
    assert found(profile="work") == ["works"]
    assert found(project_id=project) == ["filed"]
    assert found(project_id=WITHOUT) == ["kept", "plain", "sourced", "works"]
    assert found(archived=True) == ["kept"]
    assert found(archived=False) == ["filed", "plain", "sourced", "works"]
    assert found(source="cli") == ["sourced"]
    assert found(source=WITHOUT, archived=False) == ["filed", "plain", "works"]
    assert found(role="tool") == ["kept"]
    assert found(since=1e9 + 5, until=1e9 + 6) == ["filed", "plain", "works"]
    assert [hit.position for hit in hits(store, "needle", role="user")] == [0] * 4
    assert places(store.profile("work"), "needle") == [("works", None), ("works", 0)]
    with pytest.raises(ProjectNotFoundError):
        store.profile("work").search("needle", project_id=project)


def test_the_best_matches_come_first(store: Store) -> None:
    titled = store.sessions.create(title="About needles: needle").session_id
    other = store.sessions.create(title="Other").session_id
    store.messages.extend(other, ["needle " + "hay " * 300, "needle needle needle", "needle here"])
    assert places(store, "needle") == [(titled, None), (other, 1), (other, 2), (other, 0)]


def test_the_newest_come_first(store: Store, session_id: str) -> None:
    times = [5.0, 9.0, None, 7.0]
    store.messages.extend(session_id, [{"content": "needle", "timestamp": time} for time in times])
    store.sessions.create(title="needle", created_at=1.0)
    found = hits(store, "needle", order="recent")
    assert found[0].position is None  # a title has the time of its session
    assert [hit.position for hit in found[1:]] == [1, 3, 2, 0]  # so has a message without a time


@pytest.mark.parametrize("order", ["relevance", "recent"])
def test_pages_have_every_hit_once(store: Store, order: Any) -> None:
    for number in range(4):
        made = store.sessions.create(title="needle" if number % 2 else "hay").session_id
        store.messages.extend(made, [f"needle {'hay ' * (place % 7)}" for place in range(150)])
    expected = scanned(store, "needle")
    found = places(store, "needle", order=order, limit=37)
    assert len(found) == len(set(found)) == 602
    assert set(found) == expected
    assert found == places(store, "needle", order=order, limit=1000)


@pytest.mark.parametrize("order", ["relevance", "recent"])
@pytest.mark.parametrize("change", ["append", "truncate", "update", "purge"])
def test_what_others_write_between_pages_repeats_nothing(
    store: Store, order: Any, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(search_pages._GROUP, order, 10)
    kept, other, gone = [store.sessions.create(title="needle").session_id for _ in range(3)]
    for number in range(60):  # in a group there is something of each session, and the first hit is anywhere
        place = number * 7 % 10
        message = {"content": f"needle {'hay ' * place}", "timestamp": 1.7e9 - place}
        store.messages.append((kept, kept, kept, other, gone)[number % 5], message)
    expected = {place for place in scanned(store, "needle") if place[0] == kept}
    page = store.search("needle", order=order, limit=4)
    found = list(page.items)
    while page.next is not None:
        match change:
            case "append":
                store.messages.extend(other, ["needle", "needle"])
            case "truncate" | "update" if count := store.messages.count(other):
                revision = store.sessions.get(other).revision
                if change == "truncate":
                    store.messages.truncate(other, keep=count - 1, expected_revision=revision)
                else:
                    store.messages.update(other, -len(found) % count, "hay", expected_revision=revision)
            case "purge" if store.sessions.exists(gone):
                store.sessions.purge(gone)
        page = store.search("needle", order=order, limit=4, after=page.next)
        found += page.items
    places_found = [(hit.session.session_id, hit.position) for hit in found if hit.session.session_id == kept]
    assert len(places_found) == len(set(places_found))
    assert set(places_found) == expected


def test_cursors_are_those_of_a_search(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, ["needle", "needle"])
    cursor = store.search("needle", limit=1).next
    assert cursor is not None
    assert len(store.search("needle", limit=1, after=cursor).items) == 1
    for wrong in (cursor[:-1], cursor + "A", "A" * len(cursor), "", "é", "W10"):
        with pytest.raises(InvalidCursorError):
            store.search("needle", after=wrong)
    with pytest.raises(InvalidCursorError):
        store.search("needle", order="recent", after=cursor)
    with pytest.raises(InvalidInputError):
        store.search("needle", order="best")  # type: ignore[arg-type]


def test_a_store_without_an_index_reads_everything(target: str, request: pytest.FixtureRequest) -> None:
    if "://" in target:
        target = request.getfixturevalue("make_postgres_database")(empty=True)
    elif target != ":memory:":
        target = f"{target}-new"
    with Store.open(target, search=False, durability="normal") as store:
        store.sessions.create(title="Untitled", pinned=True)
        assert store.search("untitled").items == []
        made = store.sessions.create(title="Needle").session_id
        store.messages.extend(made, ["needle"] * 30 + ["hay"] * 600)
        page = store.search("needle", limit=1000)
        assert (len(page.items), page.is_indexed, store.info().search) == (31, False, False)
        assert set(places(store, "needle", limit=4)) == scanned(store, "needle")
    if target != ":memory:":
        with Store.open(target, search=True) as store:
            assert not store.info().search


def test_a_phrase_matches_words_in_their_order_only(store: Store, session_id: str) -> None:
    """A word with capitals inside is there as a whole, too, but next to nothing."""
    store.messages.append(session_id, "call getName now")
    assert places(store, '"call get name now"') == [(session_id, 0)]
    assert places(store, "getname") == [(session_id, 0)]
    assert places(store, '"getname call"') == places(store, '"now getname"') == []
