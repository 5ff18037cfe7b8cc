"""The page and the HTTP interface.

Of the daemon it knows `daemon.service`, the settings and the base modules; nothing in ``daemon`` but ``app.py`` and the
command line may import it. What a browser gets is in ``static/``.

Who may enter: app, cli.
"""
