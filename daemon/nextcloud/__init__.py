"""Nextcloud: where homes lie in the data directory, and what ``occ`` is asked and really answers.

``occ`` exits with 0 whatever happened, so its words are read (`output`, `sentences`). One command runs at a time.

Who may enter: app, checks, cli, relay, service, sweeper, watch.
"""
