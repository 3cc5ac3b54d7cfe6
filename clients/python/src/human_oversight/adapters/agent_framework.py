"""Microsoft Agent Framework: a middleware of functions.

    human_oversight = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
    Agent(client, tools=[delete_user], middleware=[human_oversight])

Name it last: what a middleware behind it changes, no one has approved.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent_framework import FunctionInvocationContext, FunctionMiddleware

from .oversight import Oversight


class HumanOversight(FunctionMiddleware):
    """Runs the named tools after a person approved exactly their arguments; the model reads why one did not run."""

    def __init__(self, agent_name: str, actions: Mapping[str, str], *args: Any, **settings: Any) -> None:
        self._oversight = Oversight(agent_name, actions, *args, **settings)

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        tool = context.function.name
        if tool not in self._oversight:
            await call_next()
            return
        call = context.metadata.get("call_id")
        session = context.session.session_id if context.session else None
        names = (session, call) if call else ()
        refusal = await self._oversight.run_async(tool, context.arguments, names, call_next)
        if refusal is not None:
            context.result = refusal
