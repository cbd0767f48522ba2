"""The unmodified web3.py against a running development chain.

Usage: python suite.py URL ARTIFACT. Prints one line per check and exits 1 at the first difference.
"""

import json
import sys

from eth_account import Account
from eth_account.messages import encode_defunct
from web3 import Web3
from web3.exceptions import ContractCustomError, Web3RPCError

URL, ARTIFACT = sys.argv[1:3]
NOBODY = "0x2000000000000000000000000000000000000002"
# The fifth development account.
KEY = "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"

web3 = Web3(Web3.HTTPProvider(URL))
account = Account.from_key(KEY)
artifact = json.load(open(ARTIFACT))
token = None


def send(fields):
    fields = {"from": account.address, "nonce": web3.eth.get_transaction_count(account.address), **fields}
    signed = account.sign_transaction(fields)
    return web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction))


def identity():
    assert web3.is_connected()
    assert web3.eth.chain_id == 31337
    assert account.address in web3.eth.accounts


def transfer():
    before = web3.eth.get_balance(NOBODY)
    receipt = send({
        "to": NOBODY, "value": 5, "gas": 21000, "chainId": 31337,
        "maxFeePerGas": web3.to_wei(3, "gwei"), "maxPriorityFeePerGas": web3.eth.max_priority_fee,
    })
    assert receipt.status == 1
    assert web3.eth.get_balance(NOBODY) == before + 5
    assert web3.eth.get_transaction(receipt.transactionHash).value == 5
    assert web3.eth.get_block("latest", True).transactions[-1].hash == receipt.transactionHash


def deployment():
    global token
    made = web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    receipt = send(made.constructor().build_transaction({"from": account.address}))
    token = web3.eth.contract(address=receipt.contractAddress, abi=artifact["abi"])
    assert token.functions.decimals().call() == 6


def events():
    receipt = send(token.functions.mint(account.address, 17).build_transaction({"from": account.address}))
    logs = token.events.Transfer().process_receipt(receipt)
    assert [log.args.value for log in logs] == [17]
    found = token.events.Transfer().get_logs(from_block=receipt.blockNumber)
    assert len(found) == 1


def filters():
    watch = web3.eth.filter("latest")
    receipt = send(token.functions.mint(account.address, 1).build_transaction({"from": account.address}))
    assert watch.get_new_entries() == [receipt.blockHash]
    assert watch.get_new_entries() == []


def revert():
    try:
        token.functions.transfer(NOBODY, 100).call({"from": account.address})
        raise AssertionError("no revert")
    except ContractCustomError as error:
        # ERC20InsufficientBalance(address,uint256,uint256)
        assert error.data[:10] == "0xe450d38c", error.data


def refusals():
    try:
        send({"to": NOBODY, "gas": 21000, "chainId": 31337, "nonce": 0, "gasPrice": web3.eth.gas_price})
        raise AssertionError("no refusal")
    except Web3RPCError as error:
        assert error.rpc_response["error"] == {"code": -32003, "message": "nonce too low"}


def signatures():
    message = encode_defunct(text="hello")
    signed = web3.eth.sign(account.address, text="hello")
    assert signed == account.sign_message(message).signature


def fees():
    history = web3.eth.fee_history(4, "latest", [25, 75])
    assert len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1


for check in [identity, transfer, deployment, events, filters, revert, refusals, signatures, fees]:
    check()
    print("ok", check.__name__)
