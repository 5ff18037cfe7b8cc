"""Everything that touches bytes: opening, hashing, placing, letting go. Plain blocking functions, run in threads.

No ledger and no settings are known here: what is to be done comes as arguments, paths as ``str`` of ``os.fsdecode``,
below descriptors of folders (`opening`). Only `releasing` and `settling` take an original away.

Who may enter: app, checks, homekeeper, lifetime, relay, service, settings, watch.
"""
