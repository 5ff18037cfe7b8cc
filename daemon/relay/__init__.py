"""The relay: examine, place, import, confirm, release, refresh; one file a step, none imports another."""
