"""The ledger: every step of every photo's way, written down before and after it is taken.

All SQL of the project stands in this room. Everybody below ``relay``, ``watch`` and ``service`` may ask it; it asks
nobody. Its methods block: call them in a thread.
"""
