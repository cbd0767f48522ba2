"""The MCP client of PyPI, which buys from an adapter as a tool.

Usage: suite.py MODEL stdio COMMAND | suite.py MODEL poor COMMAND | suite.py MODEL text COMMAND |
suite.py MODEL url URL
COMMAND is JSON: args, cwd and env of `openlora mcp`. Prints one line per check and exits 1 at the first
difference.
"""

import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters

model, kind, target = sys.argv[1:4]


def server():
    if kind == "url":
        return target
    command = json.loads(target)
    return StdioServerParameters(
        command=command["args"][0],
        args=command["args"][1:],
        cwd=command["cwd"],
        env={**os.environ, **command["env"]},
    )


def text(result):
    (block,) = result.content
    return block.text


async def listed(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"list_adapters", "ask_adapter", "ask_tone"}, tools
    assert model in tools["ask_tone"].description, tools["ask_tone"]
    assert tools["ask_tone"].input_schema["required"] == ["prompt"], tools["ask_tone"]
    adapters = await client.call_tool("list_adapters", {})
    assert [it["adapter"] for it in adapters.structured_content["adapters"]] == [model], adapters


async def asked(client):
    wish = {"prompt": "hello", "max_tokens": 4}
    own = await client.call_tool("ask_tone", wish)
    named = await client.call_tool("ask_adapter", {"adapter": model, **wish})
    for result in (own, named):
        assert not result.is_error, result
        assert result.structured_content["usage"]["completion_tokens"] <= 4, result
        message = result.structured_content["choices"][0]["message"]["content"]
        assert text(result) == message, result


async def refused(client):
    cases = [
        ("ask_tone", {}, "The argument `prompt` must be a text that is not empty."),
        (
            "ask_tone",
            {"prompt": "hello", "model": "x"},
            "There is no argument `model` here; known are: prompt, system, max_tokens.",
        ),
        (
            "ask_tone",
            {"prompt": "hello", "max_tokens": 0},
            "The argument `max_tokens` must be a positive integer.",
        ),
        ("ask_nobody", {"prompt": "hello"}, "There is no tool `ask_nobody`; list them again."),
    ]
    for name, wish, message in cases:
        result = await client.call_tool(name, wish)
        assert (result.is_error, text(result)) == (True, message), (name, wish, result)


async def over_budget(client):
    result = await client.call_tool("ask_tone", {"prompt": "hello"})
    assert result.is_error, result
    assert "of the 0.0001 dUSD a day" in text(result), result


async def continued(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    own = tools[f"ask_{model}"]
    assert own.description.startswith("Continues a text"), own
    assert set(own.input_schema["properties"]) == {"prompt", "max_tokens"}, own
    wish = {"prompt": "Once", "max_tokens": 4}
    asked = [(f"ask_{model}", wish), ("ask_adapter", {"adapter": model, **wish})]
    for name, arguments in asked:
        result = await client.call_tool(name, arguments)
        assert (result.is_error, text(result)) == (False, "Once 4"), result
    system = {"adapter": model, "system": "be brief", **wish}
    result = await client.call_tool("ask_adapter", system)
    message = "The adapter continues a text, so it takes no `system`."
    assert (result.is_error, text(result)) == (True, message), result


async def main():
    checks = {"poor": [over_budget], "text": [continued]}.get(kind, [listed, asked, refused])
    async with Client(server()) as client:
        for check in checks:
            await check(client)
            print("ok", check.__name__)


asyncio.run(main())
