"""Every error that agenx raises on purpose, with the exit code it ends a command with.

::

    AgenxError                    1   something of ours failed, or a check did
    ├ UsageError                  2   a flag or an argument is wrong
    ├ SettingsError               2   a setting is missing or wrong
    ├ IntakeError                 2   a file that a person wrote; has file and line
    ├ StoreError                  1   the database: locked, full, or from a newer version
    ├ ServerStartError            3   a port in use, a tunnel that does not come up
    ├ PolicyError                 5   a gate says no
    ├ ProviderError               6   a provider or the network; has provider, code, retryable, retry_after
    │   ├ CarrierError
    │   ├ VoiceError
    │   └ CalendarError
    │     (credentials=True makes any of them exit with 4)
    └ ProtocolError               6
        ├ LocalProtocolError          we broke the protocol
        └ RemoteProtocolError         they did

Expected outcomes (busy, no answer, a taken slot, a refused lead) are values, not errors.
A message names no secret and no phone number.
"""


class AgenxError(Exception):
    """What happened and why, for a person. ``fix`` is the command or the setting that mends it."""

    exit_code = 1

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class UsageError(AgenxError):
    """A flag or an argument is wrong."""

    exit_code = 2


class SettingsError(AgenxError):
    """A setting is missing, malformed or contradicts another."""

    exit_code = 2


class IntakeError(AgenxError):
    """A file that a person wrote cannot be read as what it should be. ``line`` counts from 1."""

    exit_code = 2

    def __init__(self, message: str, *, file: str, line: int | None = None, fix: str | None = None) -> None:
        place = file if line is None else f"{file}, line {line}"
        super().__init__(f"{place}: {message}", fix=fix)
        self.file = file
        self.line = line


class StoreError(AgenxError):
    """The database cannot be used: held by another worker, full, damaged, or from a newer version."""


class ServerStartError(AgenxError):
    """Our own server could not start, or the public address does not lead to it."""

    exit_code = 3


class PolicyError(AgenxError):
    """A gate says no. ``code`` is the gate's own code (``dnc.internal``, ``num.premium``)."""

    exit_code = 5

    def __init__(self, message: str, *, code: str, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.code = code


class ProviderError(AgenxError):
    """A provider refused, failed or could not be reached.

    ``code`` is the provider's own code as text; ``retryable`` says whether the very same request may be sent
    again without harm; ``retry_after`` is in seconds; ``credentials`` means the account itself was refused.
    """

    exit_code = 6

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        code: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        credentials: bool = False,
        fix: str | None = None,
    ) -> None:
        super().__init__(message, fix=fix)
        self.provider = provider
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        if credentials:
            self.exit_code = 4


class CarrierError(ProviderError):
    """The telephone side."""


class VoiceError(ProviderError):
    """The speech-to-speech side."""


class CalendarError(ProviderError):
    """A calendar."""


class ProtocolError(AgenxError):
    """A frame or a request that does not follow its protocol."""

    exit_code = 6


class LocalProtocolError(ProtocolError):
    """We broke it."""


class RemoteProtocolError(ProtocolError):
    """They did."""
