"""Watching the users' folders: who has a home, what came, and is it quiet yet."""
