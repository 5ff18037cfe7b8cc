"""What a front end may ask of the daemon: the one door for the page, the control socket and the command line.

:class:`Service` has the deeds; beside it, one module for each thing that a front end shows. Plain JSON goes in and out.

Who may enter: app, cli, lifetime, ui.
"""

from daemon.service.service import Service, status_of

__all__ = ["Service", "status_of"]
