// Looks for paid resources with the stock packages: `found.mjs OURS ADAPTER SHOP RPC TOKEN`. Checks
// what our server declares with the validators of x402's bazaar extension, pays the shop once with the
// stock client, and asks our server for what it lists, until the shop is listed.
import { x402Client } from "@x402/core/client";
import { decodePaymentRequiredHeader } from "@x402/core/http";
import { HTTPFacilitatorClient } from "@x402/core/server";
import { toClientEvmSigner } from "@x402/evm";
import { ExactEvmScheme } from "@x402/evm/exact/client";
import { extractDiscoveryInfo, sanitizeResourceServiceMetadata, validateDiscoveryExtension, validateDiscoveryExtensionSpec, withBazaar } from "@x402/extensions/bazaar";
import { wrapFetchWithPayment } from "@x402/fetch";
import { createPublicClient, http } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

const [ours, adapter, shop, rpc] = process.argv.slice(2);
const NETWORK = "eip155:31337";
const post = (body) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const chat = (model) => post({ model, messages: [{ role: "user", content: "hello" }] });

/** What the validators say of a route of ours. */
async function declared(path, body) {
  const response = await fetch(`${ours}${path}`, post(body));
  const terms = decodePaymentRequiredHeader(response.headers.get("payment-required"));
  const { bazaar } = terms.extensions;
  const payment = { x402Version: 2, resource: terms.resource, accepted: terms.accepts[0], payload: {}, extensions: terms.extensions };
  const found = extractDiscoveryInfo(payment, terms.accepts[0]);
  return {
    schema: validateDiscoveryExtension(bazaar),
    spec: validateDiscoveryExtensionSpec(bazaar),
    metadata: sanitizeResourceServiceMetadata(terms.resource),
    resource: found.resourceUrl.replace(ours, ""),
    method: found.method,
    body: found.discoveryInfo.input.body,
  };
}

const routes = {
  chat: await declared("/v1/chat/completions", { model: adapter, messages: [{ role: "user", content: "hello" }] }),
  text: await declared("/v1/completions", { model: adapter, prompt: "hello" }),
};
const { bazaar } = withBazaar(new HTTPFacilitatorClient({ url: ours })).extensions;
const before = await bazaar.listResources({ type: "http" });

const account = mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex: 4 });
const signer = toClientEvmSigner(account, createPublicClient({ chain: foundry, transport: http(rpc) }));
const client = new x402Client((_, offers) => offers.find(({ scheme }) => scheme === "exact"))
  .register(NETWORK, new ExactEvmScheme(signer))
  .setSpendControls(false);
const paid = await wrapFetchWithPayment(fetch, client)(`${shop}/v1/chat/completions`, chat("stock"));
if (paid.status !== 200) throw new Error(`${paid.status} ${await paid.text()}`);

let shown;
for (let tries = 0; tries < 300 && !shown; tries += 1) {
  const { items } = await bazaar.listResources({ type: "http", limit: 100 });
  shown = items.find(({ resource }) => resource.startsWith(shop));
  if (!shown) await new Promise((resolve) => setTimeout(resolve, 100));
}
const search = async (query) => (await bazaar.search({ query })).resources.map(({ resource }) => resource);
const none = await bazaar.listResources({ network: "eip155:1" });
console.log(JSON.stringify({
  routes,
  own: before.items.map(({ resource, type, accepts }) => [resource.replace(ours, ""), type, accepts.map(({ scheme }) => scheme)]),
  shown: shown && { ...shown, resource: shown.resource.replace(shop, ""), lastUpdated: typeof shown.lastUpdated, accepts: shown.accepts.map(({ scheme }) => scheme) },
  stock: (await search("stock answers")).map((resource) => resource.replace(shop, "")).slice(0, 1),
  nothing: await search("unheard-of"),
  elsewhere: none.pagination.total,
}));
