"""The Docker API: finding the one container and running a command in it."""
