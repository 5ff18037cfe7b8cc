"""What can be configured: types, units, defaults and words for people, all in one description.

The JSON schema, the commented default file, the page's form and docs/settings.md are made from it. Reading a file never
ends in a traceback (`daemon.settings_file`), and changing one leaves all else in it as it is (`editing`).

Who may enter: checks, cli, lifetime, nextcloud, notify, relay, schedule, service, settings_file, settings_torn, ui.
"""

from daemon.settings.base import Section
from daemon.settings.messages import Hook, Levels, Notify, Ntfy
from daemon.settings.model import Settings
from daemon.settings.page import Other, Tls, Ui
from daemon.settings.render import default_file
from daemon.settings.schema import json_schema
from daemon.settings.sections import Album, Archive, FolderArchive, Log, Nextcloud, Occ, Photoprism, Relay, Watch
from daemon.settings.users import After, Decision, EffectiveRules, UserRules, Users
from daemon.settings.values import format_duration, format_size, parse_duration, parse_size

__all__ = [
    "After",
    "Album",
    "Archive",
    "Decision",
    "EffectiveRules",
    "FolderArchive",
    "Hook",
    "Levels",
    "Log",
    "Nextcloud",
    "Notify",
    "Ntfy",
    "Occ",
    "Other",
    "Photoprism",
    "Relay",
    "Section",
    "Settings",
    "Tls",
    "Ui",
    "UserRules",
    "Users",
    "Watch",
    "default_file",
    "format_duration",
    "format_size",
    "json_schema",
    "parse_duration",
    "parse_size",
]
