// A shop made of the stock packages alone: express with x402's middleware, its batch-settlement
// and exact schemes, and its facilitator, in one process or at the address that is given. Says
// where it listens, then sells.
import { readFileSync } from "node:fs";
import { x402Facilitator } from "@x402/core/facilitator";
import { HTTPFacilitatorClient } from "@x402/core/server";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { BatchSettlementEvmScheme as BatchFacilitator } from "@x402/evm/batch-settlement/facilitator";
import { BatchSettlementEvmScheme as BatchServer } from "@x402/evm/batch-settlement/server";
import { ExactEvmScheme as ExactFacilitator } from "@x402/evm/exact/facilitator";
import { ExactEvmScheme as ExactServer } from "@x402/evm/exact/server";
import { bazaarResourceServerExtension, declareDiscoveryExtension } from "@x402/extensions/bazaar";
import { paymentMiddleware, setSettlementOverrides, x402ResourceServer } from "@x402/express";
import express from "express";
import { createWalletClient, http, publicActions, testActions } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

const [rpc, token, multicall, elsewhere, secret] = process.argv.slice(2);
const NETWORK = "eip155:31337";
const QUOTE = "1500";
const account = (addressIndex) =>
  mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex });
const [relayer, receiver, authorizer] = [account(5), account(6).address, account(7)];

const wallet = createWalletClient({ account: relayer, chain: foundry, transport: http(rpc) })
  .extend(publicActions)
  .extend(testActions({ mode: "anvil" }));
const { deployedBytecode } = JSON.parse(readFileSync(multicall, "utf8"));
await wallet.setCode({ address: "0xcA11bde05977b3631167028862bE2a173976CA11", bytecode: deployedBytecode });

const signer = toFacilitatorEvmSigner({ ...wallet, address: relayer.address });
const bearer = { Authorization: `Bearer ${secret}` };
const facilitator = elsewhere
  ? new HTTPFacilitatorClient({ url: elsewhere, createAuthHeaders: async () => ({ verify: bearer, settle: bearer, supported: bearer }) })
  : new x402Facilitator()
      .register(NETWORK, new BatchFacilitator(signer, authorizer))
      .register(NETWORK, new ExactFacilitator(signer));
const batch = new BatchServer(receiver, { receiverAuthorizerSigner: authorizer });
const server = new x402ResourceServer(facilitator).register(NETWORK, batch).register(NETWORK, new ExactServer());
server.registerExtension(bazaarResourceServerExtension);
const declared = declareDiscoveryExtension({
  bodyType: "json",
  input: { model: "stock", messages: [{ role: "user", content: "hello" }] },
  inputSchema: { properties: { model: { type: "string" }, messages: { type: "array" } }, required: ["model", "messages"] },
  output: { example: { object: "chat.completion" } },
});

const price = { amount: QUOTE, asset: token, extra: { name: "OpenLoRA Development USD", version: "1" } };
const offer = (scheme) => ({ scheme, network: NETWORK, payTo: receiver, price, maxTimeoutSeconds: 600 });
const app = express();
app.use(express.json());
// What calls cost from now on, and whether answers are held back.
const state = { charge: QUOTE, held: [], holding: false };
app.post("/control", (request, response) => {
  Object.assign(state, request.body);
  if (!state.holding) for (const release of state.held.splice(0)) release();
  response.json({ held: state.held.length });
});
app.get("/channels", async (_, response) => {
  const all = await batch.getStorage().list();
  response.json(all.map(({ channelId, chargedCumulativeAmount, signedMaxClaimable }) => ({ channelId, chargedCumulativeAmount, signedMaxClaimable })));
});
app.get("/v1/models", (_, response) => response.json({ object: "list", data: [{ id: "stock", object: "model" }] }));
app.use(
  paymentMiddleware(
    { "/v1/chat/completions": { accepts: [offer("exact"), offer("batch-settlement")], description: "A stock answer", mimeType: "application/json", serviceName: "Stock", tags: ["stock", "answers"], extensions: declared } },
    server,
  ),
);
let calls = 0;
app.post("/v1/chat/completions", async (request, response) => {
  calls += 1;
  if (state.holding) await new Promise((resolve) => state.held.push(resolve));
  if (state.charge !== QUOTE) setSettlementOverrides(response, { amount: state.charge });
  const content = `answer ${calls} to ${request.body.messages.at(-1).content}`;
  response.json({
    id: `stock-${calls}`,
    object: "chat.completion",
    model: request.body.model,
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 },
  });
});
const listener = app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${listener.address().port}`));
