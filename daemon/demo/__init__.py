"""A playground: real media files of our own making, a stand-in ``occ``, and the relay run over them.

The program in it is the real one. Tests use its samples and its ``occ``, too.

Who may enter: cli.
"""
