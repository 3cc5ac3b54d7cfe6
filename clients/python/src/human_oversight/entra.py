"""Access tokens of Microsoft Entra ID, in place of a Functions key."""

import asyncio
import time
from typing import TYPE_CHECKING

from . import loop
from .errors import NoTokenError, SettingsError

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

_RENEW_BEFORE = 300.0
"""A token is renewed when less than this remains of its life, in seconds."""

_SIGN_IN_SECONDS = 30.0
"""The time for a sign-in; the first call of the Azure CLI takes several seconds."""


def credential_of_environment() -> "TokenCredential":
    """The credential that the variables of the Azure SDKs name: a client secret, a workload identity, a managed
    identity, the account of the Azure CLI; `AZURE_TOKEN_CREDENTIALS` chooses one.

    Raises:
        SettingsError: if `azure-identity` is not installed.
    """
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise SettingsError('HO_AUDIENCE needs azure-identity: pip install "human-oversight[entra]"') from None
    try:
        return DefaultAzureCredential()
    except ValueError as error:
        raise SettingsError(f"no access token can be obtained: {_line(error)}") from None


class Tokens:
    """The access tokens of one program for one gate. `get` runs on the loop of `loop` alone."""

    def __init__(self, credential: "TokenCredential", audience: str) -> None:
        """`audience`: the application id URI of the gate's app registration, or its client id."""
        self._credential = credential
        self._scope = f"{audience.rstrip('/')}/.default"
        self._lock = asyncio.Lock()
        self._held: AccessToken | None = None

    async def get(self) -> str:
        """A valid token. Concurrent callers wait for one sign-in: some credentials keep no token.

        Raises:
            NoTokenError: if there is none.
        """
        async with self._lock:
            if self._held is None or self._held.expires_on - time.time() < _RENEW_BEFORE:
                try:
                    self._held = await self._sign_in()
                except NoTokenError:
                    # What is held counts until it expires, and the next call tries again.
                    if self._held is None or self._held.expires_on <= time.time():
                        raise
            return self._held.token

    async def _sign_in(self) -> "AccessToken":
        try:
            # The credentials of azure-identity block.
            signing_in = asyncio.to_thread(self._credential.get_token, self._scope)
            return await loop.within(_SIGN_IN_SECONDS, signing_in)
        except asyncio.TimeoutError:
            raise NoTokenError("the sign-in took too long") from None
        except Exception as error:
            raise NoTokenError(_line(error)) from None


def _line(error: Exception) -> str:
    """The first line of an error, without addresses: the rest may hold the body of a response."""
    line = str(error).partition("\n")[0]
    return " ".join(word for word in line.split(" ") if "@" not in word)[:200]
