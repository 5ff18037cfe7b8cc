"""The ledger: every step of every photo's way, written down before and after it is taken. The only SQL of the project."""
