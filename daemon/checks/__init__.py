"""What ``photon-relay check`` looks at: everything a start needs, proved by doing where that is possible.

Each look may block or hang on a dead disk, so each has a thread and a time limit of its own; one that breaks is told
as a failed check and leaves the others alone. Nothing is changed but small files of its own, which are taken away.

Who may enter: app, cli.
"""
