"""One call of a gated function or tool."""

from collections.abc import Callable
from dataclasses import dataclass

from .action import Action
from .parameters import Parameters
from .permit import NOT_RUN, Permit
from .refusal import unverified

_CHANGED = f"{NOT_RUN}: the parameters changed while the decision was awaited"


@dataclass(frozen=True)
class Call:
    """The arguments of a call, which must be the same before it runs as they were when people were asked."""

    action: Action
    parameters: Parameters
    read_again: Callable[[], Parameters]
    wait: float | None

    def claim(self) -> Permit:
        permit = self.action.claim(self.parameters, wait=self.wait)
        if self._has_changed():
            permit.failed(_CHANGED)
            raise unverified(_CHANGED)
        return permit

    async def claim_async(self) -> Permit:
        permit = await self.action.claim_async(self.parameters, wait=self.wait)
        if self._has_changed():
            await permit.failed_async(_CHANGED)
            raise unverified(_CHANGED)
        return permit

    def _has_changed(self) -> bool:
        """Compares the values that are about to be used."""
        try:
            return not self.parameters.are_unchanged(self.read_again())
        except Exception:  # they are arguments no more
            return True
