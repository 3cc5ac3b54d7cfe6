"""Microsoft Agent Framework: a middleware of functions.

    human_oversight = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
    Agent(client, tools=[delete_user], middleware=[human_oversight])

Each named tool must be a function among the agent's tools whenever a function is called, or the run ends. Tools that
the model's provider runs cannot be gated; on tools that are added during a run, put `@approval_gate`.

Name it last. A middleware behind it, such as that of `agent.run(…)`, cannot change what was approved: with other
arguments, or a second time, the function does not run. `@approval_gate` shows people what such a middleware makes of
the arguments. A gated function that asks the user (`UserInputRequiredException`) ends the run.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent_framework import FunctionInvocationContext, FunctionMiddleware, FunctionTool, MiddlewareFailure

from . import agent_framework_calls as calls
from .agent_framework_arguments import prepare, visible
from .oversight import Oversight, named


class HumanOversight(FunctionMiddleware):
    """Runs the named tools after a person approved exactly their arguments; the model reads why one did not run."""

    def __init__(self, agent_name: str, actions: Mapping[str, str], *args: Any, **settings: Any) -> None:
        self._oversight = Oversight(agent_name, actions, *args, **settings)

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        self._check(context.tools)
        tool = context.function.name
        if tool not in self._oversight:
            await call_next()
            return
        try:
            prepare(context)
        except ValueError as error:
            context.result = f"Error: Argument parsing failed. {error}"
            return
        names = named(context.session and context.session.session_id, context.metadata.get("call_id"))
        execute = functools.partial(calls.run, context, call_next)
        refusal = await self._oversight.run_async(tool, functools.partial(visible, context), names, execute)
        if refusal is not None:
            context.result = refusal

    def _check(self, tools: list[Any] | None) -> None:
        if tools is None:  # invoked directly
            return
        functions = (it for it in tools if isinstance(it, FunctionTool) and not it.declaration_only)
        try:
            self._oversight.require(it.name for it in functions)
        except TypeError as error:
            raise MiddlewareFailure(str(error)) from None  # the framework would tell the model, and go on
