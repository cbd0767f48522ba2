// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ContributorPool, Entry} from "../src/ContributorPool.sol";
import {ContributorPoolFactory} from "../src/ContributorPoolFactory.sol";
import {RevenueSplitter} from "../src/RevenueSplitter.sol";
import {Share, Shares} from "../src/Shares.sol";
import {PoolFixture} from "./lib/PoolFixture.sol";

contract PoolTest is PoolFixture {
    function test_AllotmentsAddUpAndAreFetchedTogether() public {
        Entry[] memory entries = pair(400_000, 100_000);
        vm.expectEmit(address(pool));
        emit ContributorPool.AllotmentProposed(
            address(token), "sums", 1, 500_000, block.timestamp + 1 days, entries
        );
        propose(entries);
        vm.assertEq(pool.owed(address(token), ada), 0, "not before its time");
        vm.warp(block.timestamp + 1 days);
        vm.expectEmit(address(pool));
        emit ContributorPool.AllotmentActivated(address(token), 1, 500_000);
        pool.activate(address(token), entries);
        vm.assertEq(pool.owed(address(token), ada), 400_000, "owed");

        inForce(pair(300_000, 200_000));
        vm.expectEmit(address(pool));
        emit ContributorPool.Claimed(address(token), ada, 700_000, 700_000);
        vm.assertEq(pool.claim(address(token), ada), 700_000, "both in one call");
        vm.assertEq(token.balanceOf(ada), 700_000, "fetched");
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToClaim.selector, address(token), ada));
        pool.claim(address(token), ada);
        (uint256 allotted, uint256 divided, uint256 paid) = pool.sumsOf(address(token), ada);
        vm.assertEq(allotted, 700_000, "allotted");
        vm.assertEq(divided, 0, "divided");
        vm.assertEq(paid, 700_000, "paid");
        vm.assertEq(pool.received(address(token)), 1_000_000, "received counts what was paid out");
        vm.assertEq(pool.unallotted(address(token)), 0, "nothing is left");
    }

    function test_WhoeverHasNoStaticShareMayBeAllotted() public {
        Entry[] memory entries = new Entry[](3);
        entries[0] = Entry(person(7), 10);
        entries[1] = Entry(person(7), 20);
        entries[2] = Entry(ada, 30);
        inForce(entries);
        vm.assertEq(pool.claim(address(token), person(7)), 30, "two entries of one contributor add up");
    }

    function test_ProposalsWaitForTheirTime() public {
        Entry[] memory entries = pair(400_000, 100_000);
        propose(entries);
        uint256 due = block.timestamp + 1 days;
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.ProposalEarly.selector, address(token), due));
        pool.activate(address(token), entries);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.ProposalPending.selector, address(token), 1, due));
        propose(entries);
        vm.warp(due);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.ProposalPending.selector, address(token), 1, due));
        propose(entries);
        Entry[] memory others = pair(100_000, 400_000);
        vm.expectRevert(
            abi.encodeWithSelector(
                ContributorPool.EntriesMismatch.selector, pool.hashOf(others), pool.hashOf(entries)
            )
        );
        pool.activate(address(token), others);
        pool.activate(address(token), entries);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.ProposalMissing.selector, address(token)));
        pool.activate(address(token), entries);
    }

    function test_ProposalRefusals() public {
        Entry[] memory entries = pair(1, 1);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotOperator.selector, address(this), operator));
        pool.propose(address(token), "sums", entries);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotOperator.selector, address(this), operator));
        pool.withdrawProposal(address(token));
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.EntryCountInvalid.selector, 0, 200));
        propose(new Entry[](0));
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.EntryCountInvalid.selector, 201, 200));
        propose(new Entry[](201));
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.TotalUnfunded.selector, address(token), 1_000_001, 1_000_000)
        );
        propose(pair(1_000_000, 1));
        entries[1].amount = 0;
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.EntryInvalid.selector, 1, bob, 0));
        propose(entries);
        entries[1] = Entry(address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.EntryInvalid.selector, 1, address(0), 1));
        propose(entries);
        entries[1] = Entry(address(pool), 1);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.EntryInvalid.selector, 1, address(pool), 1));
        propose(entries);
    }

    /// An operator that takes proposals back instead of answering runs out of time all the same.
    function test_TheOperatorMayTakeAProposalBackAndOwesAnotherOne() public {
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.ProposalMissing.selector, address(token)));
        pool.withdrawProposal(address(token));
        vm.stopPrank();
        propose(pair(400_000, 100_000));
        vm.expectEmit(address(pool));
        emit ContributorPool.AllotmentWithdrawn(address(token), 1);
        vm.prank(operator);
        pool.withdrawProposal(address(token));
        uint256 answerBy = block.timestamp + 14 days;
        vm.assertEq(pool.accountOf(address(token)).answerBy, answerBy, "it owes another one");
        vm.warp(answerBy + 1);
        pool.divideStatically(address(token));
        vm.assertEq(pool.owed(address(token), ada), 250_000, "half of the 500 000");

        propose(pair(300_000, 200_000));
        vm.warp(block.timestamp + 1 days);
        vm.prank(operator);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.ProposalDue.selector, address(token), block.timestamp)
        );
        pool.withdrawProposal(address(token));
    }

    function test_AQuorumRefusesAndNobodyIsPaidForIt() public {
        propose(pair(900_000, 100_000));
        vm.expectEmit(address(pool));
        emit ContributorPool.Contested(address(token), 1, bob, 333_333, 333_333);
        vm.prank(bob);
        pool.contest(address(token));
        vm.assertTrue(pool.accountOf(address(token)).pending != 0, "a third refuses nothing");
        vm.prank(bob);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.ContestedAlready.selector, address(token), 1, bob)
        );
        pool.contest(address(token));
        vm.expectEmit(address(pool));
        emit ContributorPool.AllotmentRefused(address(token), 1, 1_000_000);
        vm.prank(ada);
        pool.contest(address(token));
        vm.assertEq(pool.unallotted(address(token)), 1_000_000, "all of it waits");
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(pool.owed(address(token), recipients()[i]), 0, "nobody is owed anything");
        }
        uint256 nextAt = block.timestamp + 1 days;
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.ProposalRefused.selector, address(token), 1, nextAt)
        );
        propose(pair(500_000, 500_000));
        vm.warp(nextAt);
        inForce(pair(500_000, 500_000));
        vm.assertEq(pool.claim(address(token), bob), 500_000, "the next one pays");
    }

    function test_WhatEverybodyRefusedIsDividedByTheStaticShares() public {
        propose(pair(600_000, 300_000));
        address[3] memory all = recipients();
        for (uint256 i = 0; i < 3; ++i) {
            if (i == 2) {
                vm.expectEmit(address(pool));
                emit ContributorPool.StaticallyDivided(address(token), 900_000);
            }
            vm.prank(all[i]);
            pool.contest(address(token));
        }
        vm.assertEq(pool.claim(address(token), ada), 450_000, "half of the refused sum");
        vm.assertEq(pool.claim(address(token), bob), 299_999, "a third");
        vm.assertEq(pool.unallotted(address(token)), 100_000, "the rest waits for the operator");
        inForce(pair(50_000, 50_000));
        vm.assertEq(pool.claim(address(token), ada), 50_000, "who goes on as before");
    }

    function test_ContestRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotContributor.selector, address(this)));
        pool.contest(address(token));
        vm.prank(ada);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToContest.selector, address(token)));
        pool.contest(address(token));
        propose(pair(500_000, 1));
        vm.warp(block.timestamp + 1 days);
        vm.prank(ada);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToContest.selector, address(token)));
        pool.contest(address(token));
    }

    function test_SilentOperatorsCannotLockTheMoney() public {
        uint256 answerBy = block.timestamp + 14 days;
        vm.startPrank(ada);
        vm.expectEmit(address(pool));
        emit ContributorPool.ProposalDemanded(address(token), ada, 1_000_000, answerBy);
        pool.demand(address(token));
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.DemandPending.selector, address(token), answerBy)
        );
        pool.demand(address(token));
        vm.stopPrank();
        token.mint(address(pool), 500_000);
        vm.warp(answerBy);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToDivide.selector, address(token)));
        pool.divideStatically(address(token));
        vm.warp(answerBy + 1);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.AnswerOverdue.selector, address(token), answerBy)
        );
        propose(pair(1, 1));
        pool.divideStatically(address(token));
        vm.assertEq(pool.claim(address(token), ada), 500_000, "half of what was demanded");
        vm.assertEq(pool.unallotted(address(token)), 500_000, "what came later is not part of it");
        inForce(pair(400_000, 100_000));
        vm.assertEq(pool.claim(address(token), ada), 400_000, "and is allotted as ever");
    }

    function test_AnsweredDemandsEnd() public {
        vm.prank(ada);
        pool.demand(address(token));
        propose(pair(300_000, 700_000));
        vm.prank(ada);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.NothingToAllot.selector, address(token), 0, 10_000)
        );
        pool.demand(address(token));
        vm.warp(block.timestamp + 60 days);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToDivide.selector, address(token)));
        pool.divideStatically(address(token));
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotContributor.selector, address(this)));
        pool.demand(address(token));
    }

    /// Proposing next to nothing, day after day, answers next to nothing.
    function test_SmallProposalsDoNotStopTheClock() public {
        vm.prank(ada);
        pool.demand(address(token));
        uint256 answerBy = pool.accountOf(address(token)).answerBy;
        for (uint256 i = 0; i < 14; ++i) {
            propose(pair(1, 1));
            vm.prank(ada);
            vm.expectRevert(
                abi.encodeWithSelector(ContributorPool.DemandPending.selector, address(token), answerBy)
            );
            pool.demand(address(token));
            vm.warp(block.timestamp + 1 days);
            pool.activate(address(token), pair(1, 1));
        }
        propose(pair(2, 2));
        vm.warp(answerBy + 1);
        pool.divideStatically(address(token));
        vm.assertEq(pool.accountOf(address(token)).divided, 1_000_000 - 28 - 4, "what was not proposed");
        vm.warp(block.timestamp + 1 days);
        pool.activate(address(token), pair(2, 2));
        vm.assertEq(pool.unallotted(address(token)), 0, "and what was is funded");
        vm.assertEq(pool.claim(address(token), ada), 14 + 2 + 499_984, "both");
    }

    /// What all have divided is not demanded a second time.
    function test_DividedByAllIsAnsweredToo() public {
        propose(pair(600_000, 300_000));
        address[3] memory all = recipients();
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(all[i]);
            pool.contest(address(token));
            if (i == 1) {
                vm.prank(ada);
                pool.demand(address(token));
            }
        }
        vm.assertEq(pool.accountOf(address(token)).demanded, 100_000, "the rest");
        token.mint(address(pool), 5_000_000);
        vm.warp(block.timestamp + 14 days + 1);
        pool.divideStatically(address(token));
        vm.assertEq(pool.accountOf(address(token)).divided, 1_000_000, "and not what came later");
    }

    function test_QuietPoolsAreNotDemandedOf() public {
        inForce(pair(500_000, 490_001));
        vm.prank(ada);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.NothingToAllot.selector, address(token), 9_999, 10_000)
        );
        pool.demand(address(token));
        token.mint(address(pool), 1);
        vm.prank(ada);
        pool.demand(address(token));
    }

    function test_PullsFromItsSplitter() public {
        Share[] memory shares = new Share[](1);
        shares[0] = Share(address(pool), 1_000_000);
        RevenueSplitter splitter = RevenueSplitter(factory.create(origin(), shares));
        token.mint(address(splitter), 77);
        vm.assertEq(pool.pull(splitter, address(token)), 77, "pulled");
        vm.assertEq(pool.received(address(token)), 1_000_077, "received");
    }

    function test_FactoryAndTerms() public {
        (address by, uint32 delay) = pool.terms();
        vm.assertEq(by, operator, "operator");
        vm.assertEq(delay, 1 days, "delay");
        vm.assertEq(pool.quorum(), 500_001, "quorum");
        vm.assertEq(abi.encode(pool.shares()), abi.encode(threeShares()), "shares");
        Share[] memory shares = threeShares();
        vm.assertEq(pools.create(operator, 1 days, 500_001, shares, "salt"), address(pool), "creating again");
        vm.assertEq(pools.predict(operator, 1 days, 500_001, shares, "salt"), address(pool), "predicted");
        vm.assertTrue(pools.predict(operator, 1 days, 500_001, shares, "pepper") != address(pool), "salt");
        vm.assertTrue(pools.predict(operator, 1 days, 500_002, shares, "salt") != address(pool), "quorum");
        vm.expectRevert(abi.encodeWithSelector(ContributorPoolFactory.OperatorInvalid.selector, address(0)));
        pools.create(address(0), 1 days, 500_001, shares, "salt");
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPoolFactory.DelayInvalid.selector, 3_599, 1 hours, 7 days)
        );
        pools.create(operator, 3_599, 500_001, shares, "salt");
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPoolFactory.DelayInvalid.selector, 7 days + 1, 1 hours, 7 days)
        );
        pools.create(operator, 7 days + 1, 500_001, shares, "salt");
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPoolFactory.QuorumInvalid.selector, 333_333, 333_334, 900_000)
        );
        pools.create(operator, 1 days, 333_333, shares, "salt");
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPoolFactory.QuorumInvalid.selector, 900_001, 333_334, 900_000)
        );
        pools.create(operator, 1 days, 900_001, shares, "salt");
        shares[2].ppm += 1;
        vm.expectRevert(abi.encodeWithSelector(Shares.ShareSumInvalid.selector, 1_000_001, 1_000_000));
        pools.create(operator, 1 days, 500_001, shares, "salt");
        ContributorPool code = ContributorPool(pools.implementation());
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotAClone.selector, address(code)));
        code.terms();
    }

    function testFuzz_EntriesAreFundedAndPaidToTheUnit(uint128 first, uint128 second, uint128 income) public {
        income = uint128(bound(income, 0, type(uint128).max - 1_000_000));
        token.mint(address(pool), income);
        uint256 free = pool.unallotted(address(token));
        first = uint128(bound(first, 1, type(uint128).max));
        second = uint128(bound(second, 1, type(uint128).max));
        Entry[] memory entries = pair(first, second);
        if (uint256(first) + second > free) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    ContributorPool.TotalUnfunded.selector, address(token), uint256(first) + second, free
                )
            );
            propose(entries);
            return;
        }
        inForce(entries);
        vm.assertEq(pool.claim(address(token), ada), first, "first");
        vm.assertEq(pool.claim(address(token), bob), second, "second");
        vm.assertEq(pool.unallotted(address(token)), free - first - second, "the rest");
    }
}
