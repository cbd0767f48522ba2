// The stock client, unmodified, buying chats: `buyer.mjs STEP URL ADAPTER RPC` does one step in a
// process of its own and prints what came of it as one line of JSON.
import { x402Client } from "@x402/core/client";
import { toClientEvmSigner } from "@x402/evm";
import { BatchSettlementEvmScheme, computeChannelId } from "@x402/evm/batch-settlement/client";
import { ExactEvmScheme } from "@x402/evm/exact/client";
import { decodePaymentResponseHeader, wrapFetchWithPayment } from "@x402/fetch";
import { createPublicClient, http } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

const [step, url, adapter, rpc] = process.argv.slice(2);
const NETWORK = "eip155:31337";
const ESCROW = "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003";
const account = mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex: 4 });
const chain = createPublicClient({ chain: foundry, transport: http(rpc) });
const signer = toClientEvmSigner(account, chain);
const batch = new BatchSettlementEvmScheme(signer);
const route = `${url}/v1/chat/completions`;
const seen = { payments: [], channels: new Set() };

const client = new x402Client((_, offers) => offers.find(({ scheme }) => scheme === wanted))
  .register(NETWORK, batch)
  .register(NETWORK, new ExactEvmScheme(signer))
  // Its own list of tokens has none of development chains.
  .setSpendControls(false)
  .onAfterPaymentCreation(async ({ paymentPayload: { payload } }) => {
    seen.payments.push(payload.type ?? "exact");
    if (payload.channelConfig) seen.channels.add(computeChannelId(payload.channelConfig, NETWORK));
  });
const wanted = step === "exact" ? "exact" : "batch-settlement";
const pay = wrapFetchWithPayment(fetch, client);

async function call(number, extra = {}) {
  const body = { model: adapter, max_tokens: 4, temperature: 0, messages: [{ role: "user", content: `${step} ${number}` }], ...extra };
  const response = await pay(route, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`call ${number}: ${response.status} ${text} ${response.headers.get("payment-required")}`);
  const answer = JSON.parse(text);
  if (typeof answer.choices[0].message.content !== "string") throw new Error(`call ${number}: ${text}`);
  const settled = decodePaymentResponseHeader(response.headers.get("PAYMENT-RESPONSE"));
  if (!settled.success) throw new Error(`call ${number}: ${JSON.stringify(settled)}`);
  const transaction = /^0x[0-9a-f]{64}$/.test(settled.transaction);
  return { charged: settled.extra?.chargedAmount, total: settled.extra?.channelState?.chargedCumulativeAmount, transaction };
}

async function several(count) {
  let charged = 0n;
  let last;
  for (let number = 1; number <= count; number += 1) {
    last = await call(number);
    charged += BigInt(last.charged);
  }
  return { charged: charged.toString(), total: last.total };
}

/** Calls until the channel has taken a second deposit. */
async function untilTopUp() {
  for (let number = 1; number <= 200; number += 1) {
    const { total } = await call(number);
    if (seen.payments.at(-1) === "deposit") return { total };
  }
  throw new Error("no call needed a deposit");
}

/** What a call of so many tokens is offered for. */
async function priceOf(number, extra) {
  const body = { model: adapter, temperature: 0, messages: [{ role: "user", content: `${step} ${number}` }], ...extra };
  const response = await fetch(route, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const terms = JSON.parse(Buffer.from(response.headers.get("payment-required"), "base64").toString());
  return BigInt(terms.accepts.find(({ scheme }) => scheme === "batch-settlement").amount);
}

/** A call whose honest total is the one that the last call was allowed and has not cost. */
async function collision() {
  const extra = { max_tokens: 24, stop: [" ", "e", "a", "o"] };
  for (let number = 1; number <= 20; number += 1) {
    const left = (await priceOf(number, extra)) - BigInt((await call(number, extra)).charged);
    for (let tokens = 1; tokens <= 24; tokens += 1) {
      const next = { max_tokens: tokens };
      if ((await priceOf(number + 100, next)) !== left) continue;
      const before = seen.payments.length;
      const { charged } = await call(number + 100, next);
      return { left: left.toString(), charged, tries: seen.payments.length - before };
    }
  }
  throw new Error("no price fits what a call left");
}

const channel = async () => {
  const [id] = seen.channels;
  if (!id) return undefined;
  const abi = [{ type: "function", name: "channels", stateMutability: "view", inputs: [{ type: "bytes32" }], outputs: [{ type: "uint128" }, { type: "uint128" }] }];
  const [balance, claimed] = await chain.readContract({ address: ESCROW, abi, functionName: "channels", args: [id] });
  return { id, balance: balance.toString(), claimed: claimed.toString() };
};

/** Two pictures, for what the terms say. */
async function pictures() {
  const order = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: adapter, prompt: "two red circles", n: 2, seed: 3 }),
  };
  const images = `${url}/v1/images/generations`;
  const unpaid = await fetch(images, order);
  const terms = JSON.parse(Buffer.from(unpaid.headers.get("payment-required"), "base64").toString());
  const quoted = terms.accepts.find(({ scheme }) => scheme === "batch-settlement").amount;
  const response = await pay(images, order);
  if (response.status !== 200) throw new Error(`pictures: ${response.status} ${await response.text()}`);
  const { data } = await response.json();
  const settled = decodePaymentResponseHeader(response.headers.get("PAYMENT-RESPONSE"));
  if (!settled.success) throw new Error(JSON.stringify(settled));
  const png = data.map(({ b64_json }) => Buffer.from(b64_json, "base64").subarray(1, 4).toString() === "PNG");
  return { png, quoted, charged: settled.extra.chargedAmount };
}

const STEPS = {
  pictures,
  deposit: () => several(1),
  vouchers: () => several(20),
  topup: untilTopUp,
  collision,
  exact: async () => ({ transaction: (await call(1)).transaction }),
  refund: async () => {
    const settled = await batch.refund(`${route}?model=${adapter}`);
    return { success: settled.success, amount: settled.amount, transaction: /^0x[0-9a-f]{64}$/.test(settled.transaction) };
  },
};
const result = await STEPS[step]();
console.log(JSON.stringify({ ...result, payments: seen.payments, channel: await channel() }));
