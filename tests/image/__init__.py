"""What the image is, and what the Compose and stack files say; the first on a real engine."""
