"""Photon Relay: photos uploaded to Nextcloud reach the shared archive by themselves."""

__version__ = "0.1.0"
