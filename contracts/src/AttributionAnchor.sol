// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {OpenLoraRegistry} from "./OpenLoraRegistry.sol";

/// @notice One served call, as it stands in a server's tree.
/// @param eventId Digest that names the event in the server's journal.
/// @param adapterId The adapter that answered.
/// @param version Its version.
/// @param chainId The chain on which the call was paid.
/// @param channelId The payment channel on that chain.
/// @param cumulative What the channel had been charged in total after the call.
/// @param charged What the call cost.
/// @param requestHash Salted digest of the request.
/// @param responseHash Digest of the response.
/// @param contributionsRoot Root over the contributors' shares of the call.
/// @param time Unix time in milliseconds.
struct Leaf {
    bytes32 eventId;
    uint256 adapterId;
    uint32 version;
    uint256 chainId;
    bytes32 channelId;
    uint128 cumulative;
    uint128 charged;
    bytes32 requestHash;
    bytes32 responseHash;
    bytes32 contributionsRoot;
    uint64 time;
}

/// @notice Where a server's chain of roots stands.
/// @param root The last root.
/// @param sequence How many roots there are.
/// @param count How many calls they hold.
/// @param charged What those calls cost together.
struct Head {
    bytes32 root;
    uint64 sequence;
    uint64 count;
    uint128 charged;
}

/// @title AttributionAnchor
/// @notice Keeps what servers served: per adapter and server a chain of Merkle roots over calls.
/// A root cannot be changed or inserted later, and one published fork is refused here.
/// @dev It proves that a server stated something by a certain time, not that the statement is
/// complete. Only the last root of each chain is stored; the others stand in the events. Trees have
/// the layout of OpenZeppelin's StandardMerkleTree: double-hashed leaves, sorted pairs.
contract AttributionAnchor {
    OpenLoraRegistry private immutable _registry;

    mapping(uint256 id => mapping(address server => Head)) private _heads;

    /// @notice A server appended a root; the one before it has the sequence before it.
    event Anchored(
        uint256 indexed id,
        address indexed server,
        bytes32 indexed root,
        uint64 sequence,
        uint64 count,
        uint128 charged,
        string uri
    );

    /// @notice The caller is not authorised to serve the adapter.
    error NotServer(uint256 id, address caller);

    /// @notice The chain ends with another root than the caller believes.
    error PreviousRootMismatch(uint256 id, bytes32 expected, bytes32 found);

    /// @notice The root is the last one again.
    error RootRepeated(uint256 id, bytes32 root);

    /// @notice A tree without root or without calls.
    error TreeEmpty(uint256 id, bytes32 root, uint64 count);

    /// @param authority Says who may anchor.
    constructor(OpenLoraRegistry authority) {
        _registry = authority;
    }

    /// @notice Appends a root to the caller's chain.
    /// @param id The adapter; all leaves of the tree name it.
    /// @param root The tree's root.
    /// @param prevRoot The last root of this chain; zero before the first.
    /// @param count How many calls the tree holds.
    /// @param charged What they cost together.
    /// @param uri Where the leaves can be fetched; may be empty.
    function anchor(uint256 id, bytes32 root, bytes32 prevRoot, uint64 count, uint128 charged, string calldata uri)
        external
    {
        if (root == 0 || count == 0) revert TreeEmpty(id, root, count);
        if (root == prevRoot) revert RootRepeated(id, root);
        if (!_registry.isServer(id, msg.sender)) revert NotServer(id, msg.sender);
        Head memory head = _heads[id][msg.sender];
        if (head.root != prevRoot) revert PreviousRootMismatch(id, head.root, prevRoot);
        head.root = root;
        head.sequence += 1;
        head.count += count;
        head.charged += charged;
        _heads[id][msg.sender] = head;
        emit Anchored(id, msg.sender, root, head.sequence, count, charged, uri);
    }

    /// @notice Where a chain stands.
    /// @param id The adapter.
    /// @param server Whose chain.
    /// @return Zeros before the first root.
    function headOf(uint256 id, address server) external view returns (Head memory) {
        return _heads[id][server];
    }

    /// @notice Whether the last root of a server's chain holds a leaf.
    /// @param server Whose chain; the adapter is the leaf's.
    /// @param leaf The call.
    /// @param proof Siblings from the leaf upwards.
    /// @return True when it does.
    function verifyHead(address server, Leaf calldata leaf, bytes32[] calldata proof) external view returns (bool) {
        return MerkleProof.verifyCalldata(proof, _heads[leaf.adapterId][server].root, leafHash(leaf));
    }

    /// @notice Whether a root, taken from an `Anchored` event, holds a leaf.
    /// @param root The tree's root.
    /// @param leaf The call.
    /// @param proof Siblings from the leaf upwards.
    /// @return True when it does.
    function verifyLeaf(bytes32 root, Leaf calldata leaf, bytes32[] calldata proof) external pure returns (bool) {
        return MerkleProof.verifyCalldata(proof, root, leafHash(leaf));
    }

    /// @notice The registry that says who may anchor.
    /// @return Its address.
    function registry() external view returns (address) {
        return address(_registry);
    }

    /// @notice The hash of a call in the tree.
    /// @param leaf The call.
    /// @return keccak256 of the keccak256 of its fields, ABI encoded in their order.
    function leafHash(Leaf calldata leaf) public pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(leaf))));
    }
}
