"""What can be wrong with a request, without the dress of any service."""


class SimulatorError(Exception):
    """A request that cannot be fulfilled.

    Each service renders `status` and the message in its own format.
    """

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(SimulatorError):
    """The request is malformed or not possible."""


class Forbidden(SimulatorError):
    """The caller lacks the role that the call needs."""

    status = 403


class NotFound(SimulatorError):
    """The named thing does not exist, or not for this caller."""

    status = 404


class Conflict(SimulatorError):
    """The thing is in a state that does not allow the call."""

    status = 409


class NotAcceptable(SimulatorError):
    """The microversion asked for does not exist."""

    status = 406
