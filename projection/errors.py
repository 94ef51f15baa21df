"""Errors that are the user's to mend: shown as one readable message, never as a traceback."""


class ProjectionError(Exception):
    """Say what was found, where, and what to do next.

    Everything the package raises on bad input derives from this class; the command line prints its message
    and exits with status 1.
    """
