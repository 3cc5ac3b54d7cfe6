"""The adapters, each with its real framework and a model that follows a script."""

import asyncio
import contextlib
import functools
import json
from pathlib import Path
from typing import Annotated, Any

import pytest

from human_oversight import Reason, approval_gate
from human_oversight.adapters.oversight import Oversight
from human_oversight.mock import APPROVE, MockGate, Policy, reject

REJECTED = "Not run: rejected by approver@example.com. Their reason: Ask Legal."


def delete_user(user_id: str, force: bool = False) -> str:
    """Deletes a user."""
    return f"User {user_id} deleted."


POLICIES: list[tuple[Policy, str]] = [
    (lambda _: APPROVE, "User 1 deleted."),
    (lambda _: reject("Ask Legal."), REJECTED),
]


@pytest.fixture(params=POLICIES, ids=["approved", "rejected"])
def case(request: pytest.FixtureRequest) -> Any:
    """A gate, and what the model must read."""
    policy, words = request.param
    mock = MockGate(policy)
    with mock.gate.scope():
        yield mock, words


def oversight(**settings: Any) -> Oversight:
    return Oversight("UserManager", {"delete_user": "Delete User Account"}, **settings)


def check(mock: MockGate, parameters: dict[str, Any]) -> None:
    (request,) = mock.requests
    assert (request["agentName"], request["actionDescription"]) == ("UserManager", "Delete User Account")
    assert request["parameters"] == parameters


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[1].glob("src/human_oversight/adapters/*.py")))
def test_an_adapter_has_fewer_than_60_lines(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines < 60 or path.name == "oversight.py", lines


class TestOpenAIAgents:
    @staticmethod
    def agent(tool: Any, read: list[str], arguments: str = '{"user_id": "1"}', id_: str = "call_1") -> Any:
        """An agent that calls the tool, and notes what it reads."""
        import agents
        from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

        agents.set_tracing_disabled(True)

        class Model(agents.Model):  # type: ignore[name-defined, misc]
            async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> Any:  # noqa: A002
                results = [
                    it["output"] for it in input if isinstance(it, dict) and it.get("type") == "function_call_output"
                ]
                read.extend(results)
                call = ResponseFunctionToolCall(type="function_call", name=tool.name, call_id=id_, arguments=arguments)
                text = ResponseOutputText(type="output_text", text="done", annotations=[])
                message = ResponseOutputMessage(
                    id="1", type="message", role="assistant", status="completed", content=[text]
                )
                output = [message] if results else [call]
                return agents.ModelResponse(output=output, usage=agents.Usage(), response_id=None)

            def stream_response(self, *_: Any, **__: Any) -> Any:
                raise NotImplementedError

        return agents.Agent("UserManager", model=Model(), tools=[tool])

    @classmethod
    def run(cls, tool: Any, arguments: str = '{"user_id": "1"}', id_: str = "call_1", **settings: Any) -> str:
        import agents

        read: list[str] = []
        asyncio.run(agents.Runner.run(cls.agent(tool, read, arguments, id_), "Delete user 1.", **settings))
        (text,) = read
        return text

    def test_a_gated_function_is_a_tool(self, case: Any) -> None:
        import agents

        mock, words = case
        tool = agents.function_tool(approval_gate("UserManager", "Delete User Account")(delete_user))
        assert list(tool.params_json_schema["properties"]) == ["user_id", "force"]
        assert self.run(tool) == words
        check(mock, {"user_id": "1", "force": False})

    def test_a_context_is_not_shown(self, case: Any) -> None:
        import agents
        from agents.tool_context import ToolContext

        mock, words = case

        async def delete_user(context: ToolContext[Any], user_id: str) -> str:
            return f"User {user_id} deleted."

        tool = agents.function_tool(approval_gate("UserManager", "Delete User Account")(delete_user))
        assert self.run(tool) == words
        check(mock, {"user_id": "1"})

    def test_a_tool_of_another_package_is_gated(self, case: Any) -> None:
        import agents

        from human_oversight.adapters.openai_agents import gate_tools

        mock, words = case
        (tool,) = gate_tools([agents.function_tool(delete_user)], oversight())
        assert self.run(tool) == words
        check(mock, {"user_id": "1", "force": False})
        assert mock.requests[0]["correlationId"] == "call_1"

    def test_a_call_is_that_of_its_conversation_if_the_run_names_it(self) -> None:
        import agents

        from human_oversight.adapters.openai_agents import gate_tools

        (tool,) = gate_tools([agents.function_tool(delete_user)], oversight())
        mock = MockGate()
        with mock.gate.scope():
            for thread, user in (("7", "1"), ("8", "2")):  # the model gives both calls the same id
                config = agents.RunConfig(group_id=thread)
                assert self.run(tool, f'{{"user_id": "{user}"}}', run_config=config) == f"User {user} deleted."
            again = self.run(tool, run_config=agents.RunConfig(group_id="7"))
        assert again.startswith("Not run again: ")
        assert [it["parameters"] for it in mock.requests] == [{"user_id": it, "force": False} for it in "12"]

    def test_a_gated_agent_cannot_wait_for_an_approval_of_the_sdk(self) -> None:
        import agents

        from human_oversight.adapters.openai_agents import gate_tools

        def gate(needs_approval: bool) -> Any:
            inner = agents.function_tool(delete_user, needs_approval=needs_approval)
            agent = self.agent(inner, [])
            return gate_tools([agent.as_tool("manage", "Manages users.")], Oversight("A", {"manage": "Manage"}))[0]

        mock = MockGate()
        with mock.gate.scope():
            assert self.run(gate(needs_approval=False), '{"input": "1"}') == "done"
            with pytest.raises(agents.UserError, match="cannot wait for an approval of the SDK"):
                self.run(gate(needs_approval=True), '{"input": "2"}', run_config=agents.RunConfig(group_id="2"))
        assert mock.outcomes == ["Executed", "ExecutionFailed"]

    def test_a_failure_of_which_the_sdk_makes_a_text_is_reported_as_failed(self) -> None:
        import agents

        from human_oversight.adapters.openai_agents import gate_tools

        @agents.function_tool(name_override="delete_user")
        def fails(user_id: str) -> str:
            raise ValueError("no such user")

        @agents.function_tool(name_override="delete_user", failure_error_function=lambda _, error: f"Oh: {error}")
        def explains(user_id: str) -> str:
            raise ValueError("no such user")

        for function, words in ((fails, "An error"), (explains, "Oh: no such user")):
            mock = MockGate()
            with mock.gate.scope():
                (tool,) = gate_tools([function], oversight())
                assert words in self.run(tool)
            assert mock.outcomes == ["ExecutionFailed"]

    def test_a_named_tool_that_cannot_be_gated_is_refused(self) -> None:
        import agents
        from agents.tool import CustomTool, LocalShellTool, ShellTool

        from human_oversight.adapters.openai_agents import gate_tools

        async def execute(*_: Any) -> str:
            raise AssertionError("it ran")

        others = {
            "shell": ShellTool(executor=execute),
            "local_shell": LocalShellTool(executor=execute),
            "delete_user": CustomTool(name="delete_user", description="Deletes.", on_invoke_tool=execute),
            "web_search": agents.WebSearchTool(),
        }
        function = agents.function_tool(delete_user)
        for name, tool in others.items():
            with pytest.raises(TypeError, match=name):
                gate_tools([function, tool], Oversight("UserManager", {"delete_user": "Delete", name: "Run"}))
        with pytest.raises(TypeError, match="delete_users"):
            gate_tools([function], Oversight("UserManager", {"delete_user": "Delete", "delete_users": "Delete"}))
        kept = gate_tools([function, others["shell"]], oversight())
        assert kept[1] is others["shell"]


class TestPydanticAI:
    @staticmethod
    def run(toolset: Any, history: Any = None) -> str:
        from pydantic_ai import Agent, ModelResponse, TextPart, ToolCallPart
        from pydantic_ai.messages import ToolReturnPart
        from pydantic_ai.models.function import FunctionModel

        read: list[str] = []

        def model(messages: Any, _: Any) -> Any:
            results = [part.content for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
            read.extend(results)
            call = ToolCallPart("delete_user", {"user_id": "1"}, tool_call_id="call_1")
            return ModelResponse(parts=[TextPart("done")] if results else [call])

        agent = Agent(FunctionModel(model), toolsets=[toolset])
        asyncio.run(agent.run(None if history else "Delete user 1.", message_history=history))
        (text,) = read
        return text

    def test_a_call_of_a_stored_history_is_one_request(self) -> None:
        from pydantic_ai import ModelRequest, ModelResponse, ToolCallPart, UserPromptPart
        from pydantic_ai.toolsets import FunctionToolset

        from human_oversight.adapters.pydantic_ai import HumanOversight

        call = ToolCallPart("delete_user", {"user_id": "1"}, tool_call_id="call_1")
        question = ModelRequest([UserPromptPart("Delete user 1.")], conversation_id="7")
        history = [question, ModelResponse([call], conversation_id="7")]
        toolset = HumanOversight(FunctionToolset([delete_user]), oversight())
        mock = MockGate()
        with mock.gate.scope():
            assert self.run(toolset, history) == "User 1 deleted."
            assert self.run(toolset, history).startswith("Not run again: ")
            assert len(mock.requests) == 1
            assert self.run(toolset) == "User 1 deleted."  # another conversation, whose call has the same id
            assert len(mock.requests) == 2

    def test_a_toolset_is_gated(self, case: Any) -> None:
        from pydantic_ai.toolsets import FunctionToolset

        from human_oversight.adapters.pydantic_ai import HumanOversight

        mock, words = case
        assert self.run(HumanOversight(FunctionToolset([delete_user]), oversight())) == words
        check(mock, {"user_id": "1", "force": False})

    @pytest.mark.parametrize("is_inside", [True, False])
    def test_a_gated_tool_cannot_ask_for_an_approval_of_the_framework(self, is_inside: bool) -> None:
        import pydantic_ai as ai
        from pydantic_ai.models.test import TestModel
        from pydantic_ai.toolsets import FunctionToolset

        from human_oversight.adapters.pydantic_ai import HumanOversight

        def ask(toolset: Any) -> Any:
            return toolset.approval_required()

        functions = FunctionToolset([delete_user])
        toolset = (
            HumanOversight(ask(functions), oversight()) if is_inside else ask(HumanOversight(functions, oversight()))
        )
        agent = ai.Agent(TestModel(), toolsets=[toolset], output_type=[str, ai.DeferredToolRequests])
        mock = MockGate()
        with mock.gate.scope():
            if is_inside:
                with pytest.raises(RuntimeError, match="cannot ask for approval"):
                    asyncio.run(agent.run("Delete user 1."))
            else:
                asked = asyncio.run(agent.run("Delete user 1."))
                approvals = ai.DeferredToolResults(approvals={it.tool_call_id: True for it in asked.output.approvals})
                asyncio.run(agent.run(message_history=asked.all_messages(), deferred_tool_results=approvals))
        assert mock.outcomes == ["ExecutionFailed" if is_inside else "Executed"]

    def test_a_tool_that_has_started_its_job_has_run(self) -> None:
        import pydantic_ai as ai
        from pydantic_ai.models.test import TestModel
        from pydantic_ai.toolsets import FunctionToolset

        from human_oversight.adapters.pydantic_ai import HumanOversight

        def delete_user(user_id: str) -> str:
            raise ai.CallDeferred(metadata={"job": "9"})

        toolset = HumanOversight(FunctionToolset([delete_user]), oversight())
        agent = ai.Agent(TestModel(), toolsets=[toolset], output_type=[str, ai.DeferredToolRequests])
        mock = MockGate()
        with mock.gate.scope():
            output = asyncio.run(agent.run("Delete user 1.")).output
        assert [output.metadata[it.tool_call_id] for it in output.calls] == [{"job": "9"}]
        assert mock.outcomes == ["Executed"]

    def test_a_named_tool_that_cannot_be_gated_ends_the_run(self) -> None:
        from pydantic_ai.tools import ToolDefinition
        from pydantic_ai.toolsets import ExternalToolset, FunctionToolset

        from human_oversight.adapters.pydantic_ai import HumanOversight

        external = ExternalToolset([ToolDefinition(name="delete_user")])
        for toolset in (FunctionToolset([delete_user]).prefixed("x"), external):
            with pytest.raises(TypeError, match="delete_user"):
                self.run(HumanOversight(toolset, oversight()))

    def test_a_gated_function_is_a_tool_and_its_context_is_not_shown(self, case: Any) -> None:
        from pydantic_ai import RunContext
        from pydantic_ai.toolsets import FunctionToolset

        mock, words = case

        @approval_gate("UserManager", "Delete User Account")
        def delete_user(ctx: RunContext[None], user_id: str) -> str:
            return f"User {user_id} deleted."

        assert self.run(FunctionToolset([delete_user])) == words
        check(mock, {"user_id": "1"})


class TestLangGraph:
    @staticmethod
    def graph(node: Any, saver: Any = None, users: str = "1", route: Any = None, others: Any = None) -> Any:
        from langchain_core.messages import AIMessage
        from langgraph.graph import START, MessagesState, StateGraph

        def model(_: Any) -> Any:
            calls = [{"name": "delete_user", "args": {"user_id": user}, "id": f"call_{user}"} for user in users]
            return {"messages": [AIMessage("", tool_calls=calls)]}

        graph = StateGraph(MessagesState).add_node("model", model).add_node("tools", node).add_edge(START, "model")
        graph = graph.add_conditional_edges("model", route or (lambda _: "tools"), ["tools"])
        for name, function in (others or {}).items():
            graph.add_node(name, function)
        return graph.compile(checkpointer=saver)

    @classmethod
    def run(cls, node: Any, is_async: bool = True) -> str:
        graph, messages = cls.graph(node), {"messages": []}
        state = asyncio.run(graph.ainvoke(messages)) if is_async else graph.invoke(messages)
        return str(state["messages"][-1].content)

    @pytest.mark.parametrize("is_async", [True, False])
    def test_the_calls_of_a_tool_node_are_gated(self, case: Any, is_async: bool) -> None:
        from human_oversight.adapters.langgraph import tool_node

        mock, words = case
        assert self.run(tool_node([delete_user], oversight()), is_async) == words
        check(mock, {"user_id": "1", "force": False})

    @pytest.mark.parametrize("is_async", [True, False])
    def test_the_calls_of_a_node_with_both_wrappers_are_gated(self, case: Any, is_async: bool) -> None:
        from langgraph import prebuilt

        from human_oversight.adapters.langgraph import awrap, wrap

        mock, words = case
        wrappers = {"wrap_tool_call": wrap(oversight()), "awrap_tool_call": awrap(oversight())}
        assert self.run(prebuilt.ToolNode([delete_user], **wrappers), is_async) == words
        check(mock, {"user_id": "1", "force": False})

    @pytest.mark.parametrize("is_async", [True, False])
    def test_a_call_that_the_node_answers_with_an_error_is_reported_as_failed(self, is_async: bool) -> None:
        from human_oversight.adapters.langgraph import tool_node

        def delete_user(user_id: str) -> str:
            """Deletes a user."""
            raise ValueError("no such user")

        mock = MockGate()
        with mock.gate.scope():
            node = tool_node([delete_user], oversight(), handle_tool_errors=True)
            assert "no such user" in self.run(node, is_async)
        assert mock.outcomes == ["ExecutionFailed"]

    @pytest.mark.parametrize("is_async", [True, False])
    def test_a_call_that_may_interrupt_runs_in_a_task_of_its_own(self, is_async: bool) -> None:
        from langgraph.types import Send

        from human_oversight.adapters.langgraph import tool_node

        def results(**settings: Any) -> list[str]:
            graph = self.graph(tool_node([delete_user], oversight(wait=0)), users="12", **settings)
            messages = {"messages": []}
            state = asyncio.run(graph.ainvoke(messages)) if is_async else graph.invoke(messages)
            return [message.content for message in state["messages"][1:]]

        def send(state: Any) -> Any:
            return [Send("tools", [call]) for call in state["messages"][-1].tool_calls]

        mock = MockGate()
        with mock.gate.scope():
            assert all(text.startswith("Not run: call this tool alone.") for text in results())
            assert mock.requests == []
            assert results(route=send) == ["User 1 deleted.", "User 2 deleted."]

    @pytest.mark.parametrize("is_async", [True, False])
    def test_a_gated_tool_cannot_interrupt_the_graph(self, is_async: bool) -> None:
        from langgraph.types import interrupt

        from human_oversight.adapters.langgraph import tool_node

        def delete_user(user_id: str) -> str:
            """Deletes a user."""
            return str(interrupt("Really?"))

        mock = MockGate()
        with mock.gate.scope(), pytest.raises(RuntimeError, match="cannot interrupt"):
            self.run(tool_node([delete_user], oversight()), is_async)
        assert mock.outcomes == ["ExecutionFailed"]

    @pytest.mark.parametrize("is_async", [True, False])
    def test_a_tool_whose_graph_goes_on_elsewhere_has_run(self, is_async: bool) -> None:
        from langgraph.graph import START, MessagesState, StateGraph
        from langgraph.types import Command

        from human_oversight.adapters.langgraph import tool_node

        def leave(_: Any) -> Any:
            return Command(graph=Command.PARENT, goto="elsewhere", update={"messages": [("ai", "User 1 deleted.")]})

        inner = StateGraph(MessagesState).add_node("leave", leave).add_edge(START, "leave").compile()

        def delete_user(user_id: str) -> Any:
            """Deletes a user."""
            return inner.invoke({"messages": []})

        graph = self.graph(tool_node([delete_user], oversight()), others={"elsewhere": lambda _: None})
        mock = MockGate()
        with mock.gate.scope():
            state = asyncio.run(graph.ainvoke({"messages": []})) if is_async else graph.invoke({"messages": []})
        assert state["messages"][-1].content == "User 1 deleted."
        assert mock.outcomes == ["Executed"]

    def test_a_named_tool_that_there_is_not_is_refused(self) -> None:
        from human_oversight.adapters.langgraph import tool_node

        with pytest.raises(TypeError, match="delete_users"):
            tool_node([delete_user], Oversight("UserManager", {"delete_users": "Delete User Account"}))

    def test_a_gated_function_is_a_tool_and_what_is_injected_is_not_shown(self, case: Any) -> None:
        from langchain_core.tools import InjectedToolCallId
        from langgraph.prebuilt import InjectedState, ToolNode

        mock, words = case

        @approval_gate("UserManager", "Delete User Account")
        def delete_user(
            user_id: str,
            state: Annotated[dict[str, Any], InjectedState],
            call: Annotated[str, InjectedToolCallId],
        ) -> str:
            """Deletes a user."""
            return f"User {user_id} deleted."

        assert self.run(ToolNode([delete_user])) == words
        check(mock, {"user_id": "1"})

    def test_an_interrupted_graph_asks_once_and_collects_the_decision(
        self, real: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from langgraph.checkpoint.memory import InMemorySaver
        from langgraph.types import Command

        from human_oversight import Gate
        from human_oversight.adapters.langgraph import tool_node

        monkeypatch.setenv("HO_CLAIM_KEY", "5a" * 32)

        def compiled() -> Any:
            # As after a restart: nothing but the checkpoint and the claim key stays.
            return self.graph(tool_node([delete_user], oversight(wait=0, gate=Gate.from_env())), saver)

        saver, config = InMemorySaver(), {"configurable": {"thread_id": "7"}}
        (interrupt,) = compiled().invoke({"messages": []}, config)["__interrupt__"]
        assert interrupt.value["tool"] == "delete_user"
        assert compiled().invoke(Command(resume=True), config)["__interrupt__"]
        real.decide(interrupt.value["request"], "approve", "")
        state = compiled().invoke(Command(resume=True), config)
        assert state["messages"][-1].content == "User 1 deleted."
        assert len(real.questions()) == 1

    def test_the_resume_that_collects_a_decision_does_not_answer_the_tools_own_interrupt(
        self, real: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from langgraph.checkpoint.memory import InMemorySaver
        from langgraph.types import Command, interrupt

        from human_oversight import Gate
        from human_oversight.adapters.langgraph import tool_node

        def delete_user(user_id: str) -> str:
            """Deletes a user."""
            return f"answered: {interrupt('Really?')}"

        monkeypatch.setenv("HO_CLAIM_KEY", "5a" * 32)
        graph = self.graph(tool_node([delete_user], oversight(wait=0, gate=Gate.from_env())), InMemorySaver())
        config = {"configurable": {"thread_id": "7"}}
        (pending,) = graph.invoke({"messages": []}, config)["__interrupt__"]
        real.decide(pending.value["request"], "approve", "")
        with pytest.raises(RuntimeError, match="cannot interrupt"):
            graph.invoke(Command(resume=True), config)


class TestAgentFramework:
    @staticmethod
    def run(tools: list[Any], middleware: list[Any], of_run: Any = None, arguments: str = '{"user_id": "1"}') -> str:
        import agent_framework as framework

        read: list[str] = []

        class Client(framework.FunctionInvocationLayer, framework.BaseChatClient):  # type: ignore[name-defined, misc]
            def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **_: Any) -> Any:
                async def respond() -> Any:
                    contents = [it for it in messages[-1].contents if it.type == "function_result"]
                    read.extend(str(it.result) for it in contents)
                    call = framework.Content.from_function_call("call_1", "delete_user", arguments=arguments)
                    message = framework.Message("assistant", ["done"] if contents else [call])
                    return framework.ChatResponse(messages=[message])

                return respond()

        agent = framework.Agent(Client(), tools=tools, middleware=middleware)
        asyncio.run(agent.run("Delete user 1.", middleware=of_run))
        (text,) = read
        return text

    def test_the_middleware_gates_a_tool(self, case: Any) -> None:
        from human_oversight.adapters.agent_framework import HumanOversight

        mock, words = case
        middleware = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
        assert self.run([delete_user], [middleware]) == words
        check(mock, {"user_id": "1", "force": False})

    def test_a_named_tool_that_cannot_be_gated_ends_the_run(self) -> None:
        import agent_framework as framework

        from human_oversight.adapters.agent_framework import HumanOversight

        def delete_user(user_id: str) -> None:
            """Deletes a user."""
            raise AssertionError("it ran")

        of_the_host = framework.FunctionTool(name="delete_users", description="Deletes users.", func=None)
        for others in ([], [of_the_host], [{"type": "delete_users"}]):
            with pytest.raises(framework.MiddlewareFailure, match="delete_users"):
                self.run([delete_user, *others], [HumanOversight("UserManager", {"delete_users": "Delete"})])

    @pytest.mark.parametrize("kind", ["item", "arguments", "nested"])
    def test_what_a_later_middleware_changes_does_not_run(self, kind: str) -> None:
        import agent_framework as framework

        from human_oversight.adapters.agent_framework import HumanOversight

        def delete_user(user_id: str, groups: list[str] | None = None) -> None:
            """Deletes a user."""
            raise AssertionError("it ran")

        @framework.function_middleware
        async def prepare(context: Any, call_next: Any) -> None:
            context.arguments["groups"] = ["staff"]
            await call_next()

        @framework.function_middleware
        async def change(context: Any, call_next: Any) -> None:
            if kind == "item":
                context.arguments["user_id"] = "2"
            elif kind == "arguments":
                context.arguments = {"user_id": "2"}
            else:
                context.arguments["groups"].append("admins")
            await call_next()

        mock = MockGate()
        middleware = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
        with mock.gate.scope():
            text = self.run([delete_user], [prepare, middleware], [change])
        assert text == "Not run: the approval could not be verified. Do not try again: tell the operator."
        check(mock, {"user_id": "1", "groups": ["staff"]})
        assert mock.outcomes == ["ExecutionFailed"]

    def test_a_function_runs_once_though_a_later_middleware_repeats_it(self) -> None:
        import agent_framework as framework

        from human_oversight.adapters.agent_framework import HumanOversight

        runs: list[str] = []

        def delete_user(user_id: str) -> None:
            """Deletes a user."""
            runs.append(user_id)
            raise ValueError("no such user")

        @framework.function_middleware
        async def repeat(_: Any, call_next: Any) -> None:
            with contextlib.suppress(ValueError):
                await call_next()
            await call_next()

        mock = MockGate()
        middleware = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
        with mock.gate.scope():
            self.run([delete_user], [middleware], [repeat])
        assert runs == ["1"]
        assert mock.outcomes == ["ExecutionFailed"]

    def test_a_gated_function_cannot_ask_the_user(self) -> None:
        import agent_framework as framework

        from human_oversight.adapters.agent_framework import HumanOversight

        def delete_user(user_id: str) -> str:
            """Deletes a user."""
            raise framework.UserInputRequiredException([framework.Content.from_text("Really?")])

        mock = MockGate()
        middleware = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
        with mock.gate.scope(), pytest.raises(framework.MiddlewareFailure, match="cannot ask the user"):
            self.run([delete_user], [middleware])
        assert mock.outcomes == ["ExecutionFailed"]

    def test_a_function_that_a_later_middleware_keeps_from_running_is_not_reported_as_executed(self) -> None:
        import agent_framework as framework

        from human_oversight.adapters.agent_framework import HumanOversight

        @framework.function_middleware
        async def instead(context: Any, _: Any) -> None:
            context.result = "Already gone."

        mock = MockGate()
        middleware = HumanOversight("UserManager", {"delete_user": "Delete User Account"})
        with mock.gate.scope():
            assert "Already gone." in self.run([delete_user], [middleware], [instead])
        assert mock.outcomes == ["ExecutionFailed"]

    def test_a_gated_function_is_a_tool(self, case: Any) -> None:
        mock, words = case
        tool = approval_gate("UserManager", "Delete User Account")(delete_user)
        assert self.run([tool], []) == words
        check(mock, {"user_id": "1", "force": False})


def test_arguments_that_json_cannot_carry_are_refused_before_anyone_is_asked() -> None:
    mock = MockGate()
    with mock.gate.scope():
        text = oversight().run("delete_user", json.loads('{"user_id": NaN}'), (), lambda: "ran")
    assert text.startswith("Not run: the request is invalid.")
    assert mock.requests == []


def test_a_context_of_a_framework_is_left_out() -> None:
    import agents
    from langgraph.runtime import Runtime
    from mcp.server.mcpserver import Context
    from pydantic_ai import RunContext
    from pydantic_ai.models.test import TestModel
    from pydantic_ai.usage import RunUsage

    class Own(agents.RunContextWrapper):  # type: ignore[name-defined, misc]
        pass

    run = RunContext(deps=None, model=TestModel(), usage=RunUsage())
    mock = MockGate()
    with mock.gate.scope():
        for context in (agents.RunContextWrapper(None), Own(None), Runtime(), Context(), run):
            assert approval_gate("A", "B")(lambda context, user_id: "ran")(context, "1") == "ran"
            assert mock.requests[-1]["parameters"] == {"user_id": "1"}


def test_an_annotation_of_another_function_hides_nothing() -> None:
    from agents import RunContextWrapper

    def inner(to: RunContextWrapper[Any], user_id: str) -> None:
        raise AssertionError("it ran")

    @functools.wraps(inner)
    def function(user_id: str, to: str) -> Any:
        return {"user_id": user_id, "to": to}

    mock = MockGate()
    with mock.gate.scope():
        assert approval_gate("A", "B")(function)("1", "2") == {"user_id": "1", "to": "2"}
    assert mock.requests[0]["parameters"] == {"user_id": "1", "to": "2"}


def test_a_pydantic_model_is_shown_as_the_function_gets_it() -> None:
    import pydantic

    class Item(pydantic.BaseModel):
        name: str = pydantic.Field(alias="the_name")

    class Order(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        items: list[Item]
        amount: int
        note: str = pydantic.Field("", exclude=True)
        link: pydantic.HttpUrl = pydantic.HttpUrl("https://example.com/a")

        @pydantic.field_serializer("amount")
        def hide(self, amount: int) -> int:
            return 0

    mock = MockGate()
    pay = approval_gate("A", "B")(lambda order, rows: "paid")
    order = Order(items=[{"the_name": "x"}], amount=9, note="all of it", extra=1)
    rows = pydantic.RootModel[list[int]]([1, 2])
    with mock.gate.scope():
        assert pay(order, rows) == "paid"
    shown = {"items": [{"name": "x"}], "amount": 9, "note": "all of it", "link": "https://example.com/a", "extra": 1}
    assert mock.requests[0]["parameters"] == {"order": shown, "rows": [1, 2]}


def test_what_a_pydantic_model_hides_is_refused_before_anyone_is_asked() -> None:
    import pydantic

    class Login(pydantic.BaseModel):
        secret: pydantic.SecretStr

    mock = MockGate()
    with mock.gate.scope():
        text = approval_gate("A", "B")(lambda login: "ran")(Login(secret="x"))
    assert text.refused.reason is Reason.INVALID
    assert mock.requests == []


def test_a_pydantic_model_that_holds_more_than_its_fields_is_refused() -> None:
    import pydantic

    class Private(pydantic.BaseModel):
        amount: int = 1
        _target: str = pydantic.PrivateAttr("evil")

    class Aliased(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        name: str = pydantic.Field(alias="the_name")

    class Plain(pydantic.BaseModel):
        amount: int = 1

    class Root(pydantic.RootModel[int]):
        _target: str = pydantic.PrivateAttr("evil")

    @pydantic.dataclasses.dataclass(config=pydantic.ConfigDict(extra="allow"))
    class Extended:
        amount: int = 1

    plain, link = Plain(), pydantic.HttpUrl("https://example.com/a")
    plain.__dict__["target"] = "evil"
    link.target = "evil"
    shadowed = Aliased.model_validate({"the_name": "real", "name": "shown"})
    mock = MockGate()
    with mock.gate.scope():
        run = approval_gate("A", "B")(lambda value: "ran")
        for value in (Private(), shadowed, plain, Root(1), Extended(amount=1, target="evil"), link):
            assert run(value).refused.reason is Reason.INVALID, value
        assert mock.requests == []
        assert run([Plain(), pydantic.HttpUrl("https://example.com/a"), pydantic.RootModel[int](2)]) == "ran"
    assert mock.requests[0]["parameters"] == {"value": [{"amount": 1}, "https://example.com/a", 2]}


def test_a_pydantic_model_in_which_a_field_is_set_while_people_decide_does_not_run() -> None:
    import pydantic

    class Patch(pydantic.BaseModel):
        user_id: str
        email: str | None = None

    class Command(pydantic.BaseModel):
        patches: list[Patch]

    def change(_: Any) -> Any:
        command.patches[0].email = None
        return APPROVE

    command = Command(patches=[Patch(user_id="1")])
    ran: list[Any] = []
    mock = MockGate(change)
    with mock.gate.scope():
        text = approval_gate("A", "B")(lambda command: ran.append(command))(command)
    assert text.refused.reason is Reason.UNVERIFIED
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])
