"""Everything that the page can do, by the API alone: each deed is really done, and says who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from prometheus_client.parser import text_string_to_metric_families

from daemon.demo.playground import fixed
from daemon.errors import NeedsPerson

if TYPE_CHECKING:
    from tests.ui.house import House

PASSWORD = "a long and lasting pass phrase"


async def _run(house: House, path: str, **more: Any) -> dict[str, Any]:
    """Begin work in the background and give it when it has ended."""
    status, begun = await house.ask("POST", path, **more)
    assert status == 202, begun
    with anyio.fail_after(30):
        while True:
            run: dict[str, Any] = await house.get(f"/runs/{begun['run']['id']}")
            if run["state"] != "running":
                return run
            await anyio.sleep(0.05)


async def _done(house: House, count: int) -> list[dict[str, Any]]:
    await house.until(lambda: house.ledger.photos.counts()["done"] == count, f"{count} photos")
    photos: list[dict[str, Any]] = (await house.get("/photos"))["photos"]
    return photos


async def test_pause_and_resume(house: House) -> None:
    assert await house.ask("POST", "/pause") == (200, {"paused": True})
    assert (await house.get("/status"))["paused"] is True
    house.playground.upload(fixed()[0])
    await house.until(lambda: house.ledger.photos.counts()["settled"] == 1, "a photo that waits")
    assert await house.ask("POST", "/resume") == (200, {"paused": False})
    await _done(house, 1)
    deeds = [(line["deed"], line["who"]) for line in (await house.get("/audit"))["lines"]]
    assert ("paused", "page 127.0.0.1") in deeds
    assert ("resumed", "page 127.0.0.1") in deeds


async def test_a_photo_is_found_told_of_exported_and_put_back(house: House) -> None:
    house.playground.upload(fixed()[0])
    (row,) = await _done(house, 1)
    assert (await house.get("/photos?q=img_00&user=alice&state=done"))["photos"] == [row]
    assert (await house.get(f"/photos?q={row['blake3'][:10]}"))["photos"] == [row]
    assert (await house.get("/photos?user=bob"))["photos"] == []
    photo = await house.get(f"/photos/{row['id']}")
    assert photo["places"]["archive"]["exists"] is True
    assert [step["state"] for step in photo["history"]][-1] == "done"
    async with house.session.get(row["thumbnail"]) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert (await answer.read()).startswith(b"\xff\xd8")
    async with house.session.get("/api/v1/photos/export?format=b3sum") as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="photos.b3sum"'
        assert await answer.text() == f"{row['blake3']}  {row['archived_as']}\n"
    async with house.session.get("/api/v1/photos/export?format=csv") as answer:
        assert row["blake3"] in await answer.text()
    status, restored = await house.ask("POST", f"/photos/{row['id']}/restore")
    assert (status, restored["photo"]["state"]) == (200, "restored"), restored
    assert (house.playground.data / "alice" / "files" / restored["path"]).exists()
    status, refused = await house.ask("POST", f"/photos/{row['id']}/retry")
    assert (status, refused["error"]["code"]) == (409, "photo.not_retriable")


async def test_a_photo_without_a_small_picture_is_no_error(house: House) -> None:
    """Browsers note each error in their console: a list of films would fill it."""
    house.playground.upload(fixed()[0])
    (row,) = await _done(house, 1)
    (house.playground.archive / row["archived_as"]).write_bytes(b"no picture any more")
    async with house.session.get(row["thumbnail"]) as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_a_batch_is_put_back(house: House) -> None:
    house.playground.upload(fixed()[2])
    await _done(house, 2)
    (batch,) = (await house.get("/batches"))["batches"]
    assert (batch["photos"], batch["users"]) == (2, ["alice"])
    run = await _run(house, f"/batches/{batch['id']}/restore")
    assert (run["state"], run["result"]) == ("done", {"batch": batch["id"], "restored": 2, "failed": 0})
    assert {row["state"] for row in (await house.get(f"/batches/{batch['id']}"))["rows"]} == {"restored"}


async def test_sweeps_previews_and_indexing(house: House) -> None:
    assert (await _run(house, "/sweeps"))["state"] == "done"
    preview = await _run(house, "/sweeps", json={"dry_run": True, "users": ["alice"]})
    assert (preview["kind"], preview["state"], preview["who"]) == ("preview", "done", "page 127.0.0.1")
    assert (await _run(house, "/index", json={"album": True}))["state"] == "done"
    assert len((await house.get("/runs"))["runs"]) == 3
    failed = await _run(house, "/sweeps", json={"users": ["nobody"]})
    assert (failed["state"], failed["error"]["code"]) == ("failed", "sweep.not_included")


async def test_settings_are_changed_and_a_stale_change_is_refused(house: House) -> None:
    before = await house.get("/config")
    match = {"If-Match": f'"{before["etag"]}"'}
    status, after = await house.ask("PATCH", "/config", json={"watch": {"settle": "2s"}}, headers=match)
    assert status == 200, after
    assert house.front.settings().watch.settle == 2.0
    status, refused = await house.ask("PATCH", "/config", json={"watch": {"settle": "3s"}}, headers=match)
    assert (status, refused["error"]["code"]) == (409, "config.conflict")
    assert "settle" in refused["error"]["theirs"]
    assert refused["error"]["etag"] == after["etag"]
    status, refused = await house.ask("PATCH", "/config", json={"state": "/tmp/elsewhere"})
    assert (status, refused["error"]["code"]) == (403, "config.by_hand")
    status, refused = await house.ask("PUT", "/config", data=b"watch: [", headers={"Content-Type": "text/yaml"})
    assert (status, refused["error"]["code"]) == (422, "config.invalid")
    assert refused["error"]["faults"]
    (version, *_) = (await house.get("/config/versions"))["versions"]
    assert "yaml" in await house.get(f"/config/versions/{version['id']}")
    status, plan = await house.ask("POST", "/config/diff", json={"changes": {"watch": {"settle": "4s"}}})
    assert status == 200, plan
    assert "+  settle: 4s" in plan["diff"]
    assert (await house.get("/config/schedule?expression=every 15m"))["valid"] is True


async def test_a_user_is_excluded_and_included(house: House) -> None:
    assert {user["id"] for user in (await house.get("/users"))["users"]} >= {"alice", "bob"}
    status, user = await house.ask("PATCH", "/users/bob", json={"decision": "exclude"})
    assert (status, user["decision"]) == (200, "exclude"), user
    status, preview = await house.ask("POST", "/users/bob/preview", json={"decision": "include"})
    assert status == 200, preview
    assert preview["sentence"]
    status, user = await house.ask("PATCH", "/users/bob", json={"decision": "include", "after": "keep"})
    assert (status, user["decision"], user["rules"]["after"]) == (200, "include", "keep"), user


async def test_checks_and_the_test_message(house: House) -> None:
    assert await house.get("/checks") == {"at": None, "checks": []}
    status, found = await house.ask("POST", "/checks")
    assert status == 200
    assert {check["level"] for check in found["checks"]} <= {"ok", "warning", "failed"}
    assert await house.get("/checks") == found
    status, sent = await house.ask("POST", "/notify/test")
    assert (status, sent.get("sent", False)) in {(200, False), (409, False)}


async def test_metrics_are_what_the_status_says(house: House) -> None:
    house.playground.upload(fixed()[0])
    await _done(house, 1)
    with anyio.fail_after(20):
        while True:
            async with house.session.get("/metrics") as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=")
                families = {one.name: one for one in text_string_to_metric_families(await answer.text())}
            if families["photon_relay_free_bytes"].samples:  # disks are looked at a moment after the start
                break
            await anyio.sleep(0.1)
    photos = {sample.labels["state"]: sample.value for sample in families["photon_relay_photos"].samples}
    assert photos == (await house.get("/status"))["photos"]
    assert families["photon_relay_relayed"].samples[0].value == 1
    assert families["photon_relay_ready"].samples[0].value == 1
    assert {sample.labels["lamp"] for sample in families["photon_relay_lamp"].samples} >= {"nextcloud", "watcher"}


async def test_a_password_shuts_the_page_and_a_log_out_ends_its_connections(house: House) -> None:
    status, session = await house.ask("PUT", "/password", json={"password": PASSWORD})
    assert status == 200, session
    house.csrf = session["csrf"]
    live = await house.session.ws_connect("/api/v1/live")
    assert (await live.receive_json(timeout=10))["type"] == "snapshot"
    status, _ = await house.ask("DELETE", "/session")
    assert status == 200
    with anyio.fail_after(2):
        async for _ in live:
            pass
    assert live.close_code == 4401
    for path in ("/status", "/photos", "/config", "/log", "/live"):
        status, refused = await house.ask("GET", path)
        assert (status, refused["error"]["code"]) == (401, "session.needed"), path
    async with house.session.get("/metrics") as answer:
        assert answer.status in {401, 403}
    async with house.session.get("/healthz") as answer:
        assert answer.status == 200
    async with house.session.get("/") as answer:
        assert answer.status == 200  # the log-in form


async def test_all_photos_of_one_reason_are_tried_again(house: House) -> None:
    house.playground.upload(fixed()[0])
    (row,) = await _done(house, 1)
    error = NeedsPerson("archive.hidden", "it is hidden")
    assert await house.ask("POST", "/pause") == (200, {"paused": True})
    house.ledger.photos.hold([row["id"]], error, 1.0)
    (trouble,) = (await house.get("/status"))["troubles"]
    assert trouble["since"] == "1970-01-01T00:00:01.000Z"
    assert trouble["hint"] == ""
    assert await house.ask("POST", "/retry", json={"code": "other.reason"}) == (200, {"retried": 0})
    assert await house.ask("POST", "/retry", json={"code": "archive.hidden"}) == (200, {"retried": 1})
    assert house.ledger.photos.counts()["held"] == 0
    deeds = [(line["deed"], line["who"], line["note"]) for line in (await house.get("/audit"))["lines"]]
    assert ("tried again", "page 127.0.0.1", "1 photos: archive.hidden") in deeds
    status, found = await house.ask("POST", "/retry", json={"code": "not a code"})
    assert (status, found["error"]["code"]) == (422, "request.invalid")
