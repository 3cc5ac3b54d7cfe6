"""A client of the Python SDK: reads an order as JSON from the standard input, and prints what it got.

client.py legacy | auto | 2026-07-28
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


async def play(client: Any, order: Any) -> Any:
    tools = dump(await client.list_tools())["tools"]
    results, rounds = [], 0
    for call in order["calls"]:
        while True:
            rounds += 1
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
    return {"tools": tools, "results": results, "rounds": rounds}


async def main() -> None:
    order = json.load(sys.stdin)
    command, *args = order["command"]
    server = StdioServerParameters(command=command, args=args, env=order["env"])
    mode = sys.argv[1]
    if mode == "legacy":
        async with stdio_client(server) as streams, ClientSession(*streams) as session:
            await session.initialize()
            told = await play(session, order)
    else:
        from mcp.client import Client

        async with Client(stdio_client(server), mode=mode) as client:
            told = await play(client, order)
    json.dump(told, sys.stdout)


asyncio.run(main())
