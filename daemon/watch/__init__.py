"""Watching the users' folders: who has a home, what came, and is it quiet yet.

Nothing is opened for reading but to see whether a photo announces a partner, and nothing is changed. What is found is
handed to a `Sink` (`model`); events may be lost, so sweeps look again.

Who may enter: app, checks, cli, relay, service, settings_bell, sweeper.
"""
