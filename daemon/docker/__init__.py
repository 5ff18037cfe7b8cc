"""The Docker API: finding the one container and running a command in it.

It speaks to the engine or to the exec gate alike, and asks for no more than the gate lets through.

Who may enter: app, cli, gate, nextcloud, service.
"""
