"""What a front end may ask of the daemon: the one door for the page, the control socket and the command line.

:class:`Service` has the deeds; beside it, one room for each thing that a front end shows.
"""

from daemon.service.service import Service, status_of

__all__ = ["Service", "status_of"]
