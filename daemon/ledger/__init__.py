"""The ledger: every step of every photo's way, written down before and after it is taken.

All SQL of the project stands in this room. It asks nobody. Its methods block: call them in a thread.

Who may enter: checks, cli, homekeeper, ledgerkeeper, lifetime, notify, relay, service, sweeper.
"""
