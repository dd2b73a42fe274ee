"""What a call of the client raises."""


class RunicornAPIError(Exception):
    """Base of all of them."""


class ConnectionError(RunicornAPIError):
    """No connection, a server that is not healthy, retries used up, or a status that no other class names."""


class NotFoundError(RunicornAPIError):
    """404"""


class BadRequestError(RunicornAPIError):
    """400"""


class AuthenticationError(RunicornAPIError):
    """401: no key, or none that is known; 403: a key that may not do this."""


class ServerError(RunicornAPIError):
    """500 and above."""


class RetriesUsedUp(ConnectionError, ServerError):
    """The server answered each try with a failure of its own."""
