"""What people are shown of a call of an adapter: what the function gets. Of an invalid call, nothing."""

import asyncio
import itertools
import json
import time
import uuid
from typing import Annotated, Any

import pytest

from human_oversight.adapters.oversight import Oversight
from human_oversight.mock import APPROVE, MockGate

got: list[dict[str, Any]] = []
"""What the tools got."""


@pytest.fixture(autouse=True)
def nothing_got() -> None:
    got.clear()


def delete_user(user_id: str, force: bool = True) -> str:
    """Deletes a user."""
    got.append({"user_id": user_id, "force": force})
    return "deleted"


async def delete_user_async(user_id: str, force: bool = True) -> str:
    """Deletes a user."""
    return delete_user(user_id, force)


delete_user_async.__name__ = "delete_user"


def oversight(**settings: Any) -> Oversight:
    return Oversight("UserManager", {"delete_user": "Delete User Account"}, **settings)


def shown(mock: MockGate) -> list[Any]:
    return [it["parameters"] for it in mock.requests]


class TestLangGraph:
    @staticmethod
    def graph(
        node: Any, arguments: dict[str, Any], saver: Any = None, id_: Any = "call_1", key: str = "messages"
    ) -> Any:
        from langchain_core.messages import AIMessage
        from langgraph.graph import START, StateGraph
        from langgraph.graph.message import add_messages
        from typing_extensions import TypedDict

        def model(_: Any) -> Any:
            return {key: [AIMessage("", tool_calls=[{"name": "delete_user", "args": arguments, "id": id_}])]}

        state = TypedDict("state", {key: Annotated[list[Any], add_messages]})
        graph = StateGraph(state).add_node("model", model).add_node("tools", node)
        return graph.add_edge(START, "model").add_edge("model", "tools").compile(checkpointer=saver)

    @classmethod
    def run(cls, tool: Any, arguments: dict[str, Any], is_async: bool = True, **settings: Any) -> tuple[MockGate, str]:
        """Calls the gated tool."""
        from human_oversight.adapters.langgraph import tool_node

        mock = MockGate()
        graph = cls.graph(tool_node([tool], oversight(), **settings), arguments)
        with mock.gate.scope():
            state = asyncio.run(graph.ainvoke({"messages": []})) if is_async else graph.invoke({"messages": []})
        return mock, str(state["messages"][-1].content)

    @pytest.mark.parametrize("function", [delete_user, delete_user_async])
    def test_the_function_gets_what_is_shown(self, function: Any) -> None:
        mock, _ = self.run(function, {"user_id": "1", "dry_run": True})
        assert shown(mock) == got == [{"user_id": "1", "force": True}]

    @pytest.mark.parametrize("is_async", [True, False])
    @pytest.mark.parametrize("arguments", [{}, {"user_id": []}, {"user_id": "1", "force": "perhaps"}])
    def test_no_one_is_asked_for_an_invalid_call(self, arguments: dict[str, Any], is_async: bool) -> None:
        from langgraph.prebuilt import ToolNode

        graph = self.graph(ToolNode([delete_user]), arguments)
        mock, text = self.run(delete_user, arguments, is_async)
        assert text == graph.invoke({"messages": []})["messages"][-1].content
        assert "Please fix the error" in text
        assert (mock.requests, got) == ([], [])

    def test_an_invalid_call_ends_the_run_where_the_node_handles_no_errors(self) -> None:
        from langgraph.prebuilt.tool_node import ToolInvocationError

        with pytest.raises(ToolInvocationError):
            self.run(delete_user, {}, handle_tool_errors=False)

    def test_what_the_framework_injects_is_not_shown_though_the_model_names_it(self) -> None:
        from langchain_core.runnables import RunnableConfig
        from langchain_core.tools import InjectedToolArg, InjectedToolCallId
        from langgraph.prebuilt import InjectedState

        def delete_user(
            user_id: str,
            config: RunnableConfig,
            state: Annotated[Any, InjectedState],
            call: Annotated[str, InjectedToolCallId],
            tenant: Annotated[str, InjectedToolArg] = "production",
            limit: Annotated[int, InjectedToolArg] = 1,
        ) -> str:
            """Deletes a user."""
            got.append({"tenant": tenant, "call": call, "messages": len(state["messages"])})
            return "deleted"

        forged = {"tenant": "test", "limit": "none", "state": {}, "call": "x", "config": {}, "callbacks": []}
        mock, _ = self.run(delete_user, {"user_id": "1", **forged})
        assert shown(mock) == [{"user_id": "1"}]
        assert got == [{"tenant": "production", "call": "call_1", "messages": 1}]

    def test_no_one_is_asked_where_the_function_would_get_other_values_than_are_shown(self) -> None:
        import pydantic
        from langgraph.prebuilt import InjectedState

        class Order(pydantic.BaseModel):
            id: str = pydantic.Field(default_factory=lambda: str(uuid.uuid4()))

        def delete_user(order: Any, state: Annotated[Any, InjectedState]) -> str:
            """Deletes a user."""
            raise AssertionError("it ran")

        delete_user.__annotations__["order"] = Order
        for is_async in (True, False):
            mock, text = self.run(delete_user, {"order": {}}, is_async)
            assert "makes other values" in text
            assert mock.requests == []

    def test_what_changes_while_people_decide_is_not_what_runs(self) -> None:
        from langgraph import prebuilt

        from human_oversight.adapters.langgraph import wrap

        requests: list[Any] = []

        def note(request: Any, execute: Any) -> Any:
            requests.append(request)
            return wrap(oversight())(request, execute)

        def decide(_: Any) -> Any:
            requests[0].tool_call["args"]["user_id"] = "2"
            return APPROVE

        graph = self.graph(prebuilt.ToolNode([delete_user], wrap_tool_call=note), {"user_id": "1"})
        mock = MockGate(decide)
        with mock.gate.scope():
            graph.invoke({"messages": []})
        assert shown(mock) == got == [{"user_id": "1", "force": True}]

    def test_a_tool_keeps_its_state(self) -> None:
        from langchain_core import tools

        class Delete(tools.BaseTool):  # type: ignore[name-defined, misc]
            name: str = "delete_user"
            description: str = "Deletes a user."
            times: int = 0

            def _run(self, user_id: str) -> str:
                self.times += 1
                return "deleted"

        tool = Delete()
        for times in (1, 2):
            self.run(tool, {"user_id": "1"})
            assert tool.times == times

    def test_no_wrapper_gets_a_call_before_its_approval(self) -> None:
        from langgraph import prebuilt

        from human_oversight.adapters.langgraph import wrap

        def between(request: Any, execute: Any) -> Any:
            raise AssertionError("it ran")

        def both(request: Any, execute: Any) -> Any:
            return wrap(oversight())(request, lambda it: between(it, execute))

        mock = MockGate()
        graph = self.graph(prebuilt.ToolNode([delete_user], wrap_tool_call=both), {"user_id": "1"})
        with mock.gate.scope(), pytest.raises(TypeError, match="must be the innermost"):
            graph.invoke({"messages": []})
        assert mock.requests == []

    def test_what_is_injected_is_no_part_of_the_answer_to_an_invalid_call(self) -> None:
        from langchain_core import tools
        from langgraph.prebuilt import InjectedState

        class Delete(tools.BaseTool):  # type: ignore[name-defined, misc]
            name: str = "delete_user"
            description: str = "Deletes a user."

            def _run(self, user_id: str, state: Annotated[Any, InjectedState]) -> str:
                raise AssertionError("it ran")

        mock, text = self.run(Delete(), {"user_id": "1", "dry_run": True})
        assert "dry_run" in text
        assert "AIMessage" not in text
        assert mock.requests == []

    def test_a_tool_with_a_class_of_its_own_gets_what_is_shown(self) -> None:
        from langchain_core import tools

        class Delete(tools.BaseTool):  # type: ignore[name-defined, misc]
            name: str = "delete_user"
            description: str = "Deletes a user."

            def _run(self, user_id: str, force: bool = True, run_manager: Any = None) -> str:
                assert run_manager is not None
                return delete_user(user_id, force)

        for is_async in (True, False):
            mock, text = self.run(Delete(), {"user_id": "1"}, is_async)
            assert (text, shown(mock)) == ("deleted", [{"user_id": "1", "force": True}])
            assert shown(mock) == got[-1:]
            for invalid in ({}, {"user_id": "1", "dry_run": True}, {"user_id": []}):
                mock, text = self.run(Delete(), invalid, is_async)
                assert "Please fix the error" in text
                assert mock.requests == []

    def test_an_argument_of_which_a_factory_makes_the_default_is_shown_where_the_model_names_it(self) -> None:
        import pydantic
        from langchain_core import tools

        class Schema(pydantic.BaseModel):
            one: str = pydantic.Field(default_factory=lambda: str(uuid.uuid4()))
            two: str = pydantic.Field(default_factory=lambda: str(uuid.uuid4()), alias="Two")
            three: str = pydantic.Field(default_factory=lambda: str(uuid.uuid4()), validation_alias="Three")
            four: str = pydantic.Field(
                default_factory=lambda: str(uuid.uuid4()), validation_alias=pydantic.AliasChoices("Four", "IV")
            )

        def delete(**arguments: str) -> str:
            got.append(arguments)
            return "deleted"

        tool = tools.StructuredTool.from_function(
            delete, name="delete_user", description="Deletes.", args_schema=Schema
        )
        mock, _ = self.run(tool, {"one": "1", "Two": "2", "Three": "3", "IV": "4"})
        assert shown(mock) == got == [{"one": "1", "two": "2", "three": "3", "four": "4"}]

    def test_a_tool_whose_class_runs_it_in_its_own_way_does_not_run_for_an_invalid_call(self) -> None:
        from langchain_core import tools

        class Delete(tools.BaseTool):  # type: ignore[name-defined, misc]
            name: str = "delete_user"
            description: str = "Deletes a user."

            def run(self, *_: Any, **__: Any) -> Any:
                raise AssertionError("it ran")

            def _run(self, user_id: str) -> str:
                raise AssertionError("it ran")

        for is_async in (True, False):
            mock, text = self.run(Delete(), {"dry_run": True}, is_async)
            assert "Please fix the error" in text
            assert mock.requests == []

    def test_a_tool_with_one_argument_without_a_name_gets_what_is_shown(self) -> None:
        from langchain_core import tools

        mock, _ = self.run(tools.Tool("delete_user", delete_user, "Deletes."), {"__arg1": "1"})
        assert shown(mock) == [{"tool_input": "1", "force": True}]
        assert got == [{"user_id": "1", "force": True}]

    def test_a_tool_with_a_json_schema_gets_what_is_shown(self) -> None:
        from langchain_core import tools

        def delete(runtime: Any = None, **arguments: Any) -> str:
            assert runtime.tool_call_id == "call_1"
            got.append(arguments)
            return "deleted"

        properties = {"user_id": {"type": "string"}, "force": {"type": "boolean", "default": None}}
        schema = {"type": "object", "properties": properties, "required": ["user_id"]}
        tool = tools.StructuredTool.from_function(
            delete, name="delete_user", description="Deletes.", args_schema=schema
        )
        mock, _ = self.run(tool, {"user_id": "1"})
        assert shown(mock) == got == [{"user_id": "1"}]
        for invalid in ({"user_id": "1", "dry_run": True}, {"force": True}, {"user_id": 1}):
            mock, text = self.run(tool, invalid)
            assert "Please fix the error" in text
            assert (mock.requests, len(got)) == ([], 1)

    def test_a_default_that_a_factory_makes_is_no_other_request_in_each_resume(
        self, real: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import pydantic
        from langchain_core import tools
        from langgraph.checkpoint.memory import InMemorySaver
        from langgraph.types import Command

        from human_oversight.adapters.langgraph import tool_node

        class Schema(pydantic.BaseModel):
            user_id: str
            groups: list[str] = pydantic.Field(default_factory=list)
            key: str = pydantic.Field(default_factory=lambda: str(uuid.uuid4()))

        def delete(user_id: str, groups: list[str], key: str) -> str:
            got.append({"user_id": user_id, "groups": groups, "key": key})
            return "deleted"

        monkeypatch.setenv("HO_CLAIM_KEY", "5a" * 32)
        tool = tools.StructuredTool.from_function(
            delete, name="delete_user", description="Deletes.", args_schema=Schema
        )
        graph = self.graph(tool_node([tool], oversight(wait=0)), {"user_id": "1"}, InMemorySaver())
        config = {"configurable": {"thread_id": "7"}}
        (pending,) = graph.invoke({"messages": []}, config)["__interrupt__"]
        assert graph.invoke(Command(resume=True), config)["__interrupt__"]
        real.decide(pending.value["request"], "approve", "")
        assert graph.invoke(Command(resume=True), config)["messages"][-1].content == "deleted"
        assert len(real.questions()) == 1
        assert len(uuid.UUID(got[0].pop("key")).hex) == 32
        assert got == [{"user_id": "1", "groups": []}]

    @pytest.mark.parametrize("is_async", [True, False])
    def test_the_function_gets_what_was_approved_though_the_tool_would_make_another_value_by_then(
        self, is_async: bool
    ) -> None:
        import pydantic

        from human_oversight.adapters.langgraph import tool_node

        users = {"eve": "1"}

        def delete_user(user_id: str) -> str:
            """Deletes a user."""
            got.append({"user_id": user_id})
            return "deleted"

        def decide(_: Any) -> Any:
            users["eve"] = "2"
            return APPROVE

        delete_user.__annotations__["user_id"] = Annotated[str, pydantic.BeforeValidator(users.__getitem__)]
        graph, mock = self.graph(tool_node([delete_user], oversight()), {"user_id": "eve"}), MockGate(decide)
        with mock.gate.scope():
            asyncio.run(graph.ainvoke({"messages": []})) if is_async else graph.invoke({"messages": []})
        assert shown(mock) == got == [{"user_id": "1"}]
        assert mock.outcomes == ["Executed"]

    @pytest.mark.parametrize("is_async", [True, False])
    @pytest.mark.parametrize("name", ["callbacks", "run_manager"])
    def test_an_argument_with_the_name_of_a_manager_is_shown_or_refused(self, name: str, is_async: bool) -> None:
        import pydantic
        from langchain_core import tools

        def delete(**arguments: Any) -> str:
            got.append(arguments)
            return "deleted"

        async def delete_async(**arguments: Any) -> str:
            return delete(**arguments)

        def run(schema: Any) -> tuple[MockGate, str]:
            functions = {"coroutine": delete_async} if is_async else {"func": delete}
            tool = tools.StructuredTool(name="delete_user", description="Deletes.", args_schema=schema, **functions)
            return self.run(tool, {"user_id": "1", name: ["https://example.com"]}, is_async)

        properties = {"user_id": {"type": "string"}}
        allowing = pydantic.create_model("Allowing", __config__={"extra": "allow"}, user_id=str)
        for schema in ({"type": "object", "properties": properties}, allowing):
            mock, text = run(schema)
            assert f"there is no argument {name}" in text
            assert (mock.requests, got) == ([], [])
        mock, text = run({"type": "object", "properties": {**properties, name: {"type": "array"}}})
        if name == "run_manager":  # the tool's own
            assert (mock.requests, got) == ([], [])
            assert "LangChain replaces run_manager" in text
        else:
            assert shown(mock) == got == [{"user_id": "1", name: ["https://example.com"]}]

    @pytest.mark.parametrize("is_async", [True, False])
    def test_no_one_is_asked_about_a_value_that_does_not_arrive(self, is_async: bool) -> None:
        from langchain_core import tools
        from langchain_core.runnables import RunnableConfig

        def delete(user_id: str, config: dict[str, Any] | None = None) -> str:
            """Deletes a user."""
            got.append({"user_id": user_id, "config": config})
            return "deleted"

        async def delete_async(user_id: str, config: dict[str, Any] | None = None) -> str:
            """Deletes a user."""
            return delete(user_id, config)

        class Delete(tools.BaseTool):  # type: ignore[name-defined, misc]
            name: str = "delete_user"
            description: str = "Deletes a user."

            def _run(self, user_id: str, settings: RunnableConfig) -> str:
                return delete(user_id, settings)

        function = tools.tool("delete_user")(delete_async if is_async else delete)
        for tool, name in ((function, "config"), (Delete(), "settings")):
            mock, text = self.run(tool, {"user_id": "1", name: {"tags": ["v2"]}}, is_async)
            assert (mock.requests, got) == ([], [])
            assert f"LangChain replaces {name}" in text
        mock, _ = self.run(function, {"user_id": "1"}, is_async)
        assert shown(mock) == got == [{"user_id": "1", "config": None}]

    def test_what_the_model_gives_by_another_name_is_shown_though_it_is_the_frameworks_to_inject(self) -> None:
        import pydantic
        from langchain_core import tools

        tenant = pydantic.Field("production", alias="tenantName")
        fields = {"user_id": str, "tenant": (Annotated[str, tools.InjectedToolArg], tenant)}
        schema = pydantic.create_model("Schema", **fields)

        def delete(user_id: str, tenant: str) -> str:
            got.append({"user_id": user_id, "tenant": tenant})
            return "deleted"

        tool = tools.StructuredTool.from_function(
            delete, name="delete_user", description="Deletes.", args_schema=schema
        )
        mock, _ = self.run(tool, {"user_id": "1", "tenantName": "test"})
        assert shown(mock) == got == [{"user_id": "1", "tenant": "test"}]
        mock, _ = self.run(tool, {"user_id": "1"})
        assert shown(mock) == [{"user_id": "1"}]

    @pytest.mark.parametrize("is_async", [True, False])
    def test_the_default_is_that_of_the_function_that_runs(self, is_async: bool) -> None:
        import pydantic
        from langchain_core import tools

        schema = pydantic.create_model("Schema", user_id=str)

        def delete(user_id: str, force: bool = False) -> str:
            return delete_user(user_id, force)

        both = tools.StructuredTool(
            name="delete_user", description="Deletes.", args_schema=schema, func=delete, coroutine=delete_user_async
        )

        class Delete(tools.BaseTool):  # type: ignore[name-defined, misc]
            name: str = "delete_user"
            description: str = "Deletes a user."
            args_schema: Any = schema

            def _run(self, user_id: str, force: bool = False) -> str:
                return delete_user(user_id, force)

            async def _arun(self, user_id: str, force: bool = True) -> str:
                return delete_user(user_id, force)

        for tool in (both, Delete()):
            got.clear()
            mock, _ = self.run(tool, {"user_id": "1"}, is_async)
            assert shown(mock) == got == [{"user_id": "1", "force": is_async}]

    def test_a_field_with_a_factory_that_a_validator_sets_is_shown(self) -> None:
        import pydantic
        from langchain_core import tools

        class Schema(pydantic.BaseModel):
            scope: str = pydantic.Field(default_factory=lambda: "me")

            @pydantic.model_validator(mode="before")  # type: ignore[untyped-decorator]
            @classmethod
            def rename(cls, given: Any) -> Any:
                return {"scope": given["target"]} if "target" in given else given

        def delete(scope: str) -> str:
            got.append({"scope": scope})
            return "deleted"

        tool = tools.StructuredTool.from_function(
            delete, name="delete_user", description="Deletes.", args_schema=Schema
        )
        mock, _ = self.run(tool, {"target": "everyone"})
        assert shown(mock) == got == [{"scope": "everyone"}]

    @pytest.mark.parametrize("is_async", [True, False])
    def test_a_validator_may_change_the_arguments_in_place(self, is_async: bool) -> None:
        import pydantic

        def delete_user(name: str) -> str:
            """Deletes a user."""
            got.append({"name": name})
            return "deleted"

        delete_user.__annotations__["name"] = Annotated[str, pydantic.BeforeValidator(lambda it: it.pop("first"))]
        mock, _ = self.run(delete_user, {"name": {"first": "Eve"}}, is_async)
        assert shown(mock) == got == [{"name": "Eve"}]

    def test_an_invalid_call_is_answered_by_the_tool_if_it_handles_that(self) -> None:
        from langchain_core import tools

        tool = tools.StructuredTool.from_function(delete_user, handle_validation_error="Name a user.")
        for is_async in (True, False):
            mock, text = self.run(tool, {}, is_async)
            assert (text, mock.requests) == ("Name a user.", [])

    def test_there_is_no_request_for_a_call_of_a_tool_that_there_is_not(self) -> None:
        from langgraph import prebuilt

        from human_oversight.adapters.langgraph import awrap, wrap

        wrappers = {"wrap_tool_call": wrap(oversight()), "awrap_tool_call": awrap(oversight())}

        def other() -> None:
            """Does something else."""

        mock = MockGate()
        with mock.gate.scope():
            state = self.graph(prebuilt.ToolNode([other], **wrappers), {}).invoke({"messages": []})
        assert state["messages"][-1].content.startswith("Not run: there is no such tool.")
        assert mock.requests == []

    @pytest.mark.parametrize("thread", [uuid.UUID("5a" * 16), 17, 0, "7"])
    def test_a_thread_is_named_by_its_text(self, thread: Any) -> None:
        from human_oversight.adapters.langgraph import tool_node
        from human_oversight.handle import to_correlation_id

        mock = MockGate()
        graph = self.graph(tool_node([delete_user], oversight()), {"user_id": "1"})
        with mock.gate.scope():
            graph.invoke({"messages": []}, {"configurable": {"thread_id": thread}})
        assert mock.requests[0]["correlationId"] == to_correlation_id(str(thread), "call_1")

    def test_calls_without_an_id_are_requests_of_their_own(self) -> None:
        from human_oversight.adapters.langgraph import tool_node

        mock, config = MockGate(), {"configurable": {"thread_id": "7"}}
        with mock.gate.scope():
            for user in ("1", "2"):
                graph = self.graph(tool_node([delete_user], oversight()), {"user_id": user}, id_="")
                graph.invoke({"messages": []}, config)
        assert [it["user_id"] for it in got] == ["1", "2"]

    def test_a_call_without_an_id_cannot_go_on_waiting(self) -> None:
        from human_oversight.adapters.langgraph import tool_node

        graph = self.graph(tool_node([delete_user], oversight(wait=0)), {"user_id": "1"}, id_="")
        mock = MockGate()
        with mock.gate.scope():
            state = graph.invoke({"messages": []}, {"configurable": {"thread_id": "7"}})
        assert "the call has no id" in state["messages"][-1].content
        assert mock.requests == []

    @pytest.mark.parametrize("is_async", [True, False])
    def test_a_call_is_alone_where_the_messages_have_another_key(self, is_async: bool) -> None:
        from human_oversight.adapters.langgraph import tool_node

        node = tool_node([delete_user], oversight(wait=0), messages_key="talk")
        graph, mock = self.graph(node, {"user_id": "1"}, key="talk"), MockGate()
        with mock.gate.scope():
            state = asyncio.run(graph.ainvoke({"talk": []})) if is_async else graph.invoke({"talk": []})
        assert state["talk"][-1].content == "deleted"


class TestOpenAIAgents:
    @staticmethod
    def run(
        tool: Any, arguments: str, is_gated: bool = True, takes: float = 0, **settings: Any
    ) -> tuple[MockGate, str]:
        """Calls the tool, for which people take some seconds to decide."""
        from test_adapters import TestOpenAIAgents

        from human_oversight.adapters.openai_agents import gate_tools

        def decide(_: Any) -> Any:
            time.sleep(takes)
            return APPROVE

        mock = MockGate(decide)
        with mock.gate.scope():
            (tool,) = gate_tools([tool], oversight()) if is_gated else [tool]
            return mock, TestOpenAIAgents.run(tool, arguments, **settings)

    @pytest.mark.parametrize("is_strict", [True, False])
    @pytest.mark.parametrize("function", [delete_user, delete_user_async])
    def test_the_function_gets_what_is_shown(self, function: Any, is_strict: bool) -> None:
        import agents

        mock, _ = self.run(agents.function_tool(function, strict_mode=is_strict), '{"user_id": "1", "force": "no"}')
        assert shown(mock) == got == [{"user_id": "1", "force": False}]
        mock, _ = self.run(agents.function_tool(function, strict_mode=is_strict), '{"user_id": "1"}')
        assert shown(mock) == got[1:] == [{"user_id": "1", "force": True}]

    @pytest.mark.parametrize(
        "arguments", ["", "[1]", "{", "{}", '{"user_id": []}', '{"user_id": "1", "force": "perhaps"}']
    )
    def test_no_one_is_asked_for_an_invalid_call(self, arguments: str) -> None:
        import agents

        mock, text = self.run(agents.function_tool(delete_user), arguments)
        assert text.startswith("Not run: the arguments are invalid. Correct them before you try again. Invalid JSON")
        assert (mock.requests, got) == ([], [])
        tool = agents.function_tool(delete_user, failure_error_function=lambda _, it: type(it).__name__)
        mock, text = self.run(tool, arguments)
        assert text == self.run(tool, arguments, is_gated=False)[1]
        assert (mock.requests, got) == ([], [])

    @pytest.mark.parametrize("is_strict", [True, False])
    def test_an_argument_that_the_tool_does_not_have_is_an_invalid_call(self, is_strict: bool) -> None:
        import agents

        tool = agents.function_tool(
            delete_user, strict_mode=is_strict, failure_error_function=lambda _, it: f"Oh: {it}"
        )
        mock, text = self.run(tool, '{"user_id": "1", "force": true, "dry_run": true}')
        assert text == "Oh: Invalid JSON input for tool delete_user: there is no argument dry_run"
        assert (mock.requests, got) == ([], [])

    def test_an_invalid_call_ends_the_run_where_the_tool_handles_no_errors(self) -> None:
        import agents

        with pytest.raises(agents.ModelBehaviorError, match="user_id"):
            self.run(agents.function_tool(delete_user, failure_error_function=None), "{}")

    def test_a_tool_with_a_json_schema_gets_what_is_shown(self) -> None:
        import agents

        async def invoke(_: Any, arguments: str) -> str:
            got.append(json.loads(arguments))
            return "deleted"

        def tool(**settings: Any) -> Any:
            properties = {"user_id": {"type": "string"}, "force": {"type": "boolean", "default": None}}
            schema = {"type": "object", "properties": properties, "required": ["user_id"], **settings}
            return agents.FunctionTool("delete_user", "Deletes.", schema, invoke, strict_json_schema=False)

        mock, _ = self.run(tool(), '{"user_id": "1"}')
        assert shown(mock) == got == [{"user_id": "1"}]
        mock, _ = self.run(tool(additionalProperties={}), '{"user_id": "1"}')
        assert shown(mock) == got[1:]
        mock, _ = self.run(tool(additionalProperties=True), '{"user_id": "1", "dry_run": true}')
        assert shown(mock) == got[2:] == [{"user_id": "1", "dry_run": True}]
        mock, _ = self.run(tool(allOf=[{"properties": {"dry_run": {}}}]), '{"user_id": "1", "dry_run": true}')
        assert shown(mock) == got[3:] == got[2:3]
        for invalid in ("{}", '{"user_id": 1}', '{"user_id": "1", "dry_run": true}'):
            mock, text = self.run(tool(), invalid)
            assert text.startswith("Not run: the arguments are invalid.")
            assert (mock.requests, len(got)) == ([], 4)

    @pytest.mark.parametrize("timeout", [None, 5])
    def test_the_function_gets_what_was_approved_though_the_tool_would_make_another_value_by_then(
        self, timeout: Any
    ) -> None:
        import agents
        import pydantic
        from test_adapters import TestOpenAIAgents

        from human_oversight.adapters.openai_agents import gate_tools

        users = {"eve": "1"}

        async def delete_user(user_id: str) -> str:
            got.append({"user_id": user_id})
            return "deleted"

        def decide(_: Any) -> Any:
            users["eve"] = "2"
            return APPROVE

        delete_user.__annotations__["user_id"] = Annotated[str, pydantic.BeforeValidator(users.__getitem__)]
        mock = MockGate(decide)
        with mock.gate.scope():
            (tool,) = gate_tools([agents.function_tool(delete_user, timeout=timeout)], oversight())
            text = TestOpenAIAgents.run(tool, '{"user_id": "eve"}')
        assert shown(mock) == got == [{"user_id": "1"}]
        assert (text, mock.outcomes) == ("deleted", ["Executed"])

    def test_a_tool_that_would_make_the_values_again_is_not_gated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import agents

        from human_oversight.adapters.openai_agents import gate_tools

        tool = agents.function_tool(delete_user)
        monkeypatch.delattr(type(tool.on_invoke_tool), "prepare_arguments")
        with pytest.raises(TypeError, match="this version of openai-agents"):
            gate_tools([tool], oversight())

    def test_what_a_validator_raises_is_for_the_tool_to_handle(self) -> None:
        import agents
        import pydantic

        def delete_user(user_id: str) -> str:
            raise AssertionError("it ran")

        delete_user.__annotations__["user_id"] = Annotated[str, pydantic.BeforeValidator({}.__getitem__)]
        for settings in ({}, {"failure_error_function": lambda _, it: f"Oh: {it!r}"}):
            tool = agents.function_tool(delete_user, **settings)
            mock, text = self.run(tool, '{"user_id": "eve"}')
            assert text == self.run(tool, '{"user_id": "eve"}', is_gated=False)[1]
            assert mock.requests == []

    def test_a_context_and_what_a_factory_makes_are_not_shown(self) -> None:
        import agents
        import pydantic
        from agents.tool_context import ToolContext

        def delete_user(
            context: ToolContext[Any],
            user_id: str,
            key: str = pydantic.Field(default_factory=lambda: str(uuid.uuid4())),
            groups: list[str] = pydantic.Field(default_factory=list),  # noqa: B008
        ) -> str:
            got.append({"user_id": user_id, "groups": groups, "key": len(key)})
            return context.tool_name

        mock, text = self.run(agents.function_tool(delete_user), '{"user_id": "1"}')
        assert (shown(mock), text) == ([{"user_id": "1", "groups": []}], "delete_user")
        assert got == [{"user_id": "1", "groups": [], "key": 36}]

    def test_no_one_is_asked_where_the_function_would_get_other_values_than_are_shown(self) -> None:
        import agents
        import pydantic

        class Order(pydantic.BaseModel):
            id: str = pydantic.Field(default_factory=lambda: str(uuid.uuid4()))

        def delete_user(order: Any) -> str:
            raise AssertionError("it ran")

        delete_user.__annotations__["order"] = Order
        mock, text = self.run(agents.function_tool(delete_user, strict_mode=False), '{"order": {}}')
        assert "makes other values" in text
        assert mock.requests == []

    @pytest.mark.parametrize("behaviour", ["error_as_result", "raise_exception"])
    def test_the_timeout_of_a_tool_is_that_of_its_function(self, behaviour: Any) -> None:
        import agents

        async def delete_user(user_id: str) -> str:
            if user_id == "slow":
                await asyncio.sleep(60)
            return "deleted"

        tool = agents.function_tool(delete_user, timeout=0.2, timeout_behavior=behaviour)
        mock, text = self.run(tool, '{"user_id": "1"}', takes=0.5)
        assert (text, mock.outcomes) == ("deleted", ["Executed"])
        if behaviour == "raise_exception":
            with pytest.raises(agents.ToolTimeoutError):
                self.run(tool, '{"user_id": "slow"}')
            return
        mock, text = self.run(tool, '{"user_id": "slow"}')
        assert (text, mock.outcomes) == ("Tool 'delete_user' timed out after 0.2 seconds.", ["ExecutionFailed"])
        tool = agents.function_tool(delete_user, timeout=0.2, timeout_error_function=lambda _, error: f"Oh: {error}")
        mock, text = self.run(tool, '{"user_id": "slow"}')
        assert text.startswith("Oh: ")
        assert mock.outcomes == ["ExecutionFailed"]

    def test_calls_without_an_id_are_requests_of_their_own(self) -> None:
        import agents
        from agents.tool_context import ToolContext

        from human_oversight.adapters.openai_agents import gate_tools

        (tool,) = gate_tools([agents.function_tool(delete_user)], oversight())
        with MockGate().gate.scope():
            for user in ("1", "2"):
                text = json.dumps({"user_id": user})
                context = ToolContext(None, None, tool.name, "", text, run_config=agents.RunConfig(group_id="7"))
                asyncio.run(tool.on_invoke_tool(context, text))
        assert [it["user_id"] for it in got] == ["1", "2"]


class TestAgentFramework:
    @staticmethod
    def run(tool: Any, arguments: str, is_gated: bool = True, **settings: Any) -> tuple[MockGate, str]:
        """Calls the tool."""
        from test_adapters import TestAgentFramework

        from human_oversight.adapters.agent_framework import HumanOversight

        gates = [HumanOversight("UserManager", {"delete_user": "Delete User Account"})] if is_gated else []
        mock = MockGate()
        with mock.gate.scope():
            return mock, TestAgentFramework.run([tool], gates, arguments=arguments, **settings)

    @pytest.mark.parametrize("function", [delete_user, delete_user_async])
    def test_the_function_gets_what_is_shown(self, function: Any) -> None:
        mock, _ = self.run(function, '{"user_id": "1", "force": "no", "dry_run": true}')
        assert shown(mock) == got == [{"user_id": "1", "force": False}]
        mock, _ = self.run(function, '{"user_id": "1"}')
        assert shown(mock) == got[1:] == [{"user_id": "1", "force": True}]

    @pytest.mark.parametrize(
        "arguments", ["", "[1]", "{", "{}", '{"user_id": []}', '{"user_id": "1", "force": "perhaps"}']
    )
    def test_no_one_is_asked_for_an_invalid_call(self, arguments: str) -> None:
        mock, text = self.run(delete_user, arguments)
        assert text == self.run(delete_user, arguments, is_gated=False)[1]
        assert text.startswith("Error: Argument parsing failed.")
        assert (mock.requests, got) == ([], [])

    def test_what_another_middleware_makes_of_the_arguments_is_validated_too(self) -> None:
        import agent_framework as framework
        from test_adapters import TestAgentFramework

        from human_oversight.adapters.agent_framework import HumanOversight

        def setting(arguments: Any) -> Any:
            @framework.function_middleware
            async def middleware(context: Any, call_next: Any) -> None:
                context.arguments = arguments
                await call_next()

            return middleware

        gate = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
        mock = MockGate()
        with mock.gate.scope():
            TestAgentFramework.run([delete_user], [setting({"user_id": "1", "dry_run": True}), gate])
            assert shown(mock) == got == [{"user_id": "1", "force": True}]
            text = TestAgentFramework.run([delete_user], [setting({"dry_run": True}), gate])
        assert text.startswith("Error: Argument parsing failed.")
        assert (len(mock.requests), len(got)) == (1, 1)

    def test_what_changes_while_people_decide_does_not_run(self) -> None:
        import agent_framework as framework
        from test_adapters import TestAgentFramework

        from human_oversight.adapters.agent_framework import HumanOversight

        contexts: list[Any] = []

        @framework.function_middleware
        async def note(context: Any, call_next: Any) -> None:
            contexts.append(context)
            await call_next()

        def decide(_: Any) -> Any:
            contexts[0].arguments["user_id"] = "2"
            return APPROVE

        gate = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
        mock = MockGate(decide)
        with mock.gate.scope():
            text = TestAgentFramework.run([delete_user], [note, gate])
        assert text.startswith("Not run: the approval could not be verified.")
        assert (mock.outcomes, got) == (["ExecutionFailed"], [])

    def test_a_context_is_not_shown_though_the_model_names_it(self) -> None:
        import agent_framework as framework

        def delete_user(user_id: str, context: Any) -> str:
            """Deletes a user."""
            return str(context.function.name)

        delete_user.__annotations__["context"] = framework.FunctionInvocationContext
        mock, text = self.run(delete_user, '{"user_id": "1", "context": {}}')
        assert (shown(mock), text) == ([{"user_id": "1"}], "delete_user")

    def test_the_function_gets_the_values_that_were_shown_though_the_tool_would_make_others(self) -> None:
        import pydantic

        numbers = itertools.count()

        def delete_user(user_id: str) -> str:
            """Deletes a user."""
            got.append({"user_id": user_id})
            return "deleted"

        number = pydantic.AfterValidator(lambda it: f"{it}{next(numbers)}")
        delete_user.__annotations__["user_id"] = Annotated[str, number]
        mock, _ = self.run(delete_user, '{"user_id": "1"}')
        assert shown(mock) == got == [{"user_id": "10"}]

    def test_a_method_gets_what_is_shown(self) -> None:
        import agent_framework as framework

        class Users:
            @framework.tool(name="delete_user")  # type: ignore[untyped-decorator]
            def delete(self, user_id: str, force: bool = True) -> str:
                """Deletes a user."""
                return delete_user(user_id, force)

        mock, _ = self.run(Users().delete, '{"user_id": "1"}')
        assert shown(mock) == got == [{"user_id": "1", "force": True}]

    def test_a_tool_with_a_json_schema_gets_what_is_shown(self) -> None:
        import agent_framework as framework

        def delete(**arguments: Any) -> str:
            got.append(arguments)
            return "deleted"

        properties = {"user_id": {"type": "string"}, "force": {"type": "boolean", "default": None}}
        schema = {"type": "object", "properties": properties, "required": ["user_id"]}
        tool = framework.FunctionTool(name="delete_user", description="Deletes.", func=delete, input_model=schema)
        mock, _ = self.run(tool, '{"user_id": "1"}')
        assert shown(mock) == got == [{"user_id": "1"}]
        for invalid in ("{}", '{"user_id": 1}', '{"user_id": "1", "dry_run": true}'):
            mock, text = self.run(tool, invalid)
            assert text.startswith("Error: Argument parsing failed.")
            assert (mock.requests, len(got)) == ([], 1)
