// Compiles src/ with the pinned solc into artifacts/, which the Rust build reads without Node.
// `--check` writes nothing and fails when a committed artifact differs.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { standardJson, version } from "./solc.mjs";

const root = dirname(fileURLToPath(import.meta.url));
const artifacts = join(root, "artifacts");

/** What Rust needs; everything else is reached through these. */
const CONTRACTS = [
  "AttributionAnchor",
  "BatchSettlementEscrow",
  "ContributorPool",
  "ContributorPoolFactory",
  "DevelopmentIdentityRegistry",
  "DevelopmentMulticall",
  "DevelopmentToken",
  "ERC3009DepositCollector",
  "OpenLoraRegistry",
  "RevenueSplitter",
  "RevenueSplitterFactory",
  "ServerDirectory",
  "Shares",
];

export const SETTINGS = {
  optimizer: { enabled: true, runs: 1_000_000 },
  viaIR: true,
  evmVersion: "cancun",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
};

function sources(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith(".sol") ? [path] : [];
  });
}

function compile() {
  const files = sources(join(root, "src")).sort();
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(files.map((path) => [relative(root, path), { content: readFileSync(path, "utf8") }])),
    settings: {
      ...SETTINGS,
      outputSelection: {
        "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"] },
      },
    },
  };
  const output = JSON.parse(standardJson(JSON.stringify(input)));
  // OpenZeppelin's own sources may warn; ours may not.
  const messages = (output.errors ?? []).filter(
    (message) => message.severity === "error" || !message.sourceLocation?.file.startsWith("@openzeppelin/"),
  );
  for (const message of messages) console.error(message.formattedMessage);
  if (messages.length > 0) throw new Error(`solc: ${messages.length} messages`);
  return output.contracts;
}

function artifact(name, contract) {
  const { abi, evm } = contract;
  // The compiler names immutables by syntax tree ids, which change with unrelated sources: number
  // them in the order in which they first stand in the code.
  const immutables = Object.values(evm.deployedBytecode.immutableReferences ?? {})
    .map((places) => places.toSorted((a, b) => a.start - b.start))
    .sort((a, b) => a[0].start - b[0].start);
  const value = {
    contractName: name,
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
    immutableReferences: Object.fromEntries(immutables.entries()),
    compiler: { version: version(), ...SETTINGS },
  };
  return `${JSON.stringify(value, null, 1)}\n`;
}

function main() {
  mkdirSync(artifacts, { recursive: true });
  const compiled = Object.fromEntries(Object.values(compile()).flatMap((file) => Object.entries(file)));
  const wanted = new Map(CONTRACTS.map((name) => [`${name}.json`, artifact(name, compiled[name])]));
  const present = new Map(
    readdirSync(artifacts).map((file) => [
      file,
      readFileSync(join(artifacts, file), "utf8"),
    ]),
  );
  const stale = [...new Set([...wanted.keys(), ...present.keys()])].filter(
    (file) => wanted.get(file) !== present.get(file),
  );
  if (process.argv.includes("--check")) {
    if (stale.length > 0) {
      console.error(`artifacts differ from the sources: ${stale.join(", ")}\nrun: node contracts/build.mjs`);
      process.exit(1);
    }
    return;
  }
  for (const file of stale) {
    const text = wanted.get(file);
    if (text === undefined) rmSync(join(artifacts, file));
    else writeFileSync(join(artifacts, file), text);
  }
}

main();
