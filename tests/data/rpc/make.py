"""Writes requests.jsonl: the conversation that anvil and the development chain both hold.

One JSON object per line: `do` is the method, `with` its parameters, `as` keeps the result under a
name (`$name` and `$name.field` stand for it later), `shape` compares types instead of values and
says why, `text` compares everything but an error's words and says why.
"""

import json
from pathlib import Path

A0 = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
A1 = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
A2 = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
STRANGER = "0x1000000000000000000000000000000000000001"
NOBODY = "0x2000000000000000000000000000000000000002"
UNKNOWN = "0xb23b52004fe574000765fbe20a311b2785a318c9dbe6b0bf6a4c1f8936f57ff3"
FEES = {"maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x3b9aca00"}
TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
SERDE = "anvil shows the words of its parser"
CLOCK = "the clock goes on"


def word(number):
    return f"{number:064x}"


def padded(address):
    return address[2:].lower().rjust(64, "0")


def reverting(data):
    """Init code that reverts with `data`."""
    size = len(data) // 2
    return f"0x60{size:02x}600c60003960{size:02x}6000fd{data}"


REASON = "08c379a0" + word(32) + word(4) + "6e6f7065".ljust(64, "0")
PANIC = "4e487b71" + word(0x11)
CUSTOM = "e450d38c" + padded(A0) + word(1) + word(2)
MINT = "0x40c10f19"
SEND = "0xa9059cbb"
HELD = "0x70a08231"

LINES = []


def ask(method, *params, **more):
    LINES.append({"do": method, "with": list(params), **more})


def transfer(sender, to, **more):
    return {"from": sender, "to": to, "value": "0x1", "gas": "0x5208", **FEES, **more}


# Identity.
ask("web3_clientVersion", shape="each has its name")
ask("net_version")
ask("net_listening")
ask("eth_chainId")
ask("eth_syncing")
ask("eth_accounts")
ask("eth_blockNumber")
ask("eth_nope")
ask("eth_subscribe", "newHeads")
ask("eth_chainId", 1, 2, text=SERDE)

# The genesis.
ask("eth_getBlockByNumber", "0x0", False)
ask("eth_getBlockByNumber", "earliest", True)
ask("eth_getBalance", A0, "latest")
ask("eth_getBalance", NOBODY, "latest")
ask("eth_getCode", "0x4e59b44847b379578588920cA78FbF26c0B4956C", "latest")
ask("eth_getCode", NOBODY, "latest")
ask("eth_getStorageAt", NOBODY, "0x0", "latest")
ask("eth_getTransactionCount", A0, "latest")
ask("eth_gasPrice")
ask("eth_maxPriorityFeePerGas")
ask("eth_blobBaseFee")
ask("eth_feeHistory", "0x4", "latest", [25, 75])
ask("txpool_status")

# Signatures are deterministic.
ask("eth_sign", A0, "0xdeadbeef")
ask("personal_sign", "0xdeadbeef", A0)
ask("eth_sign", NOBODY, "0xdeadbeef")
TYPED = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
        "Voucher": [{"name": "channelId", "type": "bytes32"}, {"name": "amount", "type": "uint128"}],
    },
    "primaryType": "Voucher",
    "domain": {"name": "test", "chainId": 31337},
    "message": {"channelId": "0x" + word(7), "amount": "1000000"},
}
ask("eth_signTypedData_v4", A0, TYPED)

# A transfer.
ask("evm_setNextBlockTimestamp", "0x77000000")
ask("eth_sendTransaction", transfer(A0, A1), **{"as": "sent"})
ask("eth_getTransactionByHash", "$sent")
ask("eth_getTransactionReceipt", "$sent")
ask("eth_getBlockByNumber", "latest", False, **{"as": "first"})
ask("eth_getBlockByNumber", "0x1", True)
ask("eth_getBlockByHash", "$first.hash", True)
ask("eth_getBlockByHash", UNKNOWN, False)
ask("eth_getBlockReceipts", "0x1")
ask("eth_getBlockTransactionCountByNumber", "0x1")
ask("eth_getBlockTransactionCountByHash", "$first.hash")
ask("eth_getTransactionByBlockNumberAndIndex", "0x1", "0x0")
ask("eth_getTransactionByBlockNumberAndIndex", "0x1", "0x5")
ask("eth_getTransactionByBlockHashAndIndex", "$first.hash", "0x0")
ask("eth_getBalance", A1, "latest")
ask("eth_getBalance", A1, "0x0")
ask("eth_getBalance", A1, {"blockHash": "$first.hash"})
ask("eth_getTransactionCount", A0, "pending")
ask("eth_feeHistory", "0x2", "0x1", [50])
ask("eth_gasPrice")
ask("eth_getTransactionByHash", UNKNOWN)
ask("eth_getTransactionReceipt", UNKNOWN)

# Refusals.
ask("eth_sendTransaction", transfer(A0, A1, nonce="0x0"))
ask("eth_sendTransaction", transfer(A0, A1, gas="0x10"))
ask("eth_sendTransaction", transfer(A0, A1, gas="0xfffffffffff"))
ask("eth_sendTransaction", transfer(A0, A1, value="0xffffffffffffffffffffffffff"))
ask("eth_sendTransaction", transfer(A0, A1, maxFeePerGas="0x1", maxPriorityFeePerGas="0x1"))
ask("eth_sendTransaction", transfer(A0, A1, maxPriorityFeePerGas="0x97359400"))
ask("eth_sendTransaction", transfer(NOBODY, A1))
ask("eth_sendRawTransaction", "0x")
ask("eth_sendRawTransaction", "0x1234")
ask("eth_sendRawTransaction", "zz", text=SERDE)
ask("eth_getBalance", text=SERDE)
ask("eth_getBalance", "0x12", "latest", text=SERDE)
ask("eth_getBalance", A0, "0x99")
ask("eth_getBlockByNumber", "0x99", False)
ask("eth_getBlockByNumber", "wrong", False, text=SERDE)
ask("eth_getBlockReceipts", "0x99")
ask("eth_call", {"to": A1}, "0x99")
ask("eth_call", {"to": A1}, "wrong", text=SERDE)

# Raw transactions, a gap, and what fills it.
ask("eth_signTransaction", transfer(A2, A1, nonce="0x1"), **{"as": "second"})
ask("eth_signTransaction", transfer(A2, A1, nonce="0x0"), **{"as": "first_raw"})
ask("evm_setAutomine", False)
ask("eth_sendRawTransaction", "$second", **{"as": "waiting"})
ask("eth_sendRawTransaction", "$second")
ask("eth_getTransactionByHash", "$waiting")
ask("eth_getTransactionReceipt", "$waiting")
ask("txpool_status")
ask("eth_sendRawTransaction", "$first_raw", **{"as": "filler"})
ask("eth_getTransactionCount", A2, "pending")
ask("txpool_status")
ask("evm_mine")
ask("evm_setAutomine", True)
ask("eth_getTransactionReceipt", "$filler")
ask("eth_getTransactionReceipt", "$waiting")
ask("eth_sendRawTransaction", "$first_raw")
ask("eth_getTransactionCount", A2, "latest")

# Reverts, halts, gas.
ask("eth_call", {"data": reverting("")}, "latest")
ask("eth_call", {"data": reverting(REASON)}, "latest")
ask("eth_call", {"data": reverting(PANIC)}, "latest")
ask("eth_call", {"data": reverting(CUSTOM)}, "latest")
ask("eth_call", {"data": reverting("e450d38c")}, "latest")
ask("eth_call", {"data": reverting("e450")}, "latest")
ask("eth_call", {"data": reverting("6162")}, "latest")
ask("eth_call", {"data": "0xfe"}, "latest")
ask("eth_call", {"data": "0x50"}, "latest")
ask("eth_call", {"data": "0x600456"}, "latest")
ask("eth_call", {"data": "0x0c"}, "latest")
ask("eth_call", {"data": "0x5b600056", "gas": "0x186a0"}, "latest")
ask("eth_call", {"to": A1, "gas": "0x1"}, "latest")
ask("eth_call", {"from": A0, "to": A1, "value": "0xffffffffffffffffffffffffff"}, "latest")
ask("eth_estimateGas", {"from": A0, "to": A1, "value": "0x1"})
ask("eth_estimateGas", {"data": reverting(REASON)})
ask("eth_estimateGas", {"data": "0xfe"})
ask("eth_estimateGas", {"data": "0x5b600056", "gas": "0x186a0"})
ask("eth_call", {"data": "0x4260005260206000f3"}, "latest", shape=CLOCK)
ask("eth_call", {"data": "0x4360005260206000f3"}, "latest")
ask("eth_call", {"data": "0x4660005260206000f3"}, "latest")
ask("eth_call", {"from": A0, "data": "0x3360005260206000f3"}, "latest")

# A token: deployment, events, logs, filters.
ask("eth_newBlockFilter", shape="an id", **{"as": "blocks"})
ask("eth_newFilter", {"topics": [TRANSFER_TOPIC]}, shape="an id", **{"as": "transfers"})
ask("eth_newPendingTransactionFilter", shape="an id", **{"as": "hashes"})
ask("eth_estimateGas", {"from": A0, "data": {"$artifact": "DevelopmentToken"}})
ask("eth_sendTransaction", {"from": A0, "data": {"$artifact": "DevelopmentToken"}, "gas": "0x300000", **FEES}, **{"as": "made"})
ask("eth_getTransactionReceipt", "$made", **{"as": "token"})
ask("eth_getCode", "$token.contractAddress", "latest")
mint = {"from": A0, "to": "$token.contractAddress", "data": MINT + padded(A1) + word(5_000_000)}
ask("eth_estimateGas", mint)
ask("eth_sendTransaction", {**mint, **FEES}, **{"as": "minted"})
ask("eth_getTransactionReceipt", "$minted")
send = {"from": A1, "to": "$token.contractAddress", "data": SEND + padded(A2) + word(1_000_000)}
ask("eth_estimateGas", send)
ask("eth_sendTransaction", {**send, "gas": "0x20000", **FEES, "accessList": []}, **{"as": "moved"})
ask("eth_getTransactionReceipt", "$moved")
ask("eth_call", {"to": "$token.contractAddress", "data": HELD + padded(A2)}, "latest")
ask("eth_call", {"to": "$token.contractAddress", "input": HELD + padded(A2)}, "0x2")
UTF8 = "anvil shows arguments that happen to be UTF-8 as text"
ask("eth_call", {"from": NOBODY, "to": "$token.contractAddress", "data": SEND + padded(A2) + word(1)}, "latest", text=UTF8)
ask("eth_estimateGas", {"from": NOBODY, "to": "$token.contractAddress", "data": SEND + padded(A2) + word(1)}, text=UTF8)
failing = {"from": A2, "to": "$token.contractAddress", "data": SEND + padded(A1) + word(9_000_000)}
ask("eth_sendTransaction", {**failing, "gas": "0x20000", **FEES}, **{"as": "failed"})
ask("eth_getTransactionReceipt", "$failed")
ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
ask("eth_getLogs", {"fromBlock": "0x0", "address": "$token.contractAddress", "topics": [TRANSFER_TOPIC, None, "0x" + padded(A2)]})
ask("eth_getLogs", {"fromBlock": "0x0", "topics": ["0x" + word(1)]})
ask("eth_getLogs", {"fromBlock": "0x99"})
ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x99999"})
ask("eth_getLogs", {"blockHash": UNKNOWN})
ask("eth_getFilterChanges", "$transfers")
ask("eth_getFilterChanges", "$transfers")
ask("eth_getFilterLogs", "$transfers")
ask("eth_getFilterChanges", "$blocks", shape="hashes of blocks")
ask("eth_getFilterChanges", "0x1234")
ask("eth_getFilterLogs", "0x1234")
ask("eth_uninstallFilter", "$transfers")
ask("eth_uninstallFilter", "$transfers")
ask("eth_getStorageAt", "$token.contractAddress", "0x2", "latest")

# Overrides.
returner = "0x600054600052602060 00f3".replace(" ", "")
ask("eth_call", {"to": STRANGER}, "latest", {STRANGER: {"code": returner, "stateDiff": {"0x" + word(0): "0x" + word(9)}}})
ask("eth_call", {"to": STRANGER}, "latest", {STRANGER: {"code": returner, "state": {"0x" + word(1): "0x" + word(9)}}})
ask("eth_call", {"from": NOBODY, "to": STRANGER, "value": "0x5"}, "latest", {NOBODY: {"balance": "0x5"}})
ask("eth_call", {"from": NOBODY, "to": STRANGER, "value": "0x6"}, "latest", {NOBODY: {"balance": "0x5"}})
ask("eth_call", {"to": STRANGER, "data": "0x"}, "latest", {STRANGER: {"code": "0x4360005260206000f3"}}, {"number": "0x1234"})

# Legacy and access-list transactions.
ask("eth_sendTransaction", {"from": A0, "to": A1, "value": "0x2", "gas": "0x5208", "gasPrice": "0x77359400"}, **{"as": "legacy"})
ask("eth_getTransactionByHash", "$legacy")
ask("eth_getTransactionReceipt", "$legacy")
listed = {"from": A0, "to": A1, "gas": "0x10000", "gasPrice": "0x77359400", "accessList": [{"address": A1, "storageKeys": ["0x" + word(1)]}]}
ask("eth_sendTransaction", listed, **{"as": "listed"})
ask("eth_getTransactionByHash", "$listed")
ask("eth_getTransactionReceipt", "$listed")

# Development methods.
ask("evm_snapshot", **{"as": "moment"})
ask("anvil_setBalance", STRANGER, "0xde0b6b3a7640000")
ask("anvil_setCode", STRANGER, returner)
ask("anvil_setStorageAt", STRANGER, "0x0", "0x" + word(42))
ask("anvil_setNonce", STRANGER, "0x7")
ask("eth_getBalance", STRANGER, "latest")
ask("eth_getCode", STRANGER, "latest")
ask("eth_getStorageAt", STRANGER, "0x0", "latest")
ask("eth_getTransactionCount", STRANGER, "latest")
ask("eth_call", {"to": STRANGER}, "latest")
ask("anvil_impersonateAccount", STRANGER)
ask("eth_sendTransaction", transfer(STRANGER, A1), shape="nobody signed", **{"as": "acted"})
ask("eth_getTransactionReceipt", "$acted", shape="nobody signed")
ask("anvil_stopImpersonatingAccount", STRANGER)
ask("eth_sendTransaction", transfer(STRANGER, A1))
ask("evm_mine")
ask("anvil_mine", "0x3")
ask("eth_blockNumber")
ask("evm_increaseTime", 100, shape=CLOCK)
ask("evm_setNextBlockTimestamp", 100)
ask("anvil_reorg", 2, [])
ask("eth_blockNumber")
ask("anvil_reorg", 1000, [])
ask("evm_revert", "$moment")
ask("evm_revert", "$moment")
ask("eth_blockNumber")
ask("eth_getBalance", STRANGER, "latest")
ask("evm_setAutomine", False)
ask("anvil_getAutomine")
ask("evm_setAutomine", True)

Path(__file__).with_name("requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
print(len(LINES))
