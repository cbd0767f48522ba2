// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ContributorPool, Entry} from "../../src/ContributorPool.sol";
import {Fixture} from "./Fixture.sol";

/// @notice A pool with one million in it, and its parties by name; Ada has half of the static
/// shares, Bob a third, Cora the rest.
abstract contract PoolFixture is Fixture {
    ContributorPool internal pool;
    address internal operator = person(9);
    address internal ada;
    address internal bob;
    address internal cora;

    function setUp() public virtual override {
        super.setUp();
        pool = aPool();
        address[3] memory all = recipients();
        (ada, bob, cora) = (all[0], all[1], all[2]);
        token.mint(address(pool), 1_000_000);
    }

    function propose(Entry[] memory entries) internal {
        vm.prank(operator);
        pool.propose(address(token), "sums", entries);
    }

    /// @dev Proposes and lets the time pass that it takes.
    function inForce(Entry[] memory entries) internal {
        propose(entries);
        vm.warp(block.timestamp + 1 days);
        pool.activate(address(token), entries);
    }

    /// @dev What Ada and Bob get.
    function pair(uint128 first, uint128 second) internal view returns (Entry[] memory entries) {
        entries = new Entry[](2);
        entries[0] = Entry(ada, first);
        entries[1] = Entry(bob, second);
    }
}
