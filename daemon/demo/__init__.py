"""A playground: real media files of our own making, a stand-in ``occ``, and the relay run over them."""
