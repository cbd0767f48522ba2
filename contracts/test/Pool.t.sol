// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Account, ContributorPool} from "../src/ContributorPool.sol";
import {ContributorPoolFactory} from "../src/ContributorPoolFactory.sol";
import {DevelopmentToken} from "../src/DevelopmentToken.sol";
import {RevenueSplitter} from "../src/RevenueSplitter.sol";
import {Share, Shares} from "../src/Shares.sol";
import {Fixture} from "./lib/Fixture.sol";
import {Test} from "./lib/Test.sol";

contract PoolTest is Fixture {
    ContributorPool private pool;
    address private operator = person(9);
    address private contributor;

    function setUp() public override {
        super.setUp();
        pool = aPool();
        contributor = recipients()[0];
        token.mint(address(pool), 1_000);
    }

    function propose(bytes32 root, uint256 total) private {
        vm.prank(operator);
        pool.propose(address(token), root, total);
    }

    /// @dev A tree of two leaves: 400 for the contributor, the rest for somebody without a static share.
    function tree(uint256 first, uint256 second)
        private
        view
        returns (bytes32 root, bytes32[] memory toFirst, bytes32[] memory toSecond)
    {
        bytes32 a = pool.leafHash(address(token), contributor, first);
        bytes32 b = pool.leafHash(address(token), person(7), second);
        toFirst = new bytes32[](1);
        toSecond = new bytes32[](1);
        (toFirst[0], toSecond[0]) = (b, a);
        root = hashPair(a, b);
    }

    function test_ClaimsAreCumulative() public {
        (bytes32 root, bytes32[] memory proof,) = tree(400, 100);
        vm.expectEmit(address(pool));
        emit ContributorPool.RootProposed(address(token), root, 500, block.timestamp + 1 days);
        propose(root, 500);
        vm.warp(block.timestamp + 1 days);
        vm.expectEmit(address(pool));
        emit ContributorPool.RootActivated(address(token), root, 500);
        vm.expectEmit(address(pool));
        emit ContributorPool.Claimed(address(token), contributor, 400, 400);
        pool.claim(address(token), contributor, 400, proof);
        vm.assertEq(token.balanceOf(contributor), 400, "first");

        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.NothingToClaim.selector, address(token), contributor)
        );
        pool.claim(address(token), contributor, 400, proof);

        (root, proof,) = tree(700, 300);
        propose(root, 1_000);
        vm.warp(block.timestamp + 1 days);
        pool.claim(address(token), contributor, 700, proof);
        vm.assertEq(token.balanceOf(contributor), 700, "the difference");
        (uint256 claimed, uint256 released) = pool.paidTo(address(token), contributor);
        vm.assertEq(claimed, 700, "claimed");
        vm.assertEq(released, 0, "released");
        vm.assertEq(pool.received(address(token)), 1_000, "received counts what was paid out");
    }

    function test_ProposalsWaitForTheirTime() public {
        (bytes32 root, bytes32[] memory proof,) = tree(400, 100);
        propose(root, 500);
        vm.expectRevert(
            abi.encodeWithSelector(
                ContributorPool.ProofInvalid.selector, address(token), contributor, 400, bytes32(0)
            )
        );
        pool.claim(address(token), contributor, 400, proof);
        vm.prank(operator);
        vm.expectRevert(
            abi.encodeWithSelector(
                ContributorPool.ProposalPending.selector, address(token), root, block.timestamp + 1 days
            )
        );
        pool.propose(address(token), "next", 600);
        Account memory account = pool.accountOf(address(token));
        vm.assertEq(account.pendingRoot, root, "pending");
        vm.warp(block.timestamp + 1 days);
        account = pool.accountOf(address(token));
        vm.assertEq(account.root, root, "in force without a transaction");
        vm.assertEq(account.total, 500, "total");
        vm.assertEq(account.pendingRoot, 0, "nothing pending");
    }

    function test_ProposalRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotOperator.selector, address(this), operator));
        pool.propose(address(token), "root", 1);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotOperator.selector, address(this), operator));
        pool.withdrawProposal(address(token));
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.RootMissing.selector, address(token)));
        pool.propose(address(token), 0, 1);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.TotalUnfunded.selector, address(token), 1_001, 1_000)
        );
        pool.propose(address(token), "root", 1_001);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.ProposalMissing.selector, address(token)));
        pool.withdrawProposal(address(token));
        pool.propose(address(token), "root", 900);
        vm.warp(block.timestamp + 1 days);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.TotalDecreased.selector, address(token), 899, 900)
        );
        pool.propose(address(token), "next", 899);
    }

    function test_TheOperatorMayTakeAProposalBack() public {
        propose("root", 500);
        vm.expectEmit(address(pool));
        emit ContributorPool.RootWithdrawn(address(token), "root");
        vm.prank(operator);
        pool.withdrawProposal(address(token));
        propose("other", 400);
        vm.assertEq(pool.accountOf(address(token)).pendingRoot, "other", "replaced");
    }

    function test_LyingTreesCannotOverdraw() public {
        (bytes32 root, bytes32[] memory first, bytes32[] memory second) = tree(400, 300);
        propose(root, 500);
        vm.warp(block.timestamp + 1 days);
        pool.claim(address(token), contributor, 400, first);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.ClaimExceedsTotal.selector, address(token), 700, 500)
        );
        pool.claim(address(token), person(7), 300, second);
    }

    function testFuzz_ForgedClaims(uint256 amount, address account) public {
        (bytes32 root, bytes32[] memory proof,) = tree(400, 100);
        propose(root, 500);
        vm.warp(block.timestamp + 1 days);
        vm.assume(amount != 400 || account != contributor);
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.ProofInvalid.selector, address(token), account, amount, root)
        );
        pool.claim(address(token), account, amount, proof);
    }

    function test_ContestForcesTheStaticShares() public {
        (bytes32 root, bytes32[] memory proof,) = tree(100, 100);
        propose(root, 200);
        vm.warp(block.timestamp + 1 days);
        propose("greedy", 1_000);
        vm.expectEmit(address(pool));
        emit ContributorPool.Contested(address(token), contributor, "greedy", 200);
        vm.prank(contributor);
        pool.contest(address(token));

        vm.expectEmit(address(pool));
        emit ContributorPool.StaticReleased(address(token), contributor, 400);
        pool.releaseStatic(address(token), contributor);
        vm.assertEq(token.balanceOf(contributor), 400, "half of what no tree covers");
        pool.claim(address(token), contributor, 100, proof);
        vm.assertEq(token.balanceOf(contributor), 500, "the earlier tree stays in force");
        token.mint(address(pool), 1_000);
        vm.assertEq(pool.pendingStatic(address(token), contributor), 500, "later income too");

        vm.expectRevert(abi.encodeWithSelector(ContributorPool.StaticSharesInForce.selector, address(token)));
        propose("again", 1_000);
    }

    function test_ContestRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotContributor.selector, address(this)));
        pool.contest(address(token));
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.StaticSharesNotInForce.selector, address(token)));
        pool.releaseStatic(address(token), contributor);
        vm.startPrank(contributor);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToContest.selector, address(token)));
        pool.contest(address(token));
        vm.stopPrank();
        propose("root", 500);
        vm.warp(block.timestamp + 1 days);
        vm.startPrank(contributor);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToContest.selector, address(token)));
        pool.contest(address(token));
        vm.stopPrank();
        propose("next", 600);
        vm.startPrank(contributor);
        pool.contest(address(token));
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.StaticSharesInForce.selector, address(token)));
        pool.contest(address(token));
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.NothingToClaim.selector, address(token), person(7))
        );
        pool.releaseStatic(address(token), person(7));
    }

    function test_SilentOperatorsCannotLockTheMoney() public {
        uint256 answerBy = block.timestamp + 30 days;
        vm.startPrank(contributor);
        vm.expectEmit(address(pool));
        emit ContributorPool.ProposalDemanded(address(token), contributor, answerBy);
        pool.demand(address(token));
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPool.DemandPending.selector, address(token), answerBy)
        );
        pool.demand(address(token));
        vm.warp(answerBy);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToContest.selector, address(token)));
        pool.contest(address(token));
        vm.warp(answerBy + 1);
        pool.contest(address(token));
        pool.releaseStatic(address(token), contributor);
        vm.assertEq(token.balanceOf(contributor), 500, "half of everything");
    }

    function test_AnsweredDemandsEnd() public {
        vm.prank(contributor);
        pool.demand(address(token));
        propose("root", 500);
        vm.prank(contributor);
        vm.expectRevert(
            abi.encodeWithSelector(
                ContributorPool.ProposalPending.selector, address(token), bytes32("root"), block.timestamp + 1 days
            )
        );
        pool.demand(address(token));
        vm.warp(block.timestamp + 60 days);
        vm.prank(contributor);
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NothingToContest.selector, address(token)));
        pool.contest(address(token));
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotContributor.selector, address(this)));
        pool.demand(address(token));
    }

    function test_PullsFromItsSplitter() public {
        Share[] memory shares = new Share[](1);
        shares[0] = Share(address(pool), 1_000_000);
        RevenueSplitter splitter = RevenueSplitter(factory.create(origin(), shares));
        token.mint(address(splitter), 77);
        vm.assertEq(pool.pull(splitter, address(token)), 77, "pulled");
        vm.assertEq(pool.received(address(token)), 1_077, "received");
    }

    function test_FactoryAndTerms() public {
        (address by, uint32 delay) = pool.terms();
        vm.assertEq(by, operator, "operator");
        vm.assertEq(delay, 1 days, "delay");
        vm.assertEq(abi.encode(pool.shares()), abi.encode(threeShares()), "shares");
        vm.assertEq(pools.create(operator, 1 days, threeShares(), "salt"), address(pool), "creating again");
        vm.assertEq(pools.predict(operator, 1 days, threeShares(), "salt"), address(pool), "predicted");
        vm.assertTrue(pools.predict(operator, 1 days, threeShares(), "pepper") != address(pool), "salt");
        vm.expectRevert(abi.encodeWithSelector(ContributorPoolFactory.OperatorInvalid.selector, address(0)));
        pools.create(address(0), 1 days, threeShares(), "salt");
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPoolFactory.DelayInvalid.selector, 3_599, 1 hours, 30 days)
        );
        pools.create(operator, 3_599, threeShares(), "salt");
        vm.expectRevert(
            abi.encodeWithSelector(ContributorPoolFactory.DelayInvalid.selector, 30 days + 1, 1 hours, 30 days)
        );
        pools.create(operator, 30 days + 1, threeShares(), "salt");
        Share[] memory shares = threeShares();
        shares[2].ppm += 1;
        vm.expectRevert(abi.encodeWithSelector(Shares.ShareSumInvalid.selector, 1_000_001, 1_000_000));
        pools.create(operator, 1 days, shares, "salt");
        ContributorPool code = ContributorPool(pools.implementation());
        vm.expectRevert(abi.encodeWithSelector(ContributorPool.NotAClone.selector, address(code)));
        code.terms();
    }
}

/// @notice Drives a pool through all of its moves; trees may allot more than they state.
contract PoolHandler is Test {
    ContributorPool private immutable _pool;
    DevelopmentToken private immutable _token;
    address private immutable _operator;
    Share[] private _shares;
    uint256[3] private _pending;
    uint256[3] private _active;
    uint256 public income;
    uint256 public allotted;
    uint256 public paidByTrees;
    uint256 public paidByShares;

    constructor(ContributorPool pool, DevelopmentToken token, Share[] memory shares) {
        _pool = pool;
        _token = token;
        (_operator,) = pool.terms();
        for (uint256 i = 0; i < shares.length; ++i) {
            _shares.push(shares[i]);
        }
    }

    function pay(uint256 amount) external {
        amount = bound(amount, 0, 1e12);
        _token.mint(address(_pool), amount);
        income += amount;
    }

    /// @dev Leaves grow by parts of what is unallotted; now and then they add up to more than the total.
    function propose(uint256 seed) external {
        Account memory account = _pool.accountOf(address(_token));
        if (account.contested || account.pendingRoot != 0) return;
        _sync(account);
        uint256 free = _pool.received(address(_token)) - account.total;
        for (uint256 i = 0; i < 3; ++i) {
            _pending[i] = _active[i] + uint256(keccak256(abi.encode(seed, i))) % (free / 2 + 2);
        }
        uint256 total = account.total + seed % (free + 1);
        bytes32 root = _root(_pending);
        vm.prank(_operator);
        _pool.propose(address(_token), root, total);
    }

    function contest(uint256 who) external {
        // Rarely, so that campaigns see both states for long.
        if (who % 7 != 0) return;
        Account memory account = _pool.accountOf(address(_token));
        if (account.contested || account.pendingRoot == 0) return;
        _sync(account);
        vm.prank(_shares[who % 3].recipient);
        _pool.contest(address(_token));
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 2 days));
        _sync(_pool.accountOf(address(_token)));
    }

    function claim(uint256 who) external {
        who = who % 3;
        Account memory account = _pool.accountOf(address(_token));
        _sync(account);
        (uint256 before,) = _pool.paidTo(address(_token), _shares[who].recipient);
        if (account.root == 0 || _active[who] <= before) return;
        if (account.claimed + _active[who] - before > account.total) return;
        bytes32[] memory proof = _proof(_active, who);
        paidByTrees += _pool.claim(address(_token), _shares[who].recipient, _active[who], proof);
    }

    function releaseStatic(uint256 who) external {
        if (!_pool.accountOf(address(_token)).contested) return;
        address contributor = _shares[who % 3].recipient;
        if (_pool.pendingStatic(address(_token), contributor) == 0) return;
        paidByShares += _pool.releaseStatic(address(_token), contributor);
    }

    function _sync(Account memory account) private {
        if (account.root != 0 && account.root == _root(_pending)) _active = _pending;
        allotted = account.total;
    }

    function _leaf(uint256[3] storage sums, uint256 who) private view returns (bytes32) {
        return _pool.leafHash(address(_token), _shares[who].recipient, sums[who]);
    }

    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _root(uint256[3] storage sums) private view returns (bytes32) {
        return _pair(_pair(_leaf(sums, 0), _leaf(sums, 1)), _leaf(sums, 2));
    }

    function _proof(uint256[3] storage sums, uint256 who) private view returns (bytes32[] memory proof) {
        if (who == 2) {
            proof = new bytes32[](1);
            proof[0] = _pair(_leaf(sums, 0), _leaf(sums, 1));
        } else {
            proof = new bytes32[](2);
            proof[0] = _leaf(sums, 1 - who);
            proof[1] = _leaf(sums, 2);
        }
    }
}

contract PoolInvariants is Fixture {
    ContributorPool private pool;
    PoolHandler private handler;

    function setUp() public override {
        super.setUp();
        pool = aPool();
        handler = new PoolHandler(pool, token, threeShares());
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = PoolHandler.pay.selector;
        selectors[1] = PoolHandler.propose.selector;
        selectors[2] = PoolHandler.contest.selector;
        selectors[3] = PoolHandler.wait.selector;
        selectors[4] = PoolHandler.claim.selector;
        selectors[5] = PoolHandler.releaseStatic.selector;
        target(address(handler), selectors);
    }

    function invariant_IncomeIsPaidOrHeld() public view {
        uint256 paid = handler.paidByTrees() + handler.paidByShares();
        vm.assertEq(handler.income(), paid + token.balanceOf(address(pool)), "in = paid + held");
        vm.assertEq(pool.received(address(token)), handler.income(), "books");
    }

    function invariant_NeverMoreThanFunded() public view {
        Account memory account = pool.accountOf(address(token));
        vm.assertEq(account.claimed, handler.paidByTrees(), "claimed");
        vm.assertEq(account.released, handler.paidByShares(), "released");
        vm.assertLe(account.claimed, account.total, "claims stay within the allotment");
        vm.assertLe(account.total, handler.income(), "allotments stay within the income");
        vm.assertLe(account.released, handler.income() - account.total, "static shares stay off the allotment");
        vm.assertLe(
            account.total - account.claimed, token.balanceOf(address(pool)), "open allotments are covered"
        );
    }

    function invariant_StaticSharesAreExact() public view {
        Account memory account = pool.accountOf(address(token));
        if (!account.contested) return;
        Share[] memory shares = threeShares();
        uint256 owed = account.total - account.claimed;
        for (uint256 i = 0; i < shares.length; ++i) {
            uint256 pending = pool.pendingStatic(address(token), shares[i].recipient);
            (, uint256 released) = pool.paidTo(address(token), shares[i].recipient);
            uint256 due = (handler.income() - account.total) * shares[i].ppm / 1_000_000;
            vm.assertEq(pending + released, due, "exactly the share");
            owed += pending;
        }
        vm.assertLe(owed, token.balanceOf(address(pool)), "everything owed is covered");
    }
}
