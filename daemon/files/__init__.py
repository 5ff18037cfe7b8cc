"""Everything that touches bytes: opening, hashing, placing, letting go. Plain blocking functions, run in threads."""
