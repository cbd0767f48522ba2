// The stock x402 client and facilitator, unmodified, against our escrow, collector, token and
// multicall on anvil: deposit, voucher, claim, settle, refund. Receipts are compared with gas.json.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { toClientEvmSigner, toFacilitatorEvmSigner } from "@x402/evm";
import { BatchSettlementEvmScheme as Client, computeChannelId, signVoucher } from "@x402/evm/batch-settlement/client";
import { BatchSettlementEvmScheme as Facilitator } from "@x402/evm/batch-settlement/facilitator";
import { concat, createWalletClient, encodeDeployData, getCreate2Address, http, keccak256, pad, publicActions, stringToHex, testActions } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const CREATE2 = "0x4e59b44847b379578588920cA78FbF26c0B4956C";
const PLACED = {
  BatchSettlementEscrow: "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003",
  ERC3009DepositCollector: "0x4020806089470a89826cB9fB1f4059150b550004",
  DevelopmentMulticall: "0xcA11bde05977b3631167028862bE2a173976CA11",
};
const ZERO = pad("0x", { size: 32 });
const word = (text) => keccak256(stringToHex(text));
const artifact = (name) => JSON.parse(readFileSync(join(root, "artifacts", `${name}.json`), "utf8"));

function expect(what, found, wanted) {
  const text = (value) => JSON.stringify(value, (_, item) => (typeof item === "bigint" ? item.toString() : item));
  if (text(found) !== text(wanted)) throw new Error(`${what}: expected ${text(wanted)}, found ${text(found)}`);
}

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Accounts with the well-known development keys, connected to a fresh chain that is `node`. */
async function start(node) {
  const transport = http(`http://127.0.0.1:${node.port}`);
  const [facilitator, payer, seller] = [0, 1, 2].map((addressIndex) =>
    createWalletClient({
      account: mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex }),
      chain: foundry,
      transport,
    })
      .extend(publicActions)
      .extend(testActions({ mode: "anvil" })),
  );
  for (let tries = 0; ; tries += 1) {
    try {
      expect("a fresh chain's height", await facilitator.getBlockNumber(), 0n);
      return { facilitator, payer, seller };
    } catch (error) {
      if (tries === 100 || node.child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function create(wallet, name, args = []) {
  const { abi, bytecode } = artifact(name);
  const code = encodeDeployData({ abi, bytecode, args });
  const hash = await wallet.sendTransaction({ to: CREATE2, data: concat([ZERO, code]) });
  expect(`creation of ${name}`, (await wallet.waitForTransactionReceipt({ hash })).status, "success");
  return getCreate2Address({ from: CREATE2, salt: ZERO, bytecode: code });
}

async function send(wallet, name, address, functionName, args) {
  const hash = await wallet.writeContract({ address, abi: artifact(name).abi, functionName, args });
  const receipt = await wallet.waitForTransactionReceipt({ hash });
  expect(functionName, receipt.status, "success");
  return receipt.gasUsed;
}

const read = (wallet, name, address, functionName, args) =>
  wallet.readContract({ address, abi: artifact(name).abi, functionName, args });

async function deploy({ facilitator }) {
  const factory = await create(facilitator, "RevenueSplitterFactory");
  const registry = await create(facilitator, "OpenLoraRegistry", [factory]);
  const anchor = await create(facilitator, "AttributionAnchor", [registry]);
  const token = await create(facilitator, "DevelopmentToken");
  for (const [name, address] of Object.entries(PLACED)) {
    await facilitator.setCode({ address, bytecode: artifact(name).deployedBytecode });
  }
  return { registry, anchor, token };
}

/** Receipts differ from gas.json only by zero bytes in addresses and digests. */
function expectGas(name, found) {
  const { gas } = JSON.parse(readFileSync(join(root, "gas.json"), "utf8"))[name];
  if (Math.abs(Number(found) - gas) > 200) throw new Error(`${name}: receipt says ${found}, gas.json ${gas}`);
}

async function register({ seller }, { registry, anchor }) {
  const recipients = ["0x1111111111111111111111111111111111111111", "0x2222222222222222222222222222222222222222"];
  const shares = [...recipients, seller.account.address.toLowerCase()]
    .sort()
    .map((recipient, index) => ({ recipient, ppm: [500_000, 333_333, 166_667][index] }));
  const release = { manifestSha256: word("manifest"), baseRoot: word("base"), datasetsRoot: word("datasets"), price: 1_500n, uri: "oci://registry.example/adapters/tone:1" };
  const registration = { weightsHash: word("weights"), royaltyBps: 500, release, shares, servers: [] };
  expectGas("registerWithThreeWaySplitter", await send(seller, "OpenLoraRegistry", registry, "register", [registration]));
  const id = await read(seller, "OpenLoraRegistry", registry, "idOf", [seller.account.address, word("weights")]);
  await send(seller, "OpenLoraRegistry", registry, "setServer", [id, seller.account.address, true]);
  const calls = (number, before) => [id, word(`${number}`), before, 8_192n, 12_345_678n, `https://poa.example/000000${number}.json`];
  await send(seller, "AttributionAnchor", anchor, "anchor", calls(1, ZERO));
  expectGas("furtherAnchor", await send(seller, "AttributionAnchor", anchor, "anchor", calls(2, word("1"))));
  const [, { splitter }] = await read(seller, "OpenLoraRegistry", registry, "latestRelease", [id]);
  return splitter;
}

async function pay({ facilitator, payer, seller }, { token }, splitter) {
  await send(facilitator, "DevelopmentToken", token, "mint", [payer.account.address, 1_000_000n]);
  const signer = toFacilitatorEvmSigner({ ...facilitator, address: facilitator.account.address });
  const scheme = new Facilitator(signer, seller.account);
  const offer = {
    scheme: "batch-settlement",
    network: "eip155:31337",
    asset: token,
    amount: "1500",
    payTo: splitter,
    maxTimeoutSeconds: 600,
    extra: { name: "OpenLoRA Development USD", version: "1", receiverAuthorizer: seller.account.address, withdrawDelay: 3_600 },
  };
  const wrap = (payload) => ({ x402Version: 2, accepted: offer, resource: { url: "http://localhost/" }, payload });
  const settle = async (payload) => {
    const { success, errorReason } = await scheme.settle(wrap(payload), offer);
    expect(payload.type, [success, errorReason], [true, undefined]);
  };

  const client = new Client(toClientEvmSigner(payer.account, payer));
  const { payload } = await client.createPaymentPayload(2, offer);
  expect("the client's first payload", payload.type, "deposit");
  expect("verification", (await scheme.verify(wrap(payload), offer)).isValid, true);
  await settle(payload);

  const { channelConfig } = payload;
  const channelId = computeChannelId(channelConfig, offer.network);
  const voucher = await signVoucher(payer.account, channelId, "3000", offer.network);
  expect("a voucher", (await scheme.verify(wrap({ type: "voucher", channelConfig, voucher }), offer)).isValid, true);
  const row = (totalClaimed) => ({ voucher: { channel: channelConfig, maxClaimableAmount: "3000" }, signature: voucher.signature, totalClaimed });
  await settle({ type: "claim", claims: [row("2900")] });
  await settle({ type: "settle", receiver: splitter, token });
  expect("the splitter's income", await read(seller, "DevelopmentToken", token, "balanceOf", [splitter]), 2_900n);

  const channel = () => read(seller, "BatchSettlementEscrow", PLACED.BatchSettlementEscrow, "channels", [channelId]);
  const [balance] = await channel();
  await settle({ type: "refund", channelConfig, voucher, amount: `${balance - 3_000n}`, refundNonce: "0", claims: [row("3000")] });
  expect("the channel after the refund", await channel(), [3_000n, 3_000n]);
  expect("the payer's rest", await read(seller, "DevelopmentToken", token, "balanceOf", [payer.account.address]), 997_000n);
}

const port = await freePort();
const child = spawn("anvil", ["--port", `${port}`, "--silent"], { stdio: "inherit" });
try {
  await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  const wallets = await start({ child, port });
  const addresses = await deploy(wallets);
  await pay(wallets, addresses, await register(wallets, addresses));
} finally {
  child.kill();
}
