"""The exec gate: a guard before the Docker socket that lets through ``occ`` in one container, and nothing else.

A process of its own, in a container of its own. It reads requests with a reader of its own (`wire`), knows five of
them (`routes`), reads all of their content (`bodies`, `arguments`), and makes requests of its own to the engine
(`upstream`): no byte of a request is ever passed on. What it allows is `rules`; what is in force of time, number and
size is `limits`.

Who may enter: cli.
"""
