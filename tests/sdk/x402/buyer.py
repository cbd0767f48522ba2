"""The stock Python client, unmodified, buying chats: `buyer.py STEP URL ADAPTER RPC` does one step in
a process of its own and prints what came of it as one line of JSON."""

import base64
import json
import sys

import requests
from eth_account import Account
from x402 import x402ClientSync
from x402.http.clients.requests import wrapRequestsWithPayment
from x402.http.utils import decode_payment_response_header
from x402.mechanisms.evm.batch_settlement.client import BatchSettlementEvmScheme
from x402.mechanisms.evm.exact.client import ExactEvmScheme
from x402.mechanisms.evm.signers import EthAccountSignerWithRPC

NETWORK = "eip155:31337"
# Development account 8, whose key everybody has.
KEY = "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"


def chosen(scheme):
    """Picks the offer with this scheme."""
    return lambda version, offers: next(offer for offer in offers if offer.scheme == scheme)


def main():
    step, url, adapter, rpc = sys.argv[1:]
    route = f"{url}/v1/chat/completions"
    signer = EthAccountSignerWithRPC(Account.from_key(KEY), rpc)
    batch = BatchSettlementEvmScheme(signer)
    client = x402ClientSync(chosen("exact" if step == "exact" else "batch-settlement"))
    client.register(NETWORK, batch).register(NETWORK, ExactEvmScheme(signer))
    # Its own list of tokens has none of development chains.
    client.set_spend_controls(False)
    session = wrapRequestsWithPayment(requests.Session(), client)

    def body(number, **extra):
        messages = [{"role": "user", "content": f"{step} {number}"}]
        return {"model": adapter, "max_tokens": 4, "temperature": 0, "messages": messages, **extra}

    def call(number, **extra):
        response = session.post(route, json=body(number, **extra))
        assert response.status_code == 200, (response.status_code, response.text)
        assert isinstance(response.json()["choices"][0]["message"]["content"], str), response.text
        settled = decode_payment_response_header(response.headers["PAYMENT-RESPONSE"])
        assert settled.success, settled
        return settled

    def price(number, **extra):
        """What a call is offered for."""
        response = requests.post(route, json=body(number, **extra), timeout=60)
        terms = json.loads(base64.b64decode(response.headers["PAYMENT-REQUIRED"]))
        offers = terms["accepts"]
        return next(int(o["amount"]) for o in offers if o["scheme"] == "batch-settlement")

    def collision():
        """A call whose honest total is the one that the last was allowed and has not cost."""
        extra = {"max_tokens": 24, "stop": [" ", "e", "a", "o"]}
        for number in range(20):
            left = price(number, **extra) - int(call(number, **extra).extra["chargedAmount"])
            for tokens in range(1, 25):
                if price(number + 100, max_tokens=tokens) == left:
                    charged = call(number + 100, max_tokens=tokens).extra["chargedAmount"]
                    return {"left": left, "charged": int(charged)}
        raise AssertionError("no price fits what a call left")

    def pictures():
        """Two pictures, for what the terms say."""
        order = {"model": adapter, "prompt": "two red circles", "n": 2, "seed": 3}
        images = f"{url}/v1/images/generations"
        quoted = requests.post(images, json=order, timeout=60).headers["PAYMENT-REQUIRED"]
        offers = json.loads(base64.b64decode(quoted))["accepts"]
        amount = next(int(o["amount"]) for o in offers if o["scheme"] == "batch-settlement")
        response = session.post(images, json=order)
        assert response.status_code == 200, (response.status_code, response.text)
        files = [base64.b64decode(item["b64_json"]) for item in response.json()["data"]]
        settled = decode_payment_response_header(response.headers["PAYMENT-RESPONSE"])
        assert settled.success, settled
        png = [file.startswith(b"\x89PNG") for file in files]
        return {"png": png, "quoted": amount, "charged": int(settled.extra["chargedAmount"])}

    if step == "pictures":
        result = pictures()
    elif step == "collision":
        result = collision()
    elif step == "refund":
        settled = batch.refund(f"{route}?model={adapter}")
        result = {"success": settled.success, "amount": settled.amount}
    elif step == "exact":
        result = {"transaction": len(call(1).transaction) == 66}
    else:
        charged = [int(call(number).extra["chargedAmount"]) for number in range(int(step))]
        result = {"calls": len(charged), "charged": sum(charged)}
    print(json.dumps(result))


main()
