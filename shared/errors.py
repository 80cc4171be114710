"""The one exception a user is meant to read."""


class VivantError(Exception):
    """A job failed for a reason the user can act on.

    The message is one or two plain sentences: what is wrong, and what to do next. The command line prints it
    and exits with code 1; the service sends it to the client. Anything else that escapes is a bug in Vivant.
    """
