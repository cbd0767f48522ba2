// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Registration} from "../src/AdapterRelease.sol";
import {AttributionAnchor, Head} from "../src/AttributionAnchor.sol";
import {ContributorPool, Entry} from "../src/ContributorPool.sol";
import {OpenLoraRegistry} from "../src/OpenLoraRegistry.sol";
import {RevenueSplitter} from "../src/RevenueSplitter.sol";
import {Origin} from "../src/RevenueSplitterFactory.sol";
import {Share} from "../src/Shares.sol";
import {HookToken, Receiver} from "./lib/HookToken.sol";
import {PoolFixture} from "./lib/PoolFixture.sol";

/// @notice A recipient that, called before its money moves, sends its partner for the same money.
contract Thief is Receiver {
    HookToken private immutable _token;
    Thief private _partner;
    bytes public refusal;

    constructor(HookToken token) {
        _token = token;
    }

    function join(Thief partner) external {
        _partner = partner;
    }

    function fetch(RevenueSplitter splitter) external {
        splitter.release(address(_token), address(this));
    }

    function beforeTransfer(address from) external {
        if (address(_partner) == address(0)) return;
        try _partner.fetch(RevenueSplitter(from)) {}
        catch (bytes memory reason) {
            refusal = reason;
        }
    }
}

/// @notice An operator that pays itself and, called before the money moves, proposes what is paid
/// a second time.
contract Embezzler is Receiver {
    HookToken private immutable _token;
    ContributorPool private _pool;
    bytes public refusal;

    constructor(HookToken token) {
        _token = token;
    }

    function operate(ContributorPool pool) external {
        _pool = pool;
    }

    function entries(uint128 amount) public view returns (Entry[] memory list) {
        list = new Entry[](1);
        list[0] = Entry(address(this), amount);
    }

    function propose(uint128 amount) public {
        _pool.propose(address(_token), 0, entries(amount));
    }

    function beforeTransfer(address) external {
        try this.propose(500) {}
        catch (bytes memory reason) {
            refusal = reason;
        }
    }
}

/// @notice What once took money or power, and what it takes now.
contract AttacksTest is PoolFixture {
    /// The next allotment adds; whoever sleeps keeps what is in force.
    function test_NothingRevokesAnAllotmentInForce() public {
        inForce(pair(500_000, 500_000));
        pool.claim(address(token), bob);
        Entry[] memory all = new Entry[](1);
        all[0] = Entry(bob, 1);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.TotalUnfunded.selector, address(token), 1, 0)
        );
        propose(all);
        token.mint(address(pool), 300_000);
        all[0].amount = 300_000;
        inForce(all);
        pool.claim(address(token), bob);
        vm.assertEq(token.balanceOf(bob), 800_000, "its own and no more");
        vm.assertEq(pool.claim(address(token), ada), 500_000, "hers were kept");
    }

    /// The gap between the two: due, activated by nobody, and yet out of everybody's reach.
    function test_WhatIsDueCannotBeStoppedBeforeItIsActivated() public {
        Entry[] memory entries = pair(700_000, 300_000);
        propose(entries);
        vm.warp(block.timestamp + 1 days);
        vm.startPrank(operator);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.ProposalDue.selector, address(token), block.timestamp)
        );
        pool.withdrawProposal(address(token));
        vm.stopPrank();
        vm.prank(cora);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToContest.selector, address(token)));
        pool.contest(address(token));
        vm.prank(cora);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.NothingToAllot.selector, address(token), 0, 10_000)
        );
        pool.demand(address(token));
        vm.warp(block.timestamp + 1_000 days);
        vm.prank(person(99));
        pool.activate(address(token), entries);
        vm.assertEq(pool.claim(address(token), ada), 700_000, "anybody activates it");
    }

    /// A demand where nothing is unallotted is refused; later income is allotted by use.
    function test_DemandOnAQuietPoolChangesNothing() public {
        inForce(pair(999_999, 1));
        pool.claim(address(token), ada);
        vm.prank(cora);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.NothingToAllot.selector, address(token), 0, 10_000)
        );
        pool.demand(address(token));
        vm.warp(block.timestamp + 365 days);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToDivide.selector, address(token)));
        pool.divideStatically(address(token));
        token.mint(address(pool), 1_000_000);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.NothingToClaim.selector, address(token), cora)
        );
        pool.claim(address(token), cora);
        inForce(pair(1_000_000 - 1, 1));
        vm.assertEq(pool.claim(address(token), ada), 999_999, "her data earned it");
    }

    /// One contributor refuses nothing, a quorum gains nothing, however often it does.
    function test_ContestTakesNothing() public {
        propose(pair(999_999, 1));
        vm.prank(cora);
        pool.contest(address(token));
        vm.warp(block.timestamp + 1 days);
        pool.activate(address(token), pair(999_999, 1));
        vm.assertEq(pool.claim(address(token), ada), 999_999, "she has what she earned");
        vm.assertEq(pool.owed(address(token), cora), 0, "and Cora what she earned");
    }

    function test_AHostileQuorumGainsNothing() public {
        for (uint256 i = 0; i < 20; ++i) {
            propose(pair(1, 999_999));
            vm.prank(ada);
            pool.contest(address(token));
            vm.prank(cora);
            pool.contest(address(token));
            vm.prank(cora);
            try pool.demand(address(token)) {} catch {}
            vm.warp(block.timestamp + 1 days);
        }
        vm.assertEq(pool.owed(address(token), ada), 0, "nothing for Ada");
        vm.assertEq(pool.owed(address(token), cora), 0, "nothing for Cora");
        vm.assertEq(pool.accountOf(address(token)).divided, 0, "nothing was divided");
        // All that they can do is wait; whenever they stop, everybody has what was earned.
        inForce(pair(1, 999_999));
        vm.assertEq(pool.claim(address(token), bob), 999_999, "Bob is paid in the end");
    }

    /// A pool that pays itself would see the same money arrive twice.
    function test_ThePoolIsNoContributorOfItself() public {
        Entry[] memory entries = new Entry[](1);
        entries[0] = Entry(address(pool), 1_000_000);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.EntryInvalid.selector, 0, address(pool), 1_000_000)
        );
        propose(entries);
    }

    /// Servers of the last owner go with it.
    function test_ServersEndWithATransfer() public {
        Registration memory given = aRegistration();
        given.servers = new address[](2);
        (given.servers[0], given.servers[1]) = (person(7), person(6));
        vm.startPrank(person(1));
        (uint256 id,) = registry.register(given);
        vm.assertTrue(registry.isServer(id, person(7)) && registry.isServer(id, person(6)), "authorised");
        vm.expectEmit(address(registry));
        emit OpenLoraRegistry.ServersCleared(id);
        registry.transferFrom(person(1), person(2), id);
        vm.stopPrank();
        for (uint256 i = 6; i < 8; ++i) {
            vm.assertTrue(!registry.isServer(id, person(i)), "no longer authorised");
            vm.prank(person(i));
            vm.expectRevert(abi.encodeWithSelector(AttributionAnchor.NotServer.selector, id, person(i)));
            anchors.anchor(id, keccak256("fake"), 0, type(uint64).max, type(uint128).max, "");
        }
        Head memory head = anchors.headOf(id, person(7));
        vm.assertEq(head.charged, 0, "no fake revenue");
        // And does not come back when the token does.
        vm.prank(person(2));
        registry.transferFrom(person(2), person(1), id);
        vm.assertTrue(!registry.isServer(id, person(7)) && !registry.isServer(id, person(6)), "still not");
    }

    /// A version that leaves contributors out takes nothing of what was promised to them.
    function test_TheNextVersionTakesNoRoyalties() public {
        vm.prank(person(1));
        (uint256 id, address first) = registry.register(aRegistration());
        Share[] memory mine = new Share[](1);
        mine[0] = Share(person(1), 1_000_000);
        Registration memory given = aRegistration();
        given.release.manifestSha256 = keccak256("m2");
        vm.prank(person(1));
        (, address second) = registry.publishVersion(id, given.release, mine);
        (address to,) = registry.royaltyInfo(id, 100);
        vm.assertEq(to, first, "royalties stay with those they were promised to");
        vm.assertTrue(first != second, "calls of the next version are paid elsewhere");
        vm.assertEq(abi.encode(RevenueSplitter(first).shares()), abi.encode(threeShares()), "first's shares");
    }

    /// Anyone may create the splitter first, and its event with it; nothing else changes.
    function test_AnEarlySplitterIsTheSame() public {
        Registration memory given = aRegistration();
        uint256 id = registry.idOf(person(1), given.weightsHash);
        vm.prank(person(66));
        address early = factory.create(Origin(block.chainid, address(registry), id, 1), given.shares);
        vm.prank(person(1));
        (, address splitter) = registry.register(given);
        vm.assertEq(splitter, early, "the same");
        token.mint(splitter, 1_000);
        vm.prank(ada);
        vm.assertEq(RevenueSplitter(splitter).release(address(token), ada), 500, "and pays as agreed");
        vm.assertEq(abi.encode(RevenueSplitter(splitter).shares()), abi.encode(given.shares), "shares");
    }

    /// A token that calls its receiver before it moves money lets nobody take more than its share.
    function test_HookTokensOverdrawNoSplitter() public {
        HookToken hooked = new HookToken();
        Thief first = new Thief(hooked);
        Thief second = new Thief(hooked);
        first.join(second);
        bool sorted = address(first) < address(second);
        Share[] memory shares = new Share[](3);
        shares[0] = Share(sorted ? address(first) : address(second), 300_000);
        shares[1] = Share(sorted ? address(second) : address(first), 300_000);
        shares[2] = Share(address(type(uint160).max), 400_000);
        RevenueSplitter splitter = RevenueSplitter(factory.create(origin(), shares));
        hooked.mint(address(splitter), 1_000);
        hooked.setHook(address(first));
        first.fetch(splitter);
        vm.assertEq(
            first.refusal(),
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
            "the door is closed"
        );
        second.fetch(splitter);
        vm.assertEq(hooked.balanceOf(address(first)) + hooked.balanceOf(address(second)), 600, "their share");
        vm.assertEq(hooked.balanceOf(address(splitter)), 400, "the third one's is there");
    }

    /// Nor can it make a pool promise the same money twice.
    function test_HookTokensOverdrawNoPool() public {
        HookToken hooked = new HookToken();
        Embezzler embezzler = new Embezzler(hooked);
        ContributorPool other =
            ContributorPool(pools.create(address(embezzler), 1 days, 500_001, threeShares(), "hooked"));
        embezzler.operate(other);
        hooked.mint(address(other), 1_000);
        embezzler.propose(500);
        vm.warp(block.timestamp + 1 days);
        other.activate(address(hooked), embezzler.entries(500));
        hooked.setHook(address(embezzler));
        other.claim(address(hooked), address(embezzler));
        vm.assertEq(
            embezzler.refusal(),
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
            "the door is closed"
        );
        vm.assertEq(other.unallotted(address(hooked)), 500, "counted once");
    }
}
