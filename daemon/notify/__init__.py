"""Telling the owner's phone."""
