"""Telling people and programs: messages to phones through ntfy, and hooks.

What is told is written into the ledger's outbox first and sent from there, so that neither a restart nor a dead network
loses it, and the relay waits for none of it.

Who may enter: checks, service.
"""
