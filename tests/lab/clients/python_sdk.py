"""The Python SDK as a client: python_sdk.py URL legacy|modern. Fails loudly, says nothing otherwise."""

import asyncio
import sys

from mcp import Client, types


async def answer(ctx, params):
    return types.ElicitResult(action="accept", content={"name": "Ada"})


async def main(url: str, era: str) -> None:
    mode = "legacy" if era == "legacy" else "2026-07-28"
    async with Client(url, mode=mode, elicitation_callback=answer) as client:
        listed = await client.list_tools()
        assert any(tool.name == "greet" for tool in listed.tools)
        answers = await asyncio.gather(*(client.call_tool("echo", {"message": f"m{i}"}) for i in range(20)))
        assert [text(a) for a in answers] == [f"m{i}" for i in range(20)]

        steps: list[float] = []

        async def on_progress(progress, total, message):
            steps.append(progress)

        counted = await client.call_tool("count", {"to": 5}, progress_callback=on_progress)
        assert text(counted) == "counted to 5", counted
        assert steps == [1, 2, 3, 4, 5], steps
        if era == "legacy":
            # In the modern era a server asks within its answer, and this one does not.
            assert text(await client.call_tool("greet", {})) == "Hello, Ada!"


def text(result: types.CallToolResult) -> str:
    return result.content[0].text


asyncio.run(main(*sys.argv[1:]))
