"""The arguments of a call of a `ToolNode`, before anyone is asked."""

import copy
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .arguments import read_twice
from .langgraph_tools import Got, function_of, invalid, parse


class Arguments:
    """Reads what the node and the tool make of a call, which validate as ever, in the place of the tool."""

    def __init__(self, request: Request) -> None:
        self.request = request.override(tool_call=copy.deepcopy(request.tool_call))
        """The call, which no one else changes while people decide."""
        self.shown: dict[str, Any] | None = None
        """What people are shown; `None` if the call is invalid, or has not been read."""
        self.got: Got = ((), {})
        """What the function gets."""

    @property
    def reading(self) -> Request:
        """The request with which the node runs nothing. To an invalid call it gives the answer for the model."""
        return altered(self.request, invoke=self._read, ainvoke=self._aread)

    async def _aread(self, call: dict[str, Any], config: Any = None) -> Any:
        return self._read(call, config, is_async=True)

    def _read(self, call: dict[str, Any], config: Any = None, *, is_async: bool = False) -> Any:
        tool, given = self.request.tool, self.request.tool_call["args"]
        injected = {name: it for name, it in call["args"].items() if name not in given or it is not given[name]}
        function = function_of(tool, is_async=is_async)
        own = {name: it for name, it in call["args"].items() if name not in injected}
        try:
            self.got, self.shown = read_twice(lambda: parse(tool, function, own, injected, call["id"]))
        except Exception as error:
            return self._answer(call, config or {}, invalid(tool, given, error))
        return ToolMessage("", tool_call_id=call["id"])

    def _answer(self, call: dict[str, Any], config: Any, error: Exception) -> Any:
        """The tool's own answer to an invalid call, if it has one. Runs nothing, whatever class the tool has."""

        def refuse(*_: Any) -> Any:
            raise error

        settings = {"callbacks": config.get("callbacks"), "config": config, "tool_call_id": call["id"]}
        return BaseTool.run(altered(self.request, _to_args_and_kwargs=refuse).tool, call["args"], **settings)


def altered(request: Request, **methods: Any) -> Request:
    """The request for a copy of the tool with methods of its own."""
    tool: Any = request.tool.model_copy()
    for name, method in methods.items():
        object.__setattr__(tool, name, method)
    return request.override(tool=tool)
