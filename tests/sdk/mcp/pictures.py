"""The MCP client of PyPI, which buys pictures from an adapter as a tool.

Usage: pictures.py MODEL URL
Prints one line per check and exits 1 at the first difference.
"""

import asyncio
import base64
import hashlib
import sys

from mcp import Client

model, url = sys.argv[1:3]


def picture(result):
    assert not result.is_error, result
    (block,) = result.content
    assert (block.type, block.mime_type) == ("image", "image/png"), block
    file = base64.b64decode(block.data)
    assert file.startswith(b"\x89PNG"), file[:8]
    (told,) = result.structured_content["data"]
    # The bytes are not repeated beside the picture.
    assert set(told) == {"seed", "sha256"}, told
    assert told["sha256"] == hashlib.sha256(file).hexdigest(), told
    return file


async def listed(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"list_adapters", "ask_adapter", "draw_with_painter"}, tools
    schema = tools["draw_with_painter"].input_schema
    assert set(schema["properties"]) == {"prompt", "seed"}, schema


async def drawn(client):
    wish = {"prompt": "a red circle", "seed": 5}
    own = picture(await client.call_tool("draw_with_painter", wish))
    named = picture(await client.call_tool("ask_adapter", {"adapter": model, **wish}))
    assert own == named


async def refused(client):
    cases = [
        ({"prompt": "x", "seed": -1}, "The argument `seed` must be an integer of at least 0."),
        ({"prompt": "x", "system": "y"}, "There is no argument `system` here; known are: prompt, seed."),
    ]
    for wish, message in cases:
        result = await client.call_tool("draw_with_painter", wish)
        (block,) = result.content
        assert (result.is_error, block.text) == (True, message), (wish, result)


async def main():
    async with Client(url) as client:
        for check in (listed, drawn, refused):
            await check(client)
            print("ok", check.__name__)


asyncio.run(main())
