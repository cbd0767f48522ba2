// The unmodified ethers against a running development chain: node ethers.mjs URL WS ARTIFACT

import assert from "node:assert/strict";
import { Contract, ContractFactory, JsonRpcProvider, parseEther, Wallet, WebSocketProvider } from "ethers";

import { artifact, KEYS, NOBODY, run, url, ws } from "./common.mjs";

const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 20, cacheTimeout: -1 });
const wallet = new Wallet(KEYS.ethers, provider);
let token;

await run({
  async identity() {
    assert.equal((await provider.getNetwork()).chainId, 31337n);
    assert.equal((await provider.listAccounts()).length, 10);
  },
  async transfer() {
    const before = await provider.getBalance(NOBODY);
    const sent = await wallet.sendTransaction({ to: NOBODY, value: parseEther("0.5") });
    const receipt = await sent.wait();
    assert.equal(receipt.status, 1);
    assert.equal(await provider.getBalance(NOBODY), before + parseEther("0.5"));
  },
  async signerOfTheNode() {
    const signer = await provider.getSigner(1);
    const receipt = await (await signer.sendTransaction({ to: NOBODY, value: 1n })).wait();
    assert.equal(receipt.from, await signer.getAddress());
  },
  async deployment() {
    token = await new ContractFactory(artifact.abi, artifact.bytecode, wallet).deploy();
    await token.waitForDeployment();
    assert.equal(await token.symbol(), "dUSD");
  },
  async events() {
    const receipt = await (await token.mint(wallet.address, 11n)).wait();
    assert.deepEqual(receipt.logs.map((log) => log.args.value), [11n]);
    const found = await token.queryFilter(token.filters.Transfer(), receipt.blockNumber);
    assert.equal(found.length, 1);
  },
  async revert() {
    await assert.rejects(token.transfer.staticCall(NOBODY, 12n), (error) => {
      assert.equal(error.code, "CALL_EXCEPTION");
      assert.equal(error.revert.name, "ERC20InsufficientBalance");
      assert.deepEqual([...error.revert.args], [wallet.address, 11n, 12n]);
      return true;
    });
  },
  async insufficientFunds() {
    await assert.rejects(
      wallet.sendTransaction({ to: NOBODY, value: parseEther("99999999"), gasLimit: 21000n }),
      (error) => error.code === "INSUFFICIENT_FUNDS",
    );
  },
  async nonce() {
    await assert.rejects(
      wallet.sendTransaction({ to: NOBODY, nonce: 0, gasLimit: 21000n }),
      (error) => error.code === "NONCE_EXPIRED",
    );
  },
  async subscriptions() {
    const socket = new WebSocketProvider(ws);
    const heard = new Promise((resolve) => new Contract(token.target, artifact.abi, socket).once("Transfer", resolve));
    const block = new Promise((resolve) => socket.once("block", resolve));
    // The subscriptions stand once the socket has answered something sent after them.
    await socket.getBlockNumber();
    const receipt = await (await token.mint(NOBODY, 13n)).wait();
    await heard;
    assert.equal(await block, receipt.blockNumber);
    await socket.destroy();
  },
});
