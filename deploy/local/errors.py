"""What can go wrong with the local stack, each told in one line that says what to do."""


class StackError(Exception):
    """The local stack, or a part of it, cannot run."""


class ToolMissingError(StackError):
    """Something that this machine would have to provide is not there (Java, jars, PostgreSQL)."""


class HashMismatchError(StackError):
    """A fetched jar is not the one whose hash is checked in."""


class StartError(StackError):
    """A child process ended or stayed silent before it was ready."""


class DataDirInUseError(StackError):
    """Another running stack owns this data directory."""
