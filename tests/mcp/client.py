"""A client of the Python SDK: reads an order as JSON from the standard input, and prints what it got.

client.py legacy | tasks | auto | 2026-07-28
"""

import asyncio
import json
import sys
from typing import Any

try:
    from mcp import ClientSession, StdioServerParameters, stdio_client
except ImportError:  # version 2
    from mcp.client import ClientSession
    from mcp.client.stdio import StdioServerParameters, stdio_client


def dump(value: Any) -> Any:
    dumped = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name in ("cacheScope", "ttlMs"):  # of listings, by the client
        dumped.pop(name, None)
    return dumped


def is_pending(result: Any) -> bool:
    facts = (result.get("_meta") or {}).get("human-oversight/approval") or {}
    return facts.get("status") in ("pending", "asking", "running")


async def call_as_task(session: Any, call: Any) -> Any:
    from mcp.types import CallToolResult

    created = await session.experimental.call_tool_as_task(call["name"], call["arguments"])
    async for _ in session.experimental.poll_task(created.task.taskId):
        pass
    return await session.experimental.get_task_result(created.task.taskId, CallToolResult)


async def play(client: Any, order: Any, with_tasks: bool = False) -> Any:
    tools = dump(await client.list_tools())["tools"]
    results, rounds = [], 0
    supported = {it["name"] for it in tools if it.get("execution", {}).get("taskSupport") in ("optional", "required")}
    for call in order["calls"]:
        while True:
            rounds += 1
            if with_tasks and call["name"] in supported:
                result = dump(await call_as_task(client, call))
                break
            try:
                async with asyncio.timeout(order["patience"]):
                    result = dump(await client.call_tool(call["name"], call["arguments"]))
            except TimeoutError:
                continue
            if not is_pending(result):
                break
        results.append(result)
    # After the answers to calls that were given up: version 1 fails if one comes while it closes.
    await client.list_tools()
    as_tasks = sum(call["name"] in supported for call in order["calls"]) if with_tasks else 0
    return {"tools": tools, "results": results, "rounds": rounds, "tasks": as_tasks}


def declared() -> Any:
    """What makes a client declare tasks: it could list its own."""
    from mcp.client.experimental.task_handlers import ExperimentalTaskHandlers

    async def list_tasks(*_: Any) -> Any:
        raise NotImplementedError

    return ExperimentalTaskHandlers(list_tasks=list_tasks)


async def main() -> None:
    order = json.load(sys.stdin)
    command, *args = order["command"]
    server = StdioServerParameters(command=command, args=args, env=order["env"])
    mode = sys.argv[1]
    if mode in ("legacy", "tasks"):
        options = {"experimental_task_handlers": declared()} if mode == "tasks" else {}
        async with stdio_client(server) as streams, ClientSession(*streams, **options) as session:
            await session.initialize()
            told = await play(session, order, mode == "tasks")
    else:
        from mcp.client import Client

        async with Client(stdio_client(server), mode=mode) as client:
            told = await play(client, order)
    json.dump(told, sys.stdout)


asyncio.run(main())
