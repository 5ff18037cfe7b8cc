"""Groups that an import cut short has torn: some members are in the archive, the others still lie in ``import``.

PhotoPrism names a whole group after its main file, and joins only what it meets together. So what is missing in the
batch folder is put back beside what is left: the rest gets the stem of its photo, and what PhotoPrism has already it
throws away as a duplicate (its ``internal/photoprism/import_worker.go``). All functions block.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from daemon.errors import Refused
from daemon.files.names import placed_name
from daemon.files.opening import directory_below
from daemon.files.publishing import publish, sync_dir
from daemon.relay import batch_folder
from daemon.relay.batch import groups_of
from daemon.relay.partners import companions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo


def torn(ledger: Ledger, photos: Iterable[Photo], lying: set[str]) -> tuple[list[list[Photo]], dict[int, list[Photo]]]:
    """Give those groups of a batch of which a part lies in its folder, and of each the archived photos it came with.

    ``lying`` is what is there, as ``<subfolder>/<name>``. A group that is whole there, or gone as a whole, is not torn.
    """
    groups: list[list[Photo]] = []
    beside: dict[int, list[Photo]] = {}
    for group in groups_of(photo for photo in photos if photo.place):
        places = {photo.place for photo in group}
        if not places & lying:
            continue
        late = companions(ledger, group)
        subfolder = group[0].place.partition("/")[0]
        places |= {f"{subfolder}/{placed_name(photo.name)}" for photo in late}
        if not places <= lying:
            groups.append(group)
            beside[group[0].group_id or group[0].id] = late
    return groups, beside


def put_back(import_root: str, batch: str) -> None:
    """Move what stands in a batch's hidden folder into the visible one, where its name is free; sweep the rest.

    By renames of whole files: PhotoPrism may be working in the visible folder, and takes what it finds for complete.
    """
    hidden = batch_folder.HIDDEN + batch
    with suppress(Refused), directory_below(import_root, hidden) as filled:
        for subfolder in sorted(os.listdir(filled)):
            # Where the subfolder is gone, PhotoPrism has taken in all of it meanwhile.
            with (
                suppress(Refused),
                directory_below(import_root, f"{batch}/{subfolder}") as visible,
                directory_below(filled, subfolder) as source,
            ):
                for name in sorted(os.listdir(source)):
                    with suppress(FileExistsError):
                        # Power cut here: hidden, or visible and complete; the users' files are only read. What is
                        # still torn is put back once more.
                        publish(source, name, name, to_fd=visible, sync=False)
                sync_dir(visible)
    batch_folder.sweep(import_root, hidden)
