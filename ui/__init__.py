"""The page and the HTTP interface; nothing in ``daemon`` but ``app.py`` and the command line may import it."""
