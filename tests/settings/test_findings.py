"""Keys that do not fit each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import ConfigError
from daemon.files.template import check_template
from daemon.settings.findings import _template
from daemon.settings_file import parse

HERE = Path("/etc/relay/photon-relay.yaml")
FOLDER = "archive: {via: folder}\n"


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), HERE, {})
    return [line.removeprefix(f"{HERE}:") for line in caught.value.faults]


def warnings(text: str) -> list[str]:
    return [line.removeprefix(f"{HERE}:") for line in parse(text.encode(), HERE, {}).warnings]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nextcloud:\n  occ:\n    via: off\n", "3: users.after: `trash` needs occ"),
        ("nextcloud: {occ: {via: off}}\nusers:\n  after: tag\n", "3: users.after: `tag` needs occ"),
        (
            "nextcloud: {occ: {via: off}}\nusers:\n  after: keep\n  include:\n    bob:\n      after: trash\n",
            "6: users.include.bob.after: `trash` needs occ",
        ),
        ("nextcloud: {occ: {via: off}, memories: on}\nusers: {after: keep}", "1: nextcloud.memories: `on` needs occ"),
        ("nextcloud: {occ: {via: off}, photos: on}\nusers: {after: keep}", "1: nextcloud.photos: `on` needs occ"),
        ("nextcloud: {occ: {via: command}}", "1: nextcloud.occ.command: must be the whole command as a list"),
        ("nextcloud: {occ: {container: ''}}", "1: nextcloud.occ.container: must be a container"),
        ("nextcloud: {occ: {user: ''}}", "1: nextcloud.occ.user: must be auto"),
        ("nextcloud: {occ: {user: 0}}", "1: nextcloud.occ.user: must not be root"),
        ("nextcloud: {occ: {timeout: 1ms}}", "1: nextcloud.occ.timeout: must be at least 1s"),
        ("nextcloud: {occ: {also: [[a:b], [--x]]}}", "1: nextcloud.occ.also[1]: must begin with an occ command"),
        ("nextcloud: {album: {folder: Album}}", "1: nextcloud.album.folder: must be an absolute path"),
        ("nextcloud: {album: {seen_by: ''}}", "1: nextcloud.album.seen_by: must be a user id"),
        ("users:\n  include: {bob: {}}\n  exclude: [bob]\n", "3: users.exclude[0]: `bob` stands in users.include too"),
        ("users: {include: {appdata_x: {}}}", "1: users.include.appdata_x: is a name of Nextcloud's own"),
        ("users: {after: archive, archived: a/b}", "1: users.archived: must be the name of one folder"),
        ("users: {after: archive, archived: Photos}", "1: users.archived: originals would be archived into `Photos`"),
        ("users: {include: {b: {after: archive, archived: A, folders: [x/A/y, x/z]}}}", "1: users.include.b.archived:"),
        ("users: {after: tag, tag: ' '}", "1: users.tag: must not be empty"),
        ("photoprism: {url: ''}", "1: photoprism.url: must not be empty"),
        ("photoprism: {url: 'photoprism:2342'}", "1: photoprism.url: must begin with http"),
        ("photoprism: {import: ''}", "1: photoprism.import: must be an absolute path"),
        ("photoprism: {import: /p/o/i, originals: /p/o}", "1: photoprism.import: must be another folder"),
        ("photoprism: {import: /nextcloud-data/alice/files}", "1: photoprism.import: must be another folder"),
        ("photoprism: {albums: ['{name}']}", "1: photoprism.albums[0]: must be a title"),
        ("photoprism: {albums: ['{']}", "1: photoprism.albums[0]: must be a title"),
        ("archive: {via: folder, folder: {path: ''}}", "1: archive.folder.path: must be an absolute path"),
        ("archive: {via: folder, folder: {path: /}}", "1: archive.folder.path: must not hold Nextcloud's data"),
        ("archive: {via: folder, folder: {template: x}}", "1: archive.folder.template: must hold {name}"),
        ("watch: {settle: 299ms}", "1: watch.settle: must be at least 300ms"),
        ("watch: {max_wait: 5s}", "1: watch.max_wait: must not be shorter"),
        ("watch: {sweep: every 1ms}", "1: watch.sweep: must be at least"),
        ('watch: {sweep: "0 25 * * *"}', "1: watch.sweep: must be `every`"),
        ("hooks: [{on: a}]", "1: hooks[0]: must have either url or run"),
        ("ui: {others: [{name: a}]}", "1: ui.others[0]: must have a url"),
        ("hooks: [{on: a, url: 'http://x', run: [a]}]", "1: hooks[0]: must have either url or run"),
        ("notify: {ntfy: {url: 'https://x'}}", "1: notify.ntfy.topic: must not be empty"),
        ("notify: {ntfy: {url: 'https://x', topic: a/b}}", "1: notify.ntfy.topic: must be 1 to 64"),
        ("ui: {tls: {key: k}}", "1: ui.tls.cert: must not be empty"),
        ("ui: {listen: '[::1'}", "1: ui.listen: must be address:port"),
        ("ui: {hosts: ['http://x']}", "1: ui.hosts[0]: must be a host name"),
        ("ui: {trusted_proxies: [x]}", "1: ui.trusted_proxies[0]: must be an address"),
        ("state: /nextcloud-data/state", "1: state: must not lie in Nextcloud's data"),
        ("state: ''", "1: state: must name a folder"),
    ],
)
def test_faults(text: str, fault: str) -> None:
    (line,) = faults(text)
    assert line.startswith(fault)


def test_the_fault_names_the_choices_that_work() -> None:
    (line,) = faults("nextcloud: {occ: {via: off}}")
    assert line.endswith("use delete, archive or keep")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("watch: {settle: 999ms}", "2: watch.settle: 999ms is very short"),
        ("users: {folders: [A/B, A]}", "2: users.folders: `A/B` lies in `A`"),
        ("users: {folders: []}", "2: users.folders: is an empty list"),
        ("ui: {listen: '0.0.0.0:8080'}", "2: ui.listen: other machines can reach the page"),
        ("notify: {ntfy: {topic: x}}", "2: notify.ntfy.url: is empty: no messages"),
        ("nextcloud: {occ: {via: off}}\nusers: {after: keep}", "2: nextcloud.occ.via: off: galleries"),
    ],
)
def test_warnings(text: str, warning: str) -> None:
    (line,) = warnings(FOLDER + text)
    assert line.startswith(warning)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ui: {listen: '0.0.0.0:8080', open: true}",
        "ui: {listen: '0.0.0.0:8080', allow: [10.0.0.0/8]}",
        "ui: {listen: '0.0.0.0:8080', password_hash: $argon2id$x}",
        "ui: {listen: '[::1]:8080'}",
        "users: {after: archive}",
        "users: {after: archive, folders: [A/Archived2, B]}",
        "nextcloud: {occ: {container: com.docker.compose.service=app}}",
        "nextcloud: {occ: {via: command, command: [php, occ], container: ''}}",
        "notify: {ntfy: {url: 'https://ntfy.sh/', topic: x}}",
        "photoprism: {url: '', import: /nextcloud-data}",
    ],
)
def test_what_fits_is_not_spoken_of(text: str) -> None:
    assert warnings(FOLDER + text) == []


@pytest.mark.parametrize(
    "text",
    [
        "notify: {ntfy: {url: 'ftp://x'}}",
        "nextcloud: {occ: {via: off}}\nusers: {after: burn}",
        "photoprism: {import: x}",
    ],
)
def test_a_wrong_key_is_not_blamed_again_for_the_default_in_its_place(text: str) -> None:
    assert len(faults(text)) == 1


@pytest.mark.parametrize(
    "template",
    [
        "{taken:%Y/%m}/{taken:%Y%m%d_%H%M%S}_{name}{ext}",
        "{user}/{name}{ext}",
        "{taken}{ext}",
        "{taken:100%%_%j-%G-%V}{ext}",
        "",
        "x{ext}",
        "{name}",
        "/{name}{ext}",
        "../{name}{ext}",
        ".x/{name}{ext}",
        "{name}{ext}/",
        "a//{name}{ext}",
        "{name!r}{ext}",
        "{name:>9}{ext}",
        "{name.__class__}{ext}",
        "{0}{ext}",
        "{}{ext}",
        "{camera}/{name}{ext}",
        "{taken:%A}_{name}{ext}",
        "{taken:%}_{name}{ext}",
        "{taken:{name}}{ext}",
        "{name}{ext",
        "{name}}{ext}",
        "a\nb/{name}{ext}",
        "x" * 600 + "{name}{ext}",
    ],
)
def test_templates_are_judged_as_the_archive_judges_them(template: str) -> None:
    assert bool(_template(template)) == bool(check_template(template))
