"""The gallery: what people say of their pictures, and how they find them again. Rows are put in directly."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import pytest
from atelier.access.actor import LOCAL_ADMIN, Actor, Role
from atelier.db import Database
from atelier.errors import BadRequest, CollectionNotFound, Conflict, ImageNotFound
from atelier.events import EventBus
from atelier.images.archive import MAX_BYTES, Archive
from atelier.images.collections import Collections
from atelier.images.editing import Editor
from atelier.images.gallery import Gallery
from atelier.images.gallery_schemas import BulkEditIn, CollectionIn, ImageEditIn
from atelier.images.search import Look
from atelier.storage import Storage
from serving import Server
from tests.databases import migrated

SIZES = [(512, 512), (512, 768), (768, 512)]


def insert(data_dir: Path, count: int, *, owner: str = "local", prefix: str = "img", **more: Any) -> list[str]:
    """Rows without files; each twelve hours after the one before."""
    ids = [f"{prefix}_{number:03d}" for number in range(count)]
    with sqlite3.connect(data_dir / "atelier.db", timeout=20) as database:
        database.execute(
            "INSERT OR IGNORE INTO users (id, name, role, created_at) VALUES (?, ?, 'user', '2026-01-01')",
            (owner, owner),
        )
        for number, image_id in enumerate(ids):
            width, height = SIZES[number % 3]
            row = {
                "id": image_id, "owner_id": owner, "job_id": f"job_{prefix}_{number}", "index": 0, "format": "png",
                "width": width, "height": height, "bytes": 1000 + number, "sha256": "0" * 64, "seed": number,
                "model": "ponds" if number % 4 == 0 else "creatures", "prompt": f"a newt and {number} dragons",
                "recipe": json.dumps({"loras": [{"key": "ink", "weight": 1.0}] if number % 5 == 0 else []}),
                "created_at": f"{datetime(2026, 3, 1) + timedelta(hours=12) * number}.000000", **more,
            }  # fmt: skip
            names = ", ".join(f'"{name}"' for name in row)
            database.execute(f"INSERT INTO images ({names}) VALUES ({','.join('?' * len(row))})", list(row.values()))  # noqa: S608
    database.close()
    return ids


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("gallery") / "data") as running:
        insert(running.data_dir, 24)
        insert(running.data_dir, 2, owner="somebody", prefix="theirs")
        yield running


def listed(server: Server, **params: Any) -> list[str]:
    """All pages, by small steps; the pages of marks say the same."""
    images = _every(server, "/api/gallery", {"limit": 5, **params})
    marks = _every(server, "/api/gallery/marks", {"limit": 7, **params})
    names = ("id", "favourite", "rating", "tags", "collections")
    assert marks == [{name: image[name] for name in names} for image in images]
    return [image["id"] for image in images if image["id"].startswith("img_")]


def _every(server: Server, path: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = server.client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def edit(server: Server, ids: list[str], expected: int = 200, **changes: Any) -> dict[str, Any]:
    answer = server.client.post("/api/gallery/edit", json={"ids": ids, **changes})
    assert answer.status_code == expected, answer.text
    return answer.json()


def numbers(ids: list[str]) -> list[int]:
    return [int(one.removeprefix("img_")) for one in ids]


class TestFilters:
    def test_each_alone(self, studio: Server) -> None:
        newest = list(range(23, -1, -1))
        cases: list[tuple[dict[str, Any], Any]] = [
            ({}, lambda n: True),
            ({"model": "ponds"}, lambda n: n % 4 == 0),
            ({"lora": "ink"}, lambda n: n % 5 == 0),
            ({"size": "512x768"}, lambda n: n % 3 == 1),
            ({"aspect": "landscape"}, lambda n: n % 3 == 2),
            ({"aspect": "portrait"}, lambda n: n % 3 == 1),
            ({"aspect": "square"}, lambda n: n % 3 == 0),
            ({"since": "2026-03-03T00:00:00Z"}, lambda n: n >= 4),
            ({"until": "2026-03-03T00:00:00Z"}, lambda n: n < 4),
            ({"since": "2026-03-02", "until": "2026-03-10T13:00:00+01:00"}, lambda n: 2 <= n < 19),
            ({"kind": "video"}, lambda n: False),
            ({"kind": "image"}, lambda n: True),
            ({"q": "1 dragons"}, lambda n: "1" in str(n)),
            ({"model": "ponds", "lora": "ink", "q": "newt"}, lambda n: n % 20 == 0),
            ({"collection": "col_none"}, lambda n: False),
            ({"parent": "img_none"}, lambda n: False),
        ]
        for params, wanted in cases:
            assert numbers(listed(studio, **params)) == [n for n in newest if wanted(n)], params
            assert numbers(listed(studio, **params, sort="oldest")) == [n for n in reversed(newest) if wanted(n)], (
                params
            )

    def test_what_people_said(self, studio: Server) -> None:
        edit(studio, ["img_003", "img_007"], favourite=True, rating=4, add_tags=["Blue  Ones", "keep"])
        edit(studio, ["img_011"], rating=2, add_tags=["keep"])
        try:
            assert numbers(listed(studio, favourite=True)) == [7, 3]
            assert len(listed(studio, favourite=False)) == 22
            assert numbers(listed(studio, rating=2)) == [11, 7, 3]
            assert numbers(listed(studio, rating=3, sort="oldest")) == [3, 7]
            assert len(listed(studio, unrated=True)) == 21
            assert numbers(listed(studio, sort="rating"))[:5] == [7, 3, 11, 23, 22]
            assert len(listed(studio, sort="rating")) == 24
            assert numbers(listed(studio, sort="rating", since="2026-03-03", lora="ink"))[:2] == [20, 15]
            assert numbers(listed(studio, tag="keep")) == [11, 7, 3]
            assert numbers(listed(studio, tag=["keep", "BLUE ones"])) == [7, 3]
            facets = studio.client.get("/api/gallery/facets").json()
            assert facets["tags"] == [{"name": "keep", "count": 3}, {"name": "blue ones", "count": 2}]
            assert (facets["has_favourites"], facets["has_videos"]) == (True, False)
            edit(studio, ["img_003", "img_011"], rating=5)
            assert numbers(listed(studio, rating=5)) == [11, 3]
            assert numbers(listed(studio, rating=5, sort="oldest")) == [3, 11]
            assert numbers(listed(studio, rating=4)) == [11, 7, 3]
        finally:
            cleared = {"favourite": False, "rating": 0, "remove_tags": ["keep", "blue ones"]}
            edit(studio, ["img_003", "img_007", "img_011"], **cleared)
        assert studio.client.get("/api/gallery/facets").json()["tags"] == []

    def test_facets_count_what_is_in_the_gallery(self, studio: Server) -> None:
        facets = studio.client.get("/api/gallery/facets").json()
        assert {one["name"]: one["count"] for one in facets["models"]} == {"creatures": 19, "ponds": 7}
        loras = {one["name"]: one["count"] for one in facets["loras"]}
        assert {(one["width"], one["height"]) for one in facets["sizes"]} == set(SIZES)
        edit(studio, ["img_005"], delete=True)
        less = studio.client.get("/api/gallery/facets").json()
        assert less["loras"] == [{"name": "ink", "count": loras["ink"] - 1}]
        edit(studio, ["img_005"], restore=True)

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"rating": 6}, "query.rating"),
            ({"rating": 0}, "query.rating"),
            ({"size": "0 x 1"}, "query.size"),
            ({"aspect": "round"}, "query.aspect"),
            ({"since": "yesterday"}, "query.since"),
            ({"tag": ["a"] * 6}, "query.tag"),
            ({"tag": " "}, "query.tag.0"),
            ({"sort": "best"}, "query.sort"),
            ({"cursor": "3.4"}, "query.cursor"),
            ({"cursor": "4", "sort": "rating"}, "query.cursor"),
            ({"cursor": "x.4", "sort": "rating"}, "query.cursor"),
        ],
    )
    def test_wrong_ones_are_named(self, studio: Server, params: dict[str, Any], field: str) -> None:
        answer = studio.client.get("/api/gallery", params=params)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field

    def test_far_times_and_cursors_are_answered(self, studio: Server) -> None:
        far = {"since": "0001-01-01", "until": "9999-12-31T23:59:59Z"}
        assert len(listed(studio, **far)) == 24
        for cursor in ("999999999999999999.1", "-5.1"):
            assert studio.client.get("/api/gallery", params={**far, "cursor": cursor}).status_code == 200


class TestOne:
    def test_everything_that_can_be_said(self, studio: Server) -> None:
        said = {"favourite": True, "rating": 5, "note": "print this one\n", "tags": ["Zebra", " apple  pie ", "zebra"]}
        answer = studio.client.patch("/api/gallery/img_001", json=said)
        image = answer.json()
        assert image["favourite"] is True
        assert (image["rating"], image["note"], image["tags"]) == (5, "print this one\n", ["apple pie", "zebra"])
        assert studio.client.get("/api/gallery/img_001").json() == image
        partly = studio.client.patch("/api/gallery/img_001", json={"rating": 0}).json()
        assert partly == {**image, "rating": 0}
        cleared = {"favourite": False, "note": "", "tags": []}
        assert studio.client.patch("/api/gallery/img_001", json=cleared).json()["tags"] == []

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"rating": 6}, "rating"),
            ({"rating": -1}, "rating"),
            ({"note": "x" * 4001}, "note"),
            ({"tags": [str(number) for number in range(21)]}, "tags"),
            ({"tags": ["x" * 41]}, "tags.0"),
            ({"tags": ["\u200b \n"]}, "tags.0"),
            ({"seed": 1}, "seed"),
        ],
    )
    def test_limits(self, studio: Server, change: dict[str, Any], field: str) -> None:
        answer = studio.client.patch("/api/gallery/img_001", json=change)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field

    def test_up_to_the_limits(self, studio: Server) -> None:
        tags = [f"{number:02d}" + "x" * 38 for number in range(20)]
        image = studio.client.patch("/api/gallery/img_001", json={"note": "x" * 4000, "tags": tags}).json()
        assert (image["tags"], len(image["note"])) == (tags, 4000)
        answer = edit(studio, ["img_000", "img_001"], 422, add_tags=["one more"])
        assert answer["errors"][0]["field"] == "ids.1"
        assert studio.client.get("/api/gallery/img_000").json()["tags"] == []
        assert len(edit(studio, ["img_001"], add_tags=["one more"], remove_tags=tags[:1])["images"][0]["tags"]) == 20
        studio.client.patch("/api/gallery/img_001", json={"note": "", "tags": []})

    def test_where_it_comes_from(self, studio: Server) -> None:
        with sqlite3.connect(studio.data_dir / "atelier.db", timeout=20) as database:
            for child, parent in (("img_004", "img_002"), ("img_006", "img_004"), ("img_008", "img_004")):
                database.execute("UPDATE images SET parent_id = ? WHERE id = ?", (parent, child))
        database.close()
        lineage = studio.client.get("/api/gallery/img_004/lineage").json()
        assert [image["id"] for image in lineage["made_from"]] == ["img_002"]
        assert [image["id"] for image in lineage["became"]] == ["img_008", "img_006"]
        above = studio.client.get("/api/gallery/img_008/lineage").json()["made_from"]
        assert [image["id"] for image in above] == ["img_004", "img_002"]
        assert listed(studio, parent="img_004") == ["img_008", "img_006"]


class TestMany:
    def test_all_or_nothing(self, studio: Server) -> None:
        answer = edit(studio, ["img_001", "img_none", "img_002", "img_gone"], 404, favourite=True)
        assert answer["code"] == "image_not_found"
        assert [one["field"] for one in answer["errors"]] == ["ids.1", "ids.3"]
        assert answer["said"] == {"code": "image.many_missing", "params": {"count": 2}}
        assert listed(studio, favourite=True) == []

    def test_deleted_and_restored_together(self, studio: Server) -> None:
        answer = edit(studio, ["img_001", "img_002"], delete=True)
        assert answer["images"] == []
        assert answer["restorable_until"]
        assert len(listed(studio)) == 22
        edit(studio, ["img_001"], 404, favourite=True)
        edit(studio, ["img_001", "img_003"], 404, restore=True)
        restored = edit(studio, ["img_001", "img_002"], restore=True)["images"]
        assert [image["id"] for image in restored] == ["img_001", "img_002"]
        assert len(listed(studio)) == 24

    @pytest.mark.parametrize("changes", [{}, {"delete": True, "favourite": True}, {"delete": True, "restore": True}])
    def test_one_thing_at_a_time(self, studio: Server, changes: dict[str, Any]) -> None:
        assert edit(studio, ["img_001"], 422, **changes)["errors"][0]["said"]["code"] == "field.edit_unclear"

    def test_five_hundred_and_one_more(self, studio: Server) -> None:
        ids = [f"none_{number}" for number in range(501)]
        assert edit(studio, ids[:500], 404, favourite=True)["said"]["params"] == {"count": 500}
        assert edit(studio, ids, 422, favourite=True)["errors"][0]["field"] == "ids"
        assert edit(studio, [], 422, favourite=True)["errors"][0]["field"] == "ids"


class TestCollections:
    def test_a_life(self, studio: Server) -> None:
        made = studio.client.post("/api/collections", json={"name": "  Best of\tMarch "})
        assert made.status_code == 201
        best = made.json()
        assert (best["name"], best["count"], best["covers"]) == ("Best of March", 0, [])
        later = studio.client.post("/api/collections", json={"name": "later"}).json()
        taken = studio.client.post("/api/collections", json={"name": "BEST OF MARCH"})
        assert (taken.status_code, taken.json()["errors"][0]["field"]) == (409, "name")

        images = edit(studio, ["img_001", "img_002", "img_003"], add_to=best["id"])["images"]
        assert all(image["collections"] == [best["id"]] for image in images)
        edit(studio, ["img_001", "img_002"], add_to=best["id"])
        assert numbers(listed(studio, collection=best["id"])) == [3, 2, 1]
        edit(studio, ["img_002"], remove_from=best["id"], add_to=later["id"])
        assert numbers(listed(studio, collection=best["id"])) == [3, 1]
        edit(studio, ["img_003"], delete=True)
        shown = {one["name"]: one for one in studio.client.get("/api/collections").json()["items"]}
        assert list(shown) == ["Best of March", "later"]
        assert (shown["Best of March"]["count"], shown["later"]["count"]) == (1, 1)
        assert shown["later"]["covers"] == ["/api/gallery/img_002/thumbnail"]
        edit(studio, ["img_003"], restore=True)

        path = f"/api/collections/{best['id']}"
        assert studio.client.patch(path, json={"name": "best of march"}).json()["count"] == 2
        assert studio.client.patch(path, json={"name": "LATER"}).status_code == 409
        assert studio.client.delete(path).json()["count"] == 2
        assert studio.client.delete(path).status_code == 404
        assert studio.client.get("/api/gallery/img_001").json()["collections"] == []
        studio.client.delete(f"/api/collections/{later['id']}")

    @pytest.mark.parametrize("name", ["", " \t ", "x" * 101])
    def test_names_have_limits(self, studio: Server, name: str) -> None:
        assert studio.client.post("/api/collections", json={"name": name}).json()["errors"][0]["field"] == "name"

    def test_a_collection_that_is_not_there(self, studio: Server) -> None:
        answer = edit(studio, ["img_001"], 404, add_to="col_none", favourite=True)
        assert (answer["code"], answer["errors"][0]["field"]) == ("collection_not_found", "add_to")
        assert studio.client.get("/api/gallery/img_001").json()["favourite"] is False

    def test_owners_are_not_mixed(self, studio: Server) -> None:
        mine = studio.client.post("/api/collections", json={"name": "mine"}).json()["id"]
        answer = edit(studio, ["img_001", "theirs_001"], 422, add_to=mine)
        assert [one["field"] for one in answer["errors"]] == ["ids.1"]
        assert listed(studio, collection=mine) == []
        studio.client.delete(f"/api/collections/{mine}")


class TestFiles:
    def test_many_come_as_one_archive_whose_length_is_known(self, studio: Server) -> None:
        images = studio.wait_for(studio.generate("a heap", num_outputs=3))["images"]
        images += studio.wait_for(studio.generate("a heap", format="jpeg"))["images"]
        # The fake engine makes nothing but PNG files.
        (studio.data_dir / "images" / images[3]["job_id"] / "0.jpeg").write_bytes(b"\xff\xd8\xff\xd9")
        ids = [image["id"] for image in images]
        with studio.client.stream("GET", "/api/gallery/archive", params={"ids": ",".join([*ids, ids[0]])}) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-disposition"].startswith('attachment; filename="atelier-')
            data = b"".join(answer.iter_raw())
        assert len(data) == int(answer.headers["content-length"])
        with ZipFile(BytesIO(data)) as archive:
            assert archive.testzip() is None
            assert [info.compress_type for info in archive.infolist()] == [ZIP_STORED] * 4
            day = images[0]["created_at"][:10]
            names = [f"{day}-{image['seed']}-{image['id']}" for image in images]
            assert archive.namelist() == [f"{name}.{'jpg' if n == 3 else 'png'}" for n, name in enumerate(names)]
            assert hashlib.sha256(archive.read(archive.namelist()[0])).hexdigest() == images[0]["sha256"]
        edit(studio, ids, delete=True)
        gone = studio.client.get("/api/gallery/archive", params={"ids": ",".join(ids)})
        assert (gone.status_code, gone.json()["said"]["params"]) == (404, {"count": 4})
        amount = studio.client.get("/api/gallery/storage").json()["trash"]
        assert amount == {"count": 4, "bytes": sum(image["bytes"] for image in images)}
        assert studio.client.delete("/api/gallery/trash").json() == amount
        assert studio.client.get("/api/gallery/storage").json()["trash"]["count"] == 0
        assert edit(studio, ids, 404, restore=True)["code"] == "image_not_found"
        assert not list((studio.data_dir / "images" / images[0]["job_id"]).iterdir())

    def test_an_archive_has_limits(self, studio: Server) -> None:
        def ask(count: int) -> Any:
            return studio.client.get("/api/gallery/archive", params={"ids": ",".join(f"i{n}" for n in range(count))})

        assert ask(500).json()["code"] == "image_not_found"
        assert ask(501).json()["said"] == {"code": "image.archive_too_many", "params": {"limit": 500}}
        without_file = studio.client.get("/api/gallery/archive", params={"ids": "img_001"})
        assert (without_file.status_code, without_file.json()["said"]["code"]) == (404, "image.file_gone")

    async def test_an_archive_is_small_enough_for_every_program(self, tmp_path: Path) -> None:
        migrated(tmp_path / "atelier.db")
        [one, other] = insert(tmp_path, 2)
        database, storage = Database(tmp_path / "atelier.db"), Storage(tmp_path)
        for number, size in enumerate((MAX_BYTES - 1, 1)):
            path = storage.image_file(f"job_img_{number}", "0.png")
            path.parent.mkdir(parents=True)
            with path.open("wb") as file:
                file.truncate(size)
        archive = Archive(database, storage)
        assert (await archive.of(LOCAL_ADMIN, [one, other])).length > MAX_BYTES
        os.truncate(path, 2)
        with pytest.raises(BadRequest):
            await archive.of(LOCAL_ADMIN, [one, other])

    def test_what_takes_room(self, studio: Server) -> None:
        before = studio.client.get("/api/gallery/storage").json()
        assert before["total"]["count"] == sum(one["count"] for one in before["by_model"])
        assert before["total"]["bytes"] == sum(one["bytes"] for one in before["by_month"])
        assert before["by_kind"] == [{"name": "image", **before["total"]}]
        assert before["by_month"][-1]["name"] == "2026-03"
        assert (before["unrated_old"]["count"], before["old_days"]) == (26, 90)
        edit(studio, ["img_003"], rating=1)
        edit(studio, ["img_004"], favourite=True)
        edit(studio, ["img_006"], add_tags=["kept"])
        assert studio.client.get("/api/gallery/storage").json()["unrated_old"]["count"] == 23
        edit(studio, ["img_003", "img_004", "img_006"], rating=0, favourite=False, remove_tags=["kept"])


class TestOwners:
    """A user sees, changes and counts what is theirs; everything else is not there for them."""

    @pytest.fixture
    def features(self, tmp_path: Path) -> tuple[Gallery, Editor, Collections, list[tuple[str, str | None]]]:
        migrated(tmp_path / "atelier.db")
        insert(tmp_path, 4)
        insert(tmp_path, 4, owner="somebody", prefix="theirs")
        database, bus, heard = Database(tmp_path / "atelier.db"), EventBus(), []
        bus.listen(lambda event: heard.append((json.loads(event.body)["type"], event.owner)))
        gallery = Gallery(database, Storage(tmp_path), None, bus)  # type: ignore[arg-type]
        return gallery, Editor(database, bus), Collections(database, bus), heard

    async def test_foreign_things_are_not_there(self, features: Any) -> None:
        gallery, editor, collections, heard = features
        somebody, local = Actor("somebody", "S", Role.USER), Actor("local", "L", Role.USER)
        page = await gallery.page(somebody, Look(words="newt"), cursor=None, limit=50)
        assert {image.id[:6] for image in page.items} == {"theirs"}
        marks = await gallery.marks(somebody, Look(words="newt"), cursor=None, limit=50)
        assert [one.id for one in marks.items] == [image.id for image in page.items]
        facets = await gallery.facets(somebody)
        assert sum(one.count for one in facets.models) == 4
        assert [(one.name, one.count) for one in facets.loras] == [("ink", 1)]
        for attempt in (
            editor.change(somebody, "img_001", ImageEditIn(rating=1)),
            editor.change_many(somebody, BulkEditIn(ids=["theirs_001", "img_001"], favourite=True)),
            editor.change_many(somebody, BulkEditIn(ids=["img_001"], delete=True)),
            gallery.lineage(somebody, "img_001"),
        ):
            with pytest.raises(ImageNotFound):
                await attempt
        ours = await collections.add(local, CollectionIn(name="ours"))
        theirs = await collections.add(somebody, CollectionIn(name="ours"))
        assert [one.id for one in (await collections.list(somebody)).items] == [theirs.id]
        for attempt in (
            editor.change_many(somebody, BulkEditIn(ids=["theirs_001"], add_to=ours.id)),
            collections.change(somebody, ours.id, CollectionIn(name="x")),
            collections.remove(somebody, ours.id),
        ):
            with pytest.raises(CollectionNotFound):
                await attempt
        assert set(heard) == {("collections.changed", "local"), ("collections.changed", "somebody")}

    async def test_not_more_than_two_hundred_collections(self, features: Any) -> None:
        _, _, collections, _ = features
        local = Actor("local", "L", Role.USER)
        for number in range(200):
            await collections.add(local, CollectionIn(name=str(number)))
        with pytest.raises(Conflict):
            await collections.add(local, CollectionIn(name="one more"))
        await collections.add(Actor("somebody", "S", Role.USER), CollectionIn(name="of somebody else"))

    async def test_many_at_once_are_told_in_parts(self, features: Any, tmp_path: Path) -> None:
        _, editor, _, heard = features
        ids = insert(tmp_path, 500, prefix="many")
        admin = Actor("local", "L", Role.ADMIN)
        changed = await editor.change_many(admin, BulkEditIn(ids=ids, favourite=True, add_tags=["many"]))
        assert [image.id for image in changed.images] == ids
        assert all(image.favourite and image.tags == ["many"] for image in changed.images)
        assert heard == [("images.changed", "local")] * 5

    async def test_events_go_to_the_owner(self, features: Any) -> None:
        _, editor, _, heard = features
        admin = Actor("local", "L", Role.ADMIN)
        await editor.change_many(admin, BulkEditIn(ids=["img_001", "theirs_001"], favourite=True))
        assert heard == [("images.changed", "local"), ("images.changed", "somebody")]
