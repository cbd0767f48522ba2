// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {ContributorPool} from "./ContributorPool.sol";
import {Share, Shares} from "./Shares.sol";

/// @title ContributorPoolFactory
/// @notice Creates contributor pools at addresses that depend only on what they are created with,
/// so that a splitter with a pool among its recipients works on every chain.
contract ContributorPoolFactory {
    /// @notice The shortest time in which contributors can contest.
    uint32 public constant MIN_DELAY = 1 hours;

    /// @notice The longest time that a proposal may wait.
    uint32 public constant MAX_DELAY = 7 days;

    /// @notice The smallest quorum: more than a third of the static shares.
    uint32 public constant MIN_QUORUM = 333_334;

    /// @notice The largest quorum.
    uint32 public constant MAX_QUORUM = 900_000;

    address private immutable _implementation = address(new ContributorPool());

    /// @notice A pool was created.
    event PoolCreated(
        address indexed pool,
        address indexed operator,
        uint32 delay,
        uint32 quorum,
        bytes32 indexed salt,
        Share[] shares
    );

    /// @notice The zero address cannot operate a pool.
    error OperatorInvalid(address operator);

    /// @notice The delay is too short or too long.
    error DelayInvalid(uint256 found, uint256 minimum, uint256 maximum);

    /// @notice The quorum is too small or too large.
    error QuorumInvalid(uint256 found, uint256 minimum, uint256 maximum);

    /// @notice Creates a pool; when it exists already, that one is it.
    /// @param operator Who allots the income.
    /// @param delay Seconds between a proposal and its force.
    /// @param quorum Static shares that refuse a proposal, in parts per million.
    /// @param shares The static shares, sorted by recipient.
    /// @param salt Tells pools with the same terms apart.
    /// @return pool Its address.
    function create(address operator, uint32 delay, uint32 quorum, Share[] calldata shares, bytes32 salt)
        external
        returns (address pool)
    {
        bytes memory packed = _pack(operator, delay, quorum, shares);
        pool = _predict(packed, salt);
        if (pool.code.length != 0) return pool;
        // The prediction above is the address that this creates.
        pool = Clones.cloneDeterministicWithImmutableArgs(_implementation, packed, salt);
        emit PoolCreated(pool, operator, delay, quorum, salt, shares);
    }

    /// @notice The address that `create` gives.
    /// @param operator Who allots the income.
    /// @param delay Seconds between a proposal and its force.
    /// @param quorum Static shares that refuse a proposal, in parts per million.
    /// @param shares The static shares, sorted by recipient.
    /// @param salt Tells pools with the same terms apart.
    /// @return The same on every chain.
    function predict(address operator, uint32 delay, uint32 quorum, Share[] calldata shares, bytes32 salt)
        external
        view
        returns (address)
    {
        return _predict(_pack(operator, delay, quorum, shares), salt);
    }

    /// @notice The code that every pool runs.
    /// @return Its address.
    function implementation() external view returns (address) {
        return _implementation;
    }

    function _predict(bytes memory packed, bytes32 salt) private view returns (address) {
        return Clones.predictDeterministicAddressWithImmutableArgs(_implementation, packed, salt);
    }

    function _pack(address operator, uint32 delay, uint32 quorum, Share[] calldata shares)
        private
        pure
        returns (bytes memory)
    {
        if (operator == address(0)) revert OperatorInvalid(operator);
        if (delay < MIN_DELAY || delay > MAX_DELAY) revert DelayInvalid(delay, MIN_DELAY, MAX_DELAY);
        if (quorum < MIN_QUORUM || quorum > MAX_QUORUM) revert QuorumInvalid(quorum, MIN_QUORUM, MAX_QUORUM);
        bytes memory head = bytes.concat(Shares.toEntry(operator, delay), Shares.toEntry(address(0), quorum));
        return bytes.concat(head, Shares.pack(shares));
    }
}
