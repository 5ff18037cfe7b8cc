"""The REST interface below ``/api/v1``: thin handlers, each with the description that ``openapi.json`` is made from."""
