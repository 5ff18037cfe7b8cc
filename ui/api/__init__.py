"""The REST interface below ``/api/v1``: thin handlers, each with the description that ``openapi.json`` is made from.

A handler reads the request, asks the service, and gives its answer; it decides nothing.

Who may enter: server, doors, door_handlers, wire.
"""
