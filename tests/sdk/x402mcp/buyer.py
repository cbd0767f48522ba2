"""The stock x402 client for MCP, unmodified, calling the tools of our server: `buyer.py STEP URL ADAPTER RPC`
does one step and prints what came of it as one line of JSON.

Over HTTP the client passes the results of payments to its schemes itself; over MCP its application has to,
so this program does."""

import asyncio
import json
import sys

from eth_account import Account
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from x402 import x402Client
from x402.mcp import x402MCPSession
from x402.mechanisms.evm.batch_settlement.client import BatchSettlementEvmScheme
from x402.mechanisms.evm.exact.client import ExactEvmScheme
from x402.mechanisms.evm.signers import EthAccountSignerWithRPC
from x402.schemas.hooks import PaymentResponseContext

NETWORK = "eip155:31337"
# Development account 8, whose key everybody has.
KEY = "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"
PAYMENT = "x402/payment"


def payer(scheme, rpc):
    signer = EthAccountSignerWithRPC(Account.from_key(KEY), rpc)
    choose = lambda version, offers: next(offer for offer in offers if offer.scheme == scheme)
    client = x402Client(choose)
    client.register(NETWORK, BatchSettlementEvmScheme(signer))
    client.register(NETWORK, ExactEvmScheme(signer))
    # Its own list of tokens has none of development chains.
    client.set_spend_controls(False)
    return client


def unpaid(result, tool, url):
    """The terms of a call without a payment, in both forms."""
    assert result.isError, result
    terms = result.structuredContent
    assert terms == json.loads(result.content[0].text), result
    assert terms["x402Version"] == 2 and terms["accepts"], terms
    assert terms["resource"]["url"] == f"{url}/mcp", terms["resource"]
    declared = terms["extensions"]["bazaar"]["info"]["input"]
    assert (declared["type"], declared["tool"]) == ("mcp", tool.name), declared
    assert declared["inputSchema"] == tool.inputSchema, declared
    return terms


async def steps(step, url, adapter, rpc, session):
    tools = {tool.name: tool for tool in (await session.list_tools()).tools}
    own = [name for name in tools if name.endswith(f"_{adapter}")]
    assert sorted(tools) == sorted(["ask_adapter", *own]) and len(own) == 1, tools
    tool = tools[own[0]]
    arguments_of = lambda number: {"prompt": f"{step} {number}", "max_tokens": 4}
    terms = unpaid(await session.call_tool(tool.name, arguments_of(0)), tool, url)
    if step == "wrong":
        cases = [
            (tool.name, {}, "The argument `prompt` must be a text that is not empty."),
            (tool.name, {**arguments_of(0), "model": "x"}, "There is no argument `model` here"),
            (tool.name, {**arguments_of(0), "max_tokens": 0}, "max_tokens"),
            ("ask_nobody", arguments_of(0), "There is no tool `ask_nobody`; list them again."),
            ("ask_adapter", {**arguments_of(0), "adapter": "nobody"}, "nobody"),
        ]
        for name, arguments, message in cases:
            result = await session.call_tool(name, arguments)
            assert result.isError and message in result.content[0].text, (name, result)
        garbled = await session.call_tool(tool.name, arguments_of(0), meta={PAYMENT: {"x402Version": 2}})
        assert garbled.isError, garbled
        return {"refused": len(cases) + 1, "price": terms["accepts"][0]["amount"]}
    scheme = "exact" if step in ("exact", "replay") else "batch-settlement"
    client = payer(scheme, rpc)
    if step == "replay":
        # The same payment for one call twice, and for another one.
        from x402.schemas import PaymentRequired

        payment = await client.create_payment_payload(PaymentRequired.model_validate(terms))
        meta = {PAYMENT: payment.model_dump(by_alias=True, exclude_none=True)}
        first = await session.call_tool(tool.name, arguments_of(0), meta=meta)
        assert not first.isError, first
        again = await session.call_tool(tool.name, arguments_of(0), meta=meta)
        other = await session.call_tool(tool.name, arguments_of(1), meta=meta)
        said = lambda it: "refused" if it.isError else "same" if it.content == first.content else "new"
        return {"again": [said(again), said(other)]}
    paying = x402MCPSession(session, client)
    made, charged = [], []
    client.on_after_payment_creation(made.append)
    for number in range(1 if step == "exact" else int(step)):
        name, extra = (tool.name, {}) if number % 2 == 0 else ("ask_adapter", {"adapter": adapter})
        result = await paying.call_tool(name, {**arguments_of(number), **extra})
        assert result.payment_made and not result.is_error, result
        assert isinstance(result.content[0].text, str), result
        assert result.payment_response.success, result
        await client.handle_payment_response(
            PaymentResponseContext(
                payment_payload=made[-1].payment_payload,
                requirements=made[-1].selected_requirements,
                settle_response=result.payment_response,
            )
        )
        charged.append(int(result.raw_result.structuredContent["usage"]["completion_tokens"]) > 0)
    return {"calls": len(charged)}


async def main():
    step, url, adapter, rpc = sys.argv[1:]
    async with streamablehttp_client(f"{url}/mcp") as (read, write, _):
        async with ClientSession(read, write) as session:
            await session.initialize()
            print(json.dumps(await steps(step, url, adapter, rpc, session)))


asyncio.run(main())
