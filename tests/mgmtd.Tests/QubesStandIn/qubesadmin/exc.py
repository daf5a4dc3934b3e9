"""Errors of the stand-in: a template and its fields, put together with %, and as many classes as the script meets."""


class QubesException(Exception):
    """Any."""

    def __init__(self, template, *fields):
        super().__init__(template % tuple(int(field) if field.isdigit() else field for field in fields))


class QubesDaemonAccessError(QubesException):
    """Denied, or nothing came."""


class QubesDaemonCommunicationError(QubesException):
    """No reply of this protocol."""


class QubesVMNotFoundError(QubesException, KeyError):
    """No such VM."""

    def __str__(self):
        return self.args[0]
