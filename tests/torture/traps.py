# ruff: noqa: E501 - a table
"""Every trap of PhotoPrism and Nextcloud that is known: how a stand-in plays it, and the test that steps into it.

``switch`` is a stand-in's; empty where the stand-in always behaves so, or where the test plays it by itself.
"""

from __future__ import annotations

from typing import NamedTuple


class Trap(NamedTuple):
    """One way in which the other side lies, hangs, restarts or loses."""

    id: str
    what: str
    switch: str
    test: str


_P = "tests/photoprism/test_client.py::"
_S = "tests/photoprism/test_standin_import.py::"
_W = "tests/photoprism/test_progress.py::"
_C = "tests/relay/test_confirm.py::"
_L = "tests/torture/test_lies.py::"
_U = "tests/torture/test_lies_users.py::"
_G = "tests/relay/test_torn.py::"
_E = "tests/e2e/test_photoprism_traps.py::"
_N = "tests/e2e/test_nextcloud_traps.py::"
_O = "tests/nextcloud/test_occ.py::"
_R = "tests/relay/test_release.py::"
_K = "tests/relay/test_refresh.py::"

TRAPS = (
    # PhotoPrism: its interface
    Trap("P01", "busy: 200, completed, nothing done", "busy", "tests/relay/test_pipeline.py::test_a_busy_photoprism_is_waited_for_however_long_it_takes"),
    Trap("P02", "busy for the next calls only, heard by the WebSocket alone", "busy_next", _W + "test_busy_is_heard"),
    Trap("P03", "the import folder is not the one it has: 200, nothing done", "", _E + "test_an_import_folder_that_photoprism_does_not_see"),
    Trap("P04", "an unclean path imports the whole import folder", "", _P + "test_an_unclean_import_is_never_asked_for"),
    Trap("P05", "POST /import is redirected", "", _P + "test_redirects_are_not_followed"),
    Trap("P06", "an import lasts for hours", "seconds_per_photo", _P + "test_long_work_is_waited_for_while_anything_is_answered"),
    Trap("P07", "a proxy cuts a long import, which goes on", "proxy_cuts_after", _P + "test_an_import_that_goes_on_unanswered"),
    Trap("P08", "it hangs in an import or index", "outage", _P + "test_one_that_hangs_is_not_waited_for_as_long_as_work_may_take"),
    Trap("P09", "refused, hanging, 5xx, a page of somebody else, cut connections", "outage", _P + "test_outages"),
    Trap("P10", "the same through the whole program", "outage", _E + "test_photoprism_gone_for_long"),
    Trap("P11", "it restarts in mid-import", "crash_after", _E + "test_a_restart_of_photoprism_in_mid_import"),
    Trap("P28", "it restarts in the middle of a Live Photo", "crash_at", _G + "test_photoprism_restarts_in_the_middle_of_a_group"),
    Trap("P12", "429, with how long to wait", "throttle", _P + "test_429"),
    Trap("P13", "its limiter turns the right token away", "", _P + "test_an_empty_limiter_turns_the_right_token_away"),
    Trap("P14", "a token without a user, scope or role", "", _P + "test_probe_tells_wrong_token_scope_role_and_user_apart"),
    Trap("P15", "read-only mode", "readonly", _P + "test_probe_of_switches"),
    Trap("P16", "import switched off", "import_disabled", _P + "test_probe_of_switches"),
    Trap("P17", "index switched off", "library_disabled", _P + "test_index"),
    Trap("P18", "the files quota is reached: 507", "quota_full", _E + "test_what_passes_by_itself_is_waited_for"),
    Trap("P19", "public mode", "public", _P + "test_public_mode_needs_no_token"),
    Trap("P20", "no WebSocket, a mute one", "websocket", _W + "test_no_websocket_there"),
    Trap("P21", "frames that are not what they should be", "websocket", _W + "test_odd_frames_are_passed_over"),
    Trap("P22", "answers of another form", "odd_answers", _P + "test_odd_json"),
    Trap("P23", "messages in the instance's language", "language", _L + "test_photoprism_is_set_up_otherwise"),
    Trap("P24", "a proxy's 404 is not PhotoPrism's", "", _P + "test_only_photoprism_itself_can_say_that_a_file_is_unknown"),
    Trap("P25", "downloads are damaged", "dl_damaged", _C + "test_without_originals_other_bytes_prove_nothing"),
    Trap("P26", "downloads break off", "dl_cut", _C + "test_without_originals_a_download_that_breaks_off_waits"),
    Trap("P27", "a picture that is none, endless or hanging", "thumbnail", "tests/service/test_thumbnails.py::test_what_photoprism_gives_instead_of_a_picture_does_not_go_out"),
    # PhotoPrism: what it does with files
    Trap("P30", "moved, but not indexed", "unindexed", _C + "test_bytes_without_a_row_are_proved_after_an_index_of_just_that_folder"),
    Trap("P31", "moved, and never indexed", "never_indexed", _C + "test_what_is_never_indexed_is_asked_for_twice_and_then_kept"),
    Trap("P32", "a row that carries an error", "row_error", _C + "test_a_row_with_an_error_is_indexed_anew_and_else_kept"),
    Trap("P33", "hidden by the import itself", "hide", _C + "test_hidden_by_the_import_itself_keeps_the_original"),
    Trap("P34", "archived or hidden by a person", "", _C + "test_archived_or_hidden_in_photoprism_keeps_the_original_and_asks"),
    Trap("P35", "altered after it was moved and indexed", "altered", _E + "test_what_goes_wrong_with_single_photos_stops_no_other"),
    Trap("P36", "swallowed", "swallowed", _C + "test_what_two_imports_do_not_bring_is_kept_and_a_person_is_asked"),
    Trap("P37", "cannot be moved", "move_fails", _E + "test_what_goes_wrong_with_single_photos_stops_no_other"),
    Trap("P38", "no folder can be made in originals", "mkdir_denied", _E + "test_what_passes_by_itself_is_waited_for"),
    Trap("P39", "types that are not allowed are left lying", "import_allow", _L + "test_photoprism_is_set_up_otherwise"),
    Trap("P40", "RAW is switched off", "skip_raw", _L + "test_raw_that_photoprism_leaves_lying_is_kept"),
    Trap("P41", "copied across mounts: half a file under its final name", "copy_pause", _C + "test_what_is_half_copied_under_its_final_name_is_no_proof"),
    Trap("P42", "import and originals are different mounts", "exdev", _C + "test_what_is_half_copied_under_its_final_name_is_no_proof"),
    Trap("P43", "keeps a source that no row proves", "keeps_unproved", _L + "test_photoprism_is_set_up_otherwise"),
    Trap("P44", "another destination", "import_dest", _L + "test_photoprism_is_set_up_otherwise"),
    Trap("P45", "hidden files in import are deleted", "", "tests/relay/test_place.py::test_names_that_photoprism_would_delete_arrive_all_the_same"),
    Trap("P46", "dates are read from the path", "", _S + "test_without_exif_a_date_in_the_path_counts_then_the_mtime"),
    Trap("P47", "strangers' photos are joined by their names", "", "tests/relay/test_place.py::test_strangers_never_meet_and_no_two_share_a_place"),
    Trap("P48", "a late partner is not joined", "", "tests/relay/test_intake.py::test_a_late_film_of_a_live_photo_joins_it_in_photoprism"),
    Trap("P49", "a duplicate is deleted, even if archived or soft-deleted", "", _S + "test_a_duplicate_is_deleted_even_if_archived_or_soft_deleted"),
    Trap("P50", "side files have no row", "", _C + "test_a_side_file_is_proved_beside_its_photo"),
    Trap("P51", "its database is reset", "", _E + "test_a_long_import_cut_by_a_proxy_and_a_database_reset"),
    Trap("P52", "a row whose file is gone or differs", "", _E + "test_a_row_whose_file_is_gone_or_differs_is_no_proof"),
    Trap("P53", "a file that is deleted, changed or moved between proof and release", "", _L + "test_the_archived_file_is_meddled_with_between_proof_and_release"),
    Trap("P54", "the same photo by three users at once", "", _E + "test_the_same_photo_by_three_people_at_once"),
    # Nextcloud: occ
    Trap("N01", "maintenance mode", "maintenance", _N + "test_what_passes_by_itself_in_nextcloud_is_waited_for"),
    Trap("N02", "an upgrade is pending", "needs_upgrade", _N + "test_what_passes_by_itself_in_nextcloud_is_waited_for"),
    Trap("N03", "it is being set up", "not_installed", _O + "test_what_a_scan_may_meet"),
    Trap("N04", "no database at the start", "database", _N + "test_what_passes_by_itself_in_nextcloud_is_waited_for"),
    Trap("N05", "the database goes away: occ sleeps for ever", "database_lost", _O + "test_a_slow_scan_is_given_up"),
    Trap("N06", "locked, exit 0", "locked", _N + "test_what_passes_by_itself_in_nextcloud_is_waited_for"),
    Trap("N07", "locked, the newest version's way", "locked_style", _N + "test_what_passes_by_itself_in_nextcloud_is_waited_for"),
    Trap("N08", "single files are locked", "locked_paths", _O + "test_delete_goes_into_the_users_own_bin"),
    Trap("N09", "another process is scanning: zeros, exit 0", "already_scanning", _N + "test_what_passes_by_itself_in_nextcloud_is_waited_for"),
    Trap("N10", "the wrong user", "wrong_user", _O + "test_the_wrong_user_names_the_right_one"),
    Trap("N11", "the home is not writable", "not_writable", _O + "test_what_a_scan_may_meet"),
    Trap("N12", "a scan that does nothing and says nothing", "nothing", _O + "test_what_a_scan_may_meet"),
    Trap("N13", "slow", "slow", _O + "test_a_slow_scan_is_given_up"),
    Trap("N14", "no answer at all, deaf to SIGTERM", "hang", _N + "test_occ_that_hangs_is_left_alone_after_its_time"),
    Trap("N15", "warnings on standard error", "noise", _O + "test_what_a_scan_may_meet"),
    Trap("N16", "no Memories", "no_memories", _K + "test_an_old_nextcloud_without_memories_and_metadata_gets_plain_scans"),
    Trap("N17", "Memories before 7.6.1", "old_memories", _O + "test_memories_indexes_a_folder_in_either_version"),
    Trap("N18", "no exiftool", "no_exiftool", _O + "test_what_memories_may_meet"),
    Trap("N19", "files that Memories fails at, exit 0", "unindexable", _O + "test_what_memories_may_meet"),
    Trap("N20", "the Photos app is off", "no_photos", _O + "test_features_are_kept_for_an_hour"),
    Trap("N21", "the bin has no room", "no_trashbin", _R + "test_the_bin_of_an_earlier_day_is_left_alone"),
    Trap("N22", "the bin is off", "trashbin_off", _R + "test_without_a_bin_nothing_is_thrown_away"),
    Trap("N23", "an old Nextcloud: other tables, no metadata", "old_nextcloud", _K + "test_an_old_nextcloud_without_memories_and_metadata_gets_plain_scans"),
    Trap("N24", "new files are counted as new", "counts_new", _L + "test_nextcloud_is_set_up_otherwise"),
    Trap("N25", "another version", "version", _L + "test_nextcloud_is_set_up_otherwise"),
    Trap("N26", "a user without a home", "users", _L + "test_nextcloud_is_set_up_otherwise"),
    Trap("N27", "a received share, whose scan does nothing", "shares", _O + "test_a_mount_that_is_gone_and_a_received_share"),
    Trap("N28", "further commands", "commands", _K + "test_further_commands_come_after_a_batch_and_their_faults_stop_nothing"),
    Trap("N29", "any other answer", "answers", _O + "test_apps_mounts_and_further_commands"),
    Trap("N30", "unknown user, missing path: exit 0", "", _N + "test_an_unknown_user_and_an_album_that_is_not_mounted_are_warnings"),
    Trap("N31", "a file scanned before its folder leaves no row", "", _O + "test_a_file_is_not_scanned_before_its_folder"),
    Trap("N32", "names in NFD", "", _O + "test_names_in_nfd_are_counted_and_the_rest_is_scanned"),
    Trap("N33", "two in the bin within one second", "", _R + "test_two_of_one_name_within_a_second_both_lie_in_the_bin"),
    # Nextcloud: its data directory, its users and their clients
    Trap("N40", "the data directory is not mounted, or goes away", "", _N + "test_without_its_marker_the_data_directory_is_not_touched"),
    Trap("N41", "an empty mount point", "", _N + "test_an_empty_mount_point_is_no_data_directory"),
    Trap("N42", "sample photos", "", _N + "test_an_excluded_user_and_the_samples_are_never_touched"),
    Trap("N43", "homes that appear", "", _N + "test_a_new_user_at_run_time"),
    Trap("N44", "encrypted files", "", "tests/relay/test_examine.py::test_what_may_not_move_stays_with_a_reason"),
    Trap("N45", "times that lie, names that come again, parts that stay", "", "tests/test_uploads.py::test_an_upload_leaves_the_file_and_nothing_else"),
    Trap("N46", "an upload takes the name in the moment of the release", "", _R + "test_an_upload_under_the_name_is_never_lost"),
    Trap("N47", "users deleted, renamed or left out at every step", "", _U + "test_its_owner_meddles_at_every_step"),
    Trap("N48", "a client that uploads again for ever", "", _U + "test_a_client_that_uploads_for_ever"),
    Trap("N49", "a phone that uploads everything at once", "", _U + "test_a_phone_that_uploads_everything_at_once"),
)  # fmt: skip
