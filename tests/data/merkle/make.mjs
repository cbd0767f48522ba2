// Makes trees.json with npm's @openzeppelin/merkle-tree; run in contracts/ after `npm ci`:
// node ../tests/data/merkle/make.mjs > ../tests/data/merkle/trees.json
import { createRequire } from "node:module";
const { StandardMerkleTree } = createRequire(process.cwd() + "/")("@openzeppelin/merkle-tree");

const types = ["address", "address", "uint256"];
const hex = (number, digits) => "0x" + number.toString(16).padStart(digits, "0");
const trees = [1, 2, 3, 4, 5, 7, 8, 13, 100].map((count) => {
  const leaves = Array.from({ length: count }, (_, at) => [
    hex(BigInt(7), 40),
    hex(BigInt(at + 1) * 0x9e3779b97f4a7c15n, 40),
    (BigInt(at) * 1_000_003n + 1n).toString(),
  ]);
  const tree = StandardMerkleTree.of(leaves, types);
  const last = count - 1;
  return {
    leaves,
    hashes: leaves.map((leaf) => tree.leafHash(leaf)),
    root: tree.root,
    proofs: [0, last >> 1, last].map((at) => ({ leaf: at, proof: tree.getProof(leaves[at]) })),
  };
});
process.stdout.write(JSON.stringify({ types, trees }, null, 1) + "\n");
