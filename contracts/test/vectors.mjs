// Golden vectors by other implementations: viem, OpenZeppelin's merkle-tree package and the stock
// x402 client. The Solidity tests compare the contracts with them; Rust tests may do the same.
// `node test/vectors.mjs` writes vectors.json, `--check` fails when it would change.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";
import {
  computeChannelId,
  createBatchSettlementEIP3009DepositPayload,
  signVoucher,
} from "@x402/evm/batch-settlement/client";
import { encodeAbiParameters, hashTypedData, keccak256, stringToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";

// The stock client takes its nonces and times from here; vectors must not change from run to run.
Date.now = () => 1_800_000_000_000;
globalThis.crypto.getRandomValues = (bytes) => bytes.fill(7);

const file = join(dirname(fileURLToPath(import.meta.url)), "vectors.json");
const word = (text) => keccak256(stringToHex(text));
const CHAIN = 31337;
const REGISTRY = "0x00000000000000000000000000000000000a11ce";
const TOKEN = "0x0000000000000000000000000000000000070ce7";
const publisher = privateKeyToAccount(word("publisher"));
const payer = privateKeyToAccount(word("payer"));
const receiver = privateKeyToAccount(word("receiver"));

const domain = { name: "OpenLoraRegistry", version: "1", chainId: CHAIN, verifyingContract: REGISTRY };

function release() {
  const types = {
    AdapterRelease: [
      { name: "name", type: "string" },
      { name: "version", type: "string" },
      { name: "manifestSha256", type: "bytes32" },
      { name: "filesRoot", type: "bytes32" },
      { name: "baseRoot", type: "bytes32" },
      { name: "datasetsRoot", type: "bytes32" },
      { name: "omsKeySha256", type: "bytes32" },
      { name: "createdAt", type: "uint64" },
    ],
  };
  const message = {
    name: "tone",
    version: "1.2.0",
    manifestSha256: word("manifest"),
    filesRoot: word("files"),
    baseRoot: word("base"),
    datasetsRoot: word("datasets"),
    omsKeySha256: word("key"),
    createdAt: 1_800_000_000n,
  };
  return { message, digest: hashTypedData({ domain, types, primaryType: "AdapterRelease", message }) };
}

async function registration() {
  const types = {
    Registration: [
      { name: "publisher", type: "address" },
      { name: "weightsHash", type: "bytes32" },
      { name: "royaltyBps", type: "uint16" },
      { name: "release", type: "Release" },
      { name: "shares", type: "Share[]" },
      { name: "servers", type: "address[]" },
      { name: "deadline", type: "uint256" },
    ],
    Release: [
      { name: "manifestSha256", type: "bytes32" },
      { name: "baseRoot", type: "bytes32" },
      { name: "datasetsRoot", type: "bytes32" },
      { name: "price", type: "uint128" },
      { name: "uri", type: "string" },
    ],
    Share: [
      { name: "recipient", type: "address" },
      { name: "ppm", type: "uint32" },
    ],
  };
  const message = {
    publisher: publisher.address,
    weightsHash: word("weights"),
    royaltyBps: 500,
    release: {
      manifestSha256: word("manifest"),
      baseRoot: word("base"),
      datasetsRoot: word("datasets"),
      price: 1_500n,
      uri: "oci://registry.example/adapters/tone:1",
    },
    shares: [
      { recipient: "0x0000000000000000000000000000000000001000", ppm: 700_000 },
      { recipient: "0x0000000000000000000000000000000000002000", ppm: 300_000 },
    ],
    servers: ["0x0000000000000000000000000000000000003000", "0x0000000000000000000000000000000000004000"],
    deadline: 1_900_000_000n,
  };
  const data = { domain, types, primaryType: "Registration", message };
  return { message, digest: hashTypedData(data), signature: await publisher.signTypedData(data) };
}

function leaf(number) {
  return [
    word(`event ${number}`),
    7n,
    1n,
    BigInt(CHAIN),
    word("channel"),
    BigInt(1_500 * (number + 1)),
    1_500n,
    word(`request ${number}`),
    word(`response ${number}`),
    word(`contributions ${number}`),
    BigInt(1_800_000_000_000 + number),
  ];
}

const LEAF = "bytes32 uint256 uint32 uint256 bytes32 uint128 uint128 bytes32 bytes32 bytes32 uint64".split(" ");

function tree() {
  const leaves = Array.from({ length: 8_192 }, (_, number) => leaf(number));
  const whole = StandardMerkleTree.of(leaves, LEAF);
  const index = 4_321;
  return {
    types: LEAF,
    index,
    encodedLeaf: encodeAbiParameters(LEAF.map((type) => ({ type })), leaves[index]),
    leafHash: whole.leafHash(leaves[index]),
    root: whole.root,
    proof: whole.getProof(index),
  };
}

function allotment() {
  const entries = [
    { contributor: "0x0000000000000000000000000000000000001000", amount: 600n },
    { contributor: "0x0000000000000000000000000000000000002000", amount: 300n },
    { contributor: "0x0000000000000000000000000000000000003000", amount: 100n },
  ];
  const components = [
    { name: "contributor", type: "address" },
    { name: "amount", type: "uint128" },
  ];
  return { entries, hash: keccak256(encodeAbiParameters([{ type: "tuple[]", components }], [entries])) };
}

async function channel() {
  const config = {
    payer: payer.address,
    payerAuthorizer: payer.address,
    receiver: receiver.address,
    receiverAuthorizer: receiver.address,
    token: TOKEN,
    withdrawDelay: 3_600,
    salt: word("salt"),
  };
  const network = `eip155:${CHAIN}`;
  const channelId = computeChannelId(config, network);
  const requirements = {
    scheme: "batch-settlement",
    network,
    asset: TOKEN,
    amount: "1500",
    payTo: receiver.address,
    maxTimeoutSeconds: 600,
    extra: { name: "OpenLoRA Development USD", version: "1" },
  };
  const deposit = await createBatchSettlementEIP3009DepositPayload(payer, 2, requirements, config, "100000", "1500");
  const { validAfter, validBefore, salt, signature } = deposit.payload.deposit.authorization.erc3009Authorization;
  const collectorData = encodeAbiParameters(
    [{ type: "uint256" }, { type: "uint256" }, { type: "uint256" }, { type: "bytes" }],
    [BigInt(validAfter), BigInt(validBefore), BigInt(salt), signature],
  );
  const voucher = await signVoucher(payer, channelId, "2500", network);
  return { config, channelId, depositAmount: "100000", collectorData, voucher };
}

async function build() {
  const value = {
    chainId: CHAIN,
    registry: REGISTRY,
    token: TOKEN,
    release: release(),
    registration: await registration(),
    tree: tree(),
    allotment: allotment(),
    channel: await channel(),
  };
  return `${JSON.stringify(value, (_, item) => (typeof item === "bigint" ? item.toString() : item), 1)}\n`;
}

const text = await build();
if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") !== text) {
    console.error("test/vectors.json differs\nrun: node contracts/test/vectors.mjs");
    process.exit(1);
  }
} else {
  writeFileSync(file, text);
}
