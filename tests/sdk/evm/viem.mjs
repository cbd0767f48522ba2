// The unmodified viem against a running development chain: node viem.mjs URL WS ARTIFACT

import assert from "node:assert/strict";
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createTestClient,
  createWalletClient,
  http,
  parseEther,
  webSocket,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

import { artifact, KEYS, NOBODY, run, url, ws } from "./common.mjs";

const account = privateKeyToAccount(KEYS.viem);
const reader = createPublicClient({ chain: foundry, transport: http(url), pollingInterval: 20 });
const listener = createPublicClient({ chain: foundry, transport: webSocket(ws) });
const wallet = createWalletClient({ account, chain: foundry, transport: http(url) });
const tester = createTestClient({ chain: foundry, mode: "anvil", transport: http(url) });
const { abi, bytecode } = artifact;
let token;

async function mined(hash) {
  const receipt = await reader.waitForTransactionReceipt({ hash });
  assert.equal(receipt.status, "success");
  return receipt;
}

await run({
  async identity() {
    assert.equal(await reader.getChainId(), 31337);
    assert.equal(await reader.getBalance({ address: NOBODY }), 0n);
  },
  async transfer() {
    const receipt = await mined(await wallet.sendTransaction({ to: NOBODY, value: parseEther("1") }));
    assert.equal(receipt.gasUsed, 21000n);
    assert.equal(await reader.getBalance({ address: NOBODY }), parseEther("1"));
    const before = receipt.blockNumber - 1n;
    assert.equal(await reader.getBalance({ address: NOBODY, blockNumber: before }), 0n);
  },
  async deployment() {
    const receipt = await mined(await wallet.deployContract({ abi, bytecode }));
    token = receipt.contractAddress;
    assert.equal(await reader.readContract({ address: token, abi, functionName: "decimals" }), 6);
  },
  async events() {
    const { request } = await reader.simulateContract({
      account, address: token, abi, functionName: "mint", args: [account.address, 7n],
    });
    const receipt = await mined(await wallet.writeContract(request));
    const logs = await reader.getContractEvents({
      address: token, abi, eventName: "Transfer", fromBlock: receipt.blockNumber,
    });
    assert.deepEqual(logs.map((log) => log.args.value), [7n]);
  },
  async revert() {
    const failure = await reader
      .simulateContract({ account, address: token, abi, functionName: "transfer", args: [NOBODY, 8n] })
      .then(() => assert.fail("no revert"), (error) => error);
    assert.ok(failure instanceof BaseError);
    const reverted = failure.walk((error) => error instanceof ContractFunctionRevertedError);
    assert.equal(reverted.data.errorName, "ERC20InsufficientBalance");
    assert.deepEqual(reverted.data.args, [account.address, 7n, 8n]);
  },
  async subscriptions() {
    const heads = [];
    const logs = [];
    let enough;
    const both = new Promise((resolve) => (enough = resolve));
    const check = () => heads.length >= 1 && logs.length >= 1 && enough();
    const endHeads = listener.watchBlocks({ onBlock: (block) => (heads.push(block), check()) });
    const endLogs = listener.watchContractEvent({
      address: token, abi, eventName: "Transfer", onLogs: (found) => (logs.push(...found), check()),
    });
    // The subscriptions stand once the socket has answered something sent after them.
    await listener.getBlockNumber();
    const hash = await wallet.writeContract({ address: token, abi, functionName: "mint", args: [NOBODY, 9n] });
    const receipt = await mined(hash);
    await both;
    endHeads();
    endLogs();
    assert.equal(heads.at(-1).hash, receipt.blockHash);
    assert.equal(logs[0].args.value, 9n);
  },
  async typedData() {
    const message = {
      account,
      types: { Voucher: [{ name: "amount", type: "uint128" }] },
      primaryType: "Voucher",
      domain: { name: "test", chainId: 31337 },
      message: { amount: 5n },
    };
    const signature = await wallet.signTypedData(message);
    assert.equal(await reader.verifyTypedData({ ...message, address: account.address, signature }), true);
  },
  async development() {
    const id = await tester.snapshot();
    await tester.setBalance({ address: NOBODY, value: 3n });
    await tester.mine({ blocks: 2 });
    assert.equal(await reader.getBalance({ address: NOBODY }), 3n);
    await tester.revert({ id });
    assert.equal(await reader.getBalance({ address: NOBODY }), parseEther("1"));
    await tester.increaseTime({ seconds: 100 });
    const before = (await reader.getBlock()).timestamp;
    await tester.mine({ blocks: 1 });
    assert.ok((await reader.getBlock()).timestamp >= before + 100n);
  },
  async fees() {
    const fees = await reader.estimateFeesPerGas();
    const next = (await reader.getBlock({ blockTag: "pending" })).baseFeePerGas;
    assert.ok(fees.maxFeePerGas > next);
  },
});
