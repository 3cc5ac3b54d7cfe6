"""The arguments of a call of a `ToolNode`: read before anyone is asked, and the same when the tool runs."""

from collections.abc import Callable
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest as Request

from .langgraph_tools import parse, visible


class Arguments:
    """Reads what the node and the tool make of a call, which validate as ever, in the place of the tool's function."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._got: tuple[tuple[Any, ...], dict[str, Any]] = (), {}
        self.shown: dict[str, Any] | None = None
        """What people are shown; `None` if the call is invalid, or has not been read."""

    @property
    def reading(self) -> Request:
        """The request with which the node runs nothing. To an invalid call it gives the answer for the model."""
        return self._with(invoke=self._read, ainvoke=self._aread)

    @property
    def approved(self) -> Request:
        """The request with which the function gets the very values that were read."""
        return self._with(_to_args_and_kwargs=lambda *_: (self._got[0], self._got[1].copy()))

    async def _aread(self, call: dict[str, Any], config: Any = None) -> Any:
        return self._read(call, config)

    def _read(self, call: dict[str, Any], config: Any = None) -> Any:
        tool = self._request.tool
        try:
            self._got = parse(tool, call["args"], call["id"])
        except Exception as error:
            return self._with(_to_args_and_kwargs=_raise(error)).tool.invoke(call, config)  # handles it as its own
        self.shown = visible(tool, call["args"], *self._got)
        return ToolMessage("", tool_call_id=call["id"])

    def _with(self, **methods: Callable[..., Any]) -> Any:
        """A request for a copy of the tool with methods of its own."""
        tool: Any = self._request.tool.model_copy()
        for name, method in methods.items():
            object.__setattr__(tool, name, method)
        return self._request.override(tool=tool)


def _raise(error: Exception) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        raise error

    return call
