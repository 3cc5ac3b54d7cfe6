"""A server of the Python SDK; it notes each run in a file."""

import sys
from pathlib import Path
from typing import Any

try:
    from mcp.server.fastmcp import Context
    from mcp.server.fastmcp import FastMCP as Server
except ImportError:  # version 2
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver import MCPServer as Server

server = Server("notes")
runs = Path(sys.argv[1]) / "runs"


@server.tool()
async def take_note(text: str, tags: list[str], ctx: Context, weight: float = 1.5) -> dict[str, Any]:
    """Takes a note."""
    with runs.open("a") as file:
        print(text, file=file)
    await ctx.report_progress(1, 2)
    return {"text": text, "tags": tags, "weight": weight}


@server.tool()
def fail() -> str:
    """Fails."""
    with runs.open("a") as file:
        print("fail", file=file)
    raise ValueError("it cannot be done")


server.run()
