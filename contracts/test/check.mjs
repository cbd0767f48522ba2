// What forge cannot see: that every error of ours is provoked by a test, that the escrow and the
// collector have the interface by which stock x402 clients know them, and that the README shows the
// measured gas (`--write` puts it there).
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAbi, toEventSelector, toFunctionSelector, toFunctionSignature } from "viem";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function solidity(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => name.endsWith(".sol"))
    .map((name) => readFileSync(join(root, folder, name), "utf8"))
    .join("\n");
}

function untestedErrors() {
  const declared = [...solidity("src").matchAll(/^ *error (\w+)\(/gm)].map((match) => match[1]);
  const tests = solidity("test");
  return declared.filter((name) => !new RegExp(`\\.${name}\\.selector`).test(tests));
}

const CHANNEL = "(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)";
const CLAIMS = `((${CHANNEL} channel,uint128 maxClaimableAmount) voucher,bytes signature,uint128 totalClaimed)[]`;
const NO_ARGUMENTS = "InvalidChannel ZeroDeposit DepositOverflow InvalidSignature NotReceiverAuthorizer NotAuthorizedToClaim NotAuthorizedToRefund ClaimExceedsCeiling ClaimExceedsBalance WithdrawalAlreadyPending WithdrawalNotPending NotAuthorizedToFinalizeWithdraw WithdrawDelayNotElapsed NothingToWithdraw WithdrawAmountExceedsAvailable WithdrawDelayOutOfRange EmptyBatch DepositCollectionFailed InvalidCollector InvalidRefundNonce ZeroRefund";

/** The interface of the contracts at the canonical addresses. */
const CANONICAL = {
  BatchSettlementEscrow: [
    `function deposit(${CHANNEL} config,uint128 amount,address collector,bytes collectorData)`,
    `function claim(${CLAIMS} voucherClaims)`,
    `function claimWithSignature(${CLAIMS} voucherClaims,bytes authorizerSignature)`,
    "function settle(address receiver,address token)",
    `function initiateWithdraw(${CHANNEL} config,uint128 amount)`,
    `function finalizeWithdraw(${CHANNEL} config)`,
    `function refund(${CHANNEL} config,uint128 amount)`,
    `function refundWithSignature(${CHANNEL} config,uint128 amount,uint256 nonce,bytes receiverAuthorizerSignature)`,
    "function multicall(bytes[] data) returns (bytes[])",
    `function getChannelId(${CHANNEL} config) view returns (bytes32)`,
    "function getVoucherDigest(bytes32 channelId,uint128 maxClaimableAmount) view returns (bytes32)",
    "function getRefundDigest(bytes32 channelId,uint256 nonce,uint128 amount) view returns (bytes32)",
    `function getClaimBatchDigest(${CLAIMS} voucherClaims) view returns (bytes32)`,
    "function channels(bytes32 channelId) view returns (uint128 balance,uint128 totalClaimed)",
    "function refundNonce(bytes32 channelId) view returns (uint256)",
    "function pendingWithdrawals(bytes32 channelId) view returns (uint128 amount,uint40 initiatedAt)",
    "function receivers(address receiver,address token) view returns (uint128 totalClaimed,uint128 totalSettled)",
    "function MIN_WITHDRAW_DELAY() view returns (uint40)",
    "function MAX_WITHDRAW_DELAY() view returns (uint40)",
    "function CHANNEL_CONFIG_TYPEHASH() view returns (bytes32)",
    "function VOUCHER_TYPEHASH() view returns (bytes32)",
    "function REFUND_TYPEHASH() view returns (bytes32)",
    "function CLAIM_ENTRY_TYPEHASH() view returns (bytes32)",
    "function CLAIM_BATCH_TYPEHASH() view returns (bytes32)",
    "function eip712Domain() view returns (bytes1 fields,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt,uint256[] extensions)",
    `event ChannelCreated(bytes32 indexed channelId,${CHANNEL} config)`,
    `event ChannelClosed(bytes32 indexed channelId,${CHANNEL} config)`,
    "event Deposited(bytes32 indexed channelId,address indexed sender,uint128 amount,uint128 newBalance)",
    "event Claimed(bytes32 indexed channelId,address indexed sender,uint128 claimAmount,uint128 newTotalClaimed)",
    "event Settled(address indexed receiver,address indexed token,address indexed sender,uint128 amount)",
    "event Refunded(bytes32 indexed channelId,address indexed sender,uint128 amount)",
    "event WithdrawInitiated(bytes32 indexed channelId,uint128 amount,uint40 finalizeAfter)",
    "event WithdrawFinalized(bytes32 indexed channelId,address indexed sender,uint128 amount)",
    ...NO_ARGUMENTS.split(" ").map((name) => `error ${name}()`),
  ],
  ERC3009DepositCollector: [
    "function x402BatchSettlement() view returns (address)",
    "function collect(address payer,address token,uint256 amount,bytes32 channelId,bytes collectorData)",
    "error OnlyX402BatchSettlement()",
  ],
  DevelopmentToken: [
    "function transferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce,bytes signature)",
    "function transferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce,uint8 v,bytes32 r,bytes32 s)",
    "function receiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce,bytes signature)",
    "function receiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce,uint8 v,bytes32 r,bytes32 s)",
    "function authorizationState(address authorizer,bytes32 nonce) view returns (bool)",
    "function permit(address owner,address spender,uint256 value,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
    "event AuthorizationUsed(address indexed authorizer,bytes32 indexed nonce)",
  ],
  // ERC-8004's identity registry, as it is on public chains.
  DevelopmentIdentityRegistry: [
    "function register() returns (uint256 agentId)",
    "function register(string agentURI) returns (uint256 agentId)",
    "function register(string agentURI,(string metadataKey,bytes metadataValue)[] metadata) returns (uint256 agentId)",
    "function setAgentURI(uint256 agentId,string newURI)",
    "function tokenURI(uint256 tokenId) view returns (string)",
    "function getMetadata(uint256 agentId,string metadataKey) view returns (bytes)",
    "function setMetadata(uint256 agentId,string metadataKey,bytes metadataValue)",
    "function getAgentWallet(uint256 agentId) view returns (address)",
    "function setAgentWallet(uint256 agentId,address newWallet,uint256 deadline,bytes signature)",
    "function unsetAgentWallet(uint256 agentId)",
    "function isAuthorizedOrOwner(address spender,uint256 agentId) view returns (bool)",
    "function getVersion() pure returns (string)",
    "event Registered(uint256 indexed agentId,string agentURI,address indexed owner)",
    "event MetadataSet(uint256 indexed agentId,string indexed indexedMetadataKey,string metadataKey,bytes metadataValue)",
    "event URIUpdated(uint256 indexed agentId,string newURI,address indexed updatedBy)",
  ],
  DevelopmentMulticall: [
    "function tryAggregate(bool requireSuccess,(address target,bytes callData)[] calls) returns ((bool success,bytes returnData)[])",
    "function aggregate3((address target,bool allowFailure,bytes callData)[] calls) returns ((bool success,bytes returnData)[])",
  ],
};

/** Selector, names and types of everything that a caller can see. */
function shape(item) {
  const types = (list) => (list ?? []).map(({ type, components }) => [type, types(components)]);
  const names = (list) => (list ?? []).map(({ name, indexed, components }) => [name ?? "", indexed ?? false, names(components)]);
  const selector = item.type === "event" ? toEventSelector(item) : toFunctionSelector(toFunctionSignature({ ...item, type: "function" }));
  const unnamed = (item.outputs ?? []).length < 2;
  return JSON.stringify([item.type, item.name, selector, names(item.inputs), types(item.outputs), unnamed || names(item.outputs)]);
}

function missing() {
  return Object.entries(CANONICAL).flatMap(([name, wanted]) => {
    const { abi } = JSON.parse(readFileSync(join(root, "artifacts", `${name}.json`), "utf8"));
    const present = new Set(abi.filter((item) => "name" in item).map(shape));
    return wanted.filter((text) => !present.has(shape(parseAbi([text])[0]))).map((text) => `${name}: ${text}`);
  });
}

function readmeIsStale() {
  const file = join(root, "README.md");
  const text = readFileSync(file, "utf8");
  const rows = Object.entries(JSON.parse(readFileSync(join(root, "gas.json"), "utf8")));
  const table = rows.map(([name, { gas, limit }]) => `| \`${name}\` | ${gas} | ${limit} |\n`).join("");
  const wanted = text.replace(/(\| --- \| ---: \| ---: \|\n)(\|.*\n)*/, `$1${table}`);
  if (process.argv.includes("--write")) writeFileSync(file, wanted);
  else return wanted !== text;
}

const complaints = [
  ...untestedErrors().map((name) => `no test provokes the error ${name}`),
  ...missing().map((text) => `not in the artifact: ${text}`),
  ...(readmeIsStale() ? ["README.md does not show gas.json\nrun: node contracts/test/check.mjs --write"] : []),
];
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length > 0 ? 1 : 0);
