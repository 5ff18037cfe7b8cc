"""Nextcloud: where homes lie in the data directory, and what ``occ`` is asked and really answers."""
