"""A file system of our own between the program and a real folder: it fails when told to, and forgets at a power cut.

``layer.py`` passes every call through to the folder behind it, in a process of its own (``python -m
tests.torture.fuse``). ``faults.py`` says which calls fail or take long. ``durable.py`` is the model of what a disk
keeps when the power goes, ``powercut.py`` brings the folder behind into such a state. ``mount.py`` is how a test gets
such a file system and speaks to it:

    with Mount(backing, mountpoint) as mount:
        mount.fault("write", errno="ENOSPC", path="*.jpg", first=3)
        ...
        mount.clear()

What differs from an ordinary disk, seen with libfuse 3.14 and Linux 6.18: ``FICLONE`` and ``O_TMPFILE`` answer
``EOPNOTSUPP`` (so copies are made by ``copy_file_range``, which the kernel turns into reads and writes here), extended
attributes are not offered, ``sync`` and ``syncfs`` are not told to the layer, ``fstat`` of an open file whose last name
is gone answers ``ESTALE``, and only files called ``*-shm`` can be mapped shared. As elsewhere work ``renameat2`` with
``RENAME_NOREPLACE``, ``O_PATH`` descriptors, links from ``/proc/self/fd``, SQLite's write-ahead log, locks, and inotify
for what goes through the mount.
"""
