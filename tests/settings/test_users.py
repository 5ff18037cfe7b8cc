"""Who is included, and what holds for whom."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.settings import Settings, Users
from daemon.settings.users import outermost


def users(**given_: Any) -> Users:
    return Settings.model_validate({"users": given_}).users


@pytest.mark.parametrize(
    "name", ["alice", "o'neil", "anna b", "x@example.org", "2656a3c0-30b2-1032-8a8b", "007", "null"]
)
def test_any_user_id_that_nextcloud_knows_is_one(name: str) -> None:
    found = users(include={name: None}, new="exclude")
    assert found.decision(name) == "include"
    assert found.decision(f"{name}x") == "exclude"


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "..", ".", "a\nb", "a\x00"])
def test_what_no_home_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        users(include={name: {}})
    with pytest.raises(ValidationError):
        users(exclude=[name])


def test_strangers_are_asked_about_by_default() -> None:
    assert users().decision("alice") == "ask"
    assert users(exclude=["alice"], new="include").decision("alice") == "exclude"


def test_own_rules_win_over_those_for_everybody() -> None:
    found = users(
        include={"bob": {"folders": ["Camera"], "after": "keep", "existing": False, "release_after": "0s"}},
        existing=True,
        release_after="1d",
        tag="seen",
    )
    bob = found.rules_for("bob")
    assert bob == (("Camera",), False, "keep", 0.0, "Archived", "seen")
    everybody = found.rules_for("alice")
    assert everybody.folders == ("InstantUpload", "SofortUpload", "Camera Uploads", "Photos")
    assert (everybody.existing, everybody.after, everybody.release_after) == (True, "trash", 86400.0)


def test_an_own_empty_list_of_folders_is_not_taken_for_none() -> None:
    assert users(include={"bob": {"folders": []}}).rules_for("bob").folders == ()


def test_a_list_of_included_users_is_understood() -> None:
    assert users(include=["alice", 7]).include.keys() == {"alice", "7"}


@pytest.mark.parametrize("folder", ["", "/", "/Photos", "..", "a/../b", ".", "a\x00"])
def test_folders_lead_nowhere_else(folder: str) -> None:
    with pytest.raises(ValidationError):
        users(folders=[folder])


def test_folders_are_put_into_their_plain_form() -> None:
    assert users(folders=["a//b/", "./c"]).folders == ("a/b", "c")


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)))
def test_watched_folders_cover_all_that_were_named_and_none_lies_in_another(folders: list[str]) -> None:
    kept = outermost(tuple(folders))
    assert all(any(f"{folder}/".startswith(f"{outer}/") for outer in kept) for folder in folders)
    assert not any(one != other and one.startswith(f"{other}/") for one in kept for other in kept)
    assert len(set(kept)) == len(kept)


def test_settings_never_change() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.watch.settle = 1.0


def test_secrets_are_in_no_dump_and_no_repr() -> None:
    settings = Settings.model_validate(
        {
            "photoprism": {"token": "geheim1"},
            "notify": {"ntfy": {"token": "geheim2"}},
            "ui": {"password_hash": "$argon2id$geheim3"},
        }
    )
    assert settings.photoprism.token.get_secret_value() == "geheim1"
    for text in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "geheim" not in text
        assert "token" not in text
        assert "password_hash" not in text


def test_a_refused_secret_is_not_in_the_error() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"photoprism": {"token": "geheim geheim"}})
    assert "geheim" not in str(caught.value)
