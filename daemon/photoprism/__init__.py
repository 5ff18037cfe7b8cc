"""PhotoPrism over HTTP and its WebSocket.

What it says of its own work is shown, never believed: an import that did nothing is answered with 200 "completed", too.

Who may enter: app, cli, relay.
"""
