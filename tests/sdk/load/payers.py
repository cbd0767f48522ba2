"""Accounts that pay a server on the development chain by channel, as x402 describes."""

import base64
import json
import secrets
import time
import urllib.request

from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak

# Development account 6, whose key everybody has.
KEY = "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"
ESCROW = "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003"
COLLECTOR = "0x4020806089470a89826cB9fB1f4059150b550004"
# What the salt of a channel begins with whose payments all name their requests.
MARK = keccak(text="openlora: requests are named")[:16]
ROUTE = "/v1/chat/completions"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def rpc(url, method, *params):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    answer = json.load(OPENER.open(request))
    assert "error" not in answer, answer
    return answer["result"]


def mint(url, chain, token, account, amount):
    sender = Account.from_key(KEY).address
    data = keccak(text="mint(address,uint256)")[:4] + encode(["address", "uint256"], [account, amount])
    transaction = {
        "chainId": chain, "type": 2, "to": token, "data": data, "gas": 200_000,
        "nonce": int(rpc(url, "eth_getTransactionCount", sender, "pending"), 16),
        "maxFeePerGas": 20 * 10**9, "maxPriorityFeePerGas": 10**9,
    }
    signed = Account.sign_transaction(transaction, KEY)
    rpc(url, "eth_sendRawTransaction", "0x" + signed.raw_transaction.hex())


def typed(domain, name, fields, values):
    types = {name: [{"name": field, "type": kind} for field, kind in fields]}
    return encode_typed_data(domain, types, values)


def head(method, path, headers, body=b""):
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def post(body, **headers):
    fields = {"content-type": "application/json", "content-length": len(body)}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return head("POST", ROUTE, fields, body)


def told_in(headers):
    """The payment response of an answer."""
    return json.loads(base64.b64decode(headers["payment-response"]))


def offer_of(headers):
    """The offer of an answer with status 402 that is paid from a channel."""
    terms = json.loads(base64.b64decode(headers["payment-required"]))
    return next(it for it in terms["accepts"] if it["scheme"] == "batch-settlement")


class Payer:
    """An account with one channel; `named`: each of its payments names its request."""

    def __init__(self, offer, named=False):
        self.account, self.offer, self.charged, self.named = Account.create(), offer, 0, named
        extra = offer["extra"]
        self.chain = int(offer["network"].split(":")[1])
        salt = MARK + secrets.token_bytes(16) if named else secrets.token_bytes(32)
        self.config = {
            "payer": self.account.address, "payerAuthorizer": self.account.address,
            "receiver": offer["payTo"], "receiverAuthorizer": extra["receiverAuthorizer"],
            "token": offer["asset"], "withdrawDelay": extra["withdrawDelay"],
            "salt": "0x" + salt.hex(),
        }
        self.domain = {
            "name": "x402 Batch Settlement", "version": "1", "chainId": self.chain,
            "verifyingContract": ESCROW,
        }
        fields = [(name, "address") for name in list(self.config)[:5]]
        fields += [("withdrawDelay", "uint40"), ("salt", "bytes32")]
        message = typed(self.domain, "ChannelConfig", fields, self.config)
        self.channel = keccak(b"\x19" + message.version + message.header + message.body)

    def sign(self, message):
        return "0x" + self.account.sign_message(message).signature.hex()

    def maximum(self, offer=None):
        return self.charged + int((offer or self.offer)["amount"])

    def payment(self, deposit=None, offer=None, request=None):
        """For the next call, which `offer` is for; `request`: hash of what a named payment is for."""
        offer = offer or self.offer
        maximum = self.maximum(offer)
        fields = [("channelId", "bytes32"), ("maxClaimableAmount", "uint128")]
        values = {"channelId": self.channel, "maxClaimableAmount": maximum}
        voucher = {
            "channelId": "0x" + self.channel.hex(), "maxClaimableAmount": str(maximum),
            "signature": self.sign(typed(self.domain, "Voucher", fields, values)),
        }
        payload = {"type": "voucher", "channelConfig": self.config, "voucher": voucher}
        if deposit:
            payload |= {"type": "deposit", "deposit": self.deposit(deposit)}
        payment = {"x402Version": 2, "accepted": offer, "payload": payload}
        if self.named:
            payment["extensions"] = {"openlora-request": self.binding(maximum, request)}
        return base64.b64encode(json.dumps(payment).encode()).decode()

    def binding(self, maximum, request):
        fields = [("id", "bytes32"), ("maximum", "uint128"), ("requestHash", "bytes32")]
        values = {"id": self.channel, "maximum": maximum, "requestHash": request}
        message = typed(self.domain | {"name": "openlora"}, "PaidRequest", fields, values)
        return {"requestHash": "0x" + request.hex(), "signature": self.sign(message)}

    def deposit(self, amount):
        salt, until = secrets.randbits(256), int(time.time()) + 3600
        nonce = keccak(encode(["bytes32", "uint256"], [self.channel, salt]))
        extra = self.offer["extra"]
        domain = {
            "name": extra["name"], "version": extra["version"], "chainId": self.chain,
            "verifyingContract": self.offer["asset"],
        }
        fields = [("from", "address"), ("to", "address"), ("value", "uint256")]
        fields += [("validAfter", "uint256"), ("validBefore", "uint256"), ("nonce", "bytes32")]
        values = {
            "from": self.account.address, "to": COLLECTOR, "value": amount, "validAfter": 0,
            "validBefore": until, "nonce": nonce,
        }
        erc3009 = {
            "validAfter": "0", "validBefore": str(until), "salt": f"0x{salt:064x}",
            "signature": self.sign(typed(domain, "ReceiveWithAuthorization", fields, values)),
        }
        return {"amount": str(amount), "authorization": {"erc3009Authorization": erc3009}}

    def settled(self, told):
        """Takes over the total that a payment response tells."""
        self.charged = int(told["extra"]["channelState"]["chargedCumulativeAmount"])
