"""An MCP server written with the Python SDK: python_server.py PORT

Speaks every version the SDK speaks, keeps sessions, streams, and asks its client questions.
"""

import json
import sys
from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel, Field

server = MCPServer("lab-python")


class Name(BaseModel):
    name: Annotated[str, Field(description="your name")]


@server.tool()
def echo(message: str) -> str:
    """returns message unchanged"""
    return message


@server.tool()
async def count(to: int, ctx: Context) -> str:
    """reports progress up to a number"""
    for step in range(1, to + 1):
        await ctx.report_progress(step, to)
    return f"counted to {to}"


@server.tool()
async def greet(ctx: Context) -> str:
    """asks the client for a name"""
    answer = await ctx.elicit("What is your name?", Name)
    return f"Hello, {answer.data.name}!" if answer.action == "accept" else "Hello, stranger!"


@server.tool()
def seen_headers(ctx: Context) -> str:
    """the headers of the request"""
    return json.dumps(dict(ctx.headers or {}))


if __name__ == "__main__":
    server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
