"""PhotoPrism over HTTP and its WebSocket."""
