"""The relay: examine, place, import, confirm, release, refresh; one file a step, none imports another.

`pipeline` decides which step is next, from the ledger alone. An archive is whatever keeps the protocol in `archive`.

Who may enter: app, service.
"""
