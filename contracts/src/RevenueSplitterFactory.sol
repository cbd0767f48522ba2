// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {RevenueSplitter} from "./RevenueSplitter.sol";
import {Share, Shares} from "./Shares.sol";

/// @notice Which adapter version a splitter belongs to.
/// @param homeChainId The chain that the registry lives on.
/// @param registry The registry on that chain.
/// @param id The adapter.
/// @param version The version, counted from one.
struct Origin {
    uint256 homeChainId;
    address registry;
    uint256 id;
    uint32 version;
}

/// @title RevenueSplitterFactory
/// @notice Creates the splitter of an adapter version at an address that depends only on its origin
/// and its shares. Created through the same deterministic deployer on several chains, the factory
/// and therefore every splitter has one address on all of them.
/// @dev Anyone may create any splitter: other shares give another address, so there is nothing to
/// take from anybody.
contract RevenueSplitterFactory {
    address private immutable _implementation = address(new RevenueSplitter());

    /// @notice A splitter was created.
    event SplitterCreated(
        address indexed splitter,
        uint256 indexed id,
        address indexed registry,
        uint256 homeChainId,
        uint32 version,
        Share[] shares
    );

    /// @notice Creates the splitter of an adapter version; when it exists already, that one is it.
    /// @param origin The adapter version.
    /// @param shares Who is paid how much, sorted by recipient.
    /// @return splitter Its address.
    function create(Origin calldata origin, Share[] calldata shares) external returns (address splitter) {
        bytes memory packed = Shares.pack(shares);
        bytes32 salt = saltOf(origin);
        splitter = _predict(packed, salt);
        if (splitter.code.length != 0) return splitter;
        // The prediction above is the address that this creates.
        splitter = Clones.cloneDeterministicWithImmutableArgs(_implementation, packed, salt);
        emit SplitterCreated(splitter, origin.id, origin.registry, origin.homeChainId, origin.version, shares);
    }

    /// @notice The address that `create` gives.
    /// @param origin The adapter version.
    /// @param shares Who is paid how much, sorted by recipient.
    /// @return The same on every chain.
    function predict(Origin calldata origin, Share[] calldata shares) external view returns (address) {
        return _predict(Shares.pack(shares), saltOf(origin));
    }

    /// @notice The code that every splitter runs.
    /// @return Its address.
    function implementation() external view returns (address) {
        return _implementation;
    }

    /// @notice The CREATE2 salt of an adapter version.
    /// @param origin The adapter version.
    /// @return keccak256 of its four fields, ABI encoded.
    function saltOf(Origin calldata origin) public pure returns (bytes32) {
        return keccak256(abi.encode(origin));
    }

    function _predict(bytes memory packed, bytes32 salt) private view returns (address) {
        return Clones.predictDeterministicAddressWithImmutableArgs(_implementation, packed, salt);
    }
}
