// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {DevelopmentToken} from "../src/DevelopmentToken.sol";
import {BatchSettlementEscrow} from "../src/x402/BatchSettlementEscrow.sol";
import {ChannelConfig, Voucher, VoucherClaim} from "../src/x402/Channel.sol";
import {ERC3009DepositCollector} from "../src/x402/ERC3009DepositCollector.sol";
import {IDepositCollector} from "../src/x402/IDepositCollector.sol";
import {Fixture} from "./lib/Fixture.sol";
import {Test} from "./lib/Test.sol";

/// @notice Mints the deposit, plus a difference: a payer who may lie.
contract MintingCollector is IDepositCollector {
    int256 private immutable _difference;

    constructor(int256 difference) {
        _difference = difference;
    }

    function collect(address, address token, uint256 amount, bytes32, bytes calldata) external {
        DevelopmentToken(token).mint(msg.sender, uint256(int256(amount) + _difference));
    }
}

/// @notice Calls back into the escrow while it collects.
contract ReenteringCollector is IDepositCollector {
    function collect(address payer, address token, uint256 amount, bytes32, bytes calldata) external {
        DevelopmentToken(token).mint(msg.sender, amount);
        BatchSettlementEscrow(msg.sender).settle(payer, token);
    }
}

/// @notice The escrow at its canonical address, and what its tests share.
abstract contract EscrowFixture is Fixture {
    address internal constant ESCROW = 0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003;
    address internal constant COLLECTOR = 0x4020806089470a89826cB9fB1f4059150b550004;
    BatchSettlementEscrow internal constant escrow = BatchSettlementEscrow(ESCROW);

    /// @dev Persons by index: 0 payer, 1 its authorizer, 2 receiver, 3 its authorizer.
    address internal collector;

    function setUp() public virtual override {
        super.setUp();
        vm.etch(ESCROW, address(newEscrow()).code);
        vm.etch(COLLECTOR, deploy("ERC3009DepositCollector", "").code);
        collector = address(new MintingCollector(0));
    }

    function newEscrow() internal returns (BatchSettlementEscrow) {
        return BatchSettlementEscrow(deploy("BatchSettlementEscrow", ""));
    }

    function config(uint256 salt) internal view returns (ChannelConfig memory) {
        return ChannelConfig(person(0), person(1), person(2), person(3), address(token), 1 hours, bytes32(salt));
    }

    function fund(ChannelConfig memory channel, uint128 amount) internal returns (bytes32 channelId) {
        escrow.deposit(channel, amount, collector, "");
        return escrow.getChannelId(channel);
    }

    function voucherBy(uint256 signer, ChannelConfig memory channel, uint128 ceiling, uint128 total)
        internal
        view
        returns (VoucherClaim memory)
    {
        bytes32 digest = escrow.getVoucherDigest(escrow.getChannelId(channel), ceiling);
        return VoucherClaim(Voucher(channel, ceiling), sign(signer, digest), total);
    }

    function rowsOf(VoucherClaim memory row) internal pure returns (VoucherClaim[] memory rows) {
        rows = new VoucherClaim[](1);
        rows[0] = row;
    }

    function claimAs(uint256 who, VoucherClaim memory row) internal {
        vm.prank(person(who));
        escrow.claim(rowsOf(row));
    }
}

contract EscrowTest is EscrowFixture {
    function refusal(bytes4 selector) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }

    function test_DepositOpensAChannel() public {
        ChannelConfig memory channel = config(1);
        bytes32 channelId = escrow.getChannelId(channel);
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.ChannelCreated(channelId, channel);
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.Deposited(channelId, address(this), 100, 100);
        fund(channel, 100);
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.Deposited(channelId, address(this), 50, 150);
        fund(channel, 50);
        (uint128 balance, uint128 claimed) = escrow.channels(channelId);
        vm.assertEq(balance, 150, "balance");
        vm.assertEq(claimed, 0, "claimed");
    }

    function test_DepositRefusals() public {
        for (uint256 field = 0; field < 4; ++field) {
            ChannelConfig memory unnamed = config(1);
            if (field == 0) unnamed.payer = address(0);
            if (field == 1) unnamed.receiver = address(0);
            if (field == 2) unnamed.receiverAuthorizer = address(0);
            if (field == 3) unnamed.token = address(0);
            vm.expectRevert(refusal(BatchSettlementEscrow.InvalidChannel.selector));
            escrow.deposit(unnamed, 1, collector, "");
        }
        ChannelConfig memory channel = config(1);
        channel.withdrawDelay = 15 minutes - 1;
        vm.expectRevert(refusal(BatchSettlementEscrow.WithdrawDelayOutOfRange.selector));
        escrow.deposit(channel, 1, collector, "");
        channel.withdrawDelay = 30 days + 1;
        vm.expectRevert(refusal(BatchSettlementEscrow.WithdrawDelayOutOfRange.selector));
        escrow.deposit(channel, 1, collector, "");
        vm.expectRevert(refusal(BatchSettlementEscrow.ZeroDeposit.selector));
        escrow.deposit(config(1), 0, collector, "");
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidCollector.selector));
        escrow.deposit(config(1), 1, address(0), "");
        fund(config(1), type(uint128).max);
        vm.expectRevert(refusal(BatchSettlementEscrow.DepositOverflow.selector));
        escrow.deposit(config(1), 1, collector, "");
    }

    function test_DepositsMustArriveExactly() public {
        for (int256 difference = -1; difference < 2; difference += 2) {
            address liar = address(new MintingCollector(difference));
            vm.expectRevert(refusal(BatchSettlementEscrow.DepositCollectionFailed.selector));
            escrow.deposit(config(1), 10, liar, "");
        }
    }

    function test_CollectorsCannotReenter() public {
        address reentering = address(new ReenteringCollector());
        vm.expectRevert(refusal(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
        escrow.deposit(config(1), 10, reentering, "");
    }

    function test_OnlyTheEscrowCollects() public {
        ERC3009DepositCollector canonical = ERC3009DepositCollector(COLLECTOR);
        vm.assertEq(canonical.x402BatchSettlement(), ESCROW, "bound");
        vm.expectRevert(refusal(ERC3009DepositCollector.OnlyX402BatchSettlement.selector));
        canonical.collect(person(0), address(token), 1, 0, "");
    }

    function test_ClaimAndSettle() public {
        ChannelConfig memory channel = config(1);
        bytes32 channelId = fund(channel, 100);
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.Claimed(channelId, person(2), 60, 60);
        claimAs(2, voucherBy(1, channel, 80, 60));
        claimAs(3, voucherBy(1, channel, 80, 80));
        claimAs(3, voucherBy(1, channel, 80, 70));
        (, uint128 claimed) = escrow.channels(channelId);
        vm.assertEq(claimed, 80, "claims never go down");
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.Settled(person(2), address(token), address(this), 80);
        escrow.settle(person(2), address(token));
        escrow.settle(person(2), address(token));
        vm.assertEq(token.balanceOf(person(2)), 80, "paid once");
        (uint128 totalClaimed, uint128 totalSettled) = escrow.receivers(person(2), address(token));
        vm.assertEq(totalClaimed, 80, "total claimed");
        vm.assertEq(totalSettled, 80, "total settled");
    }

    function test_ClaimRefusals() public {
        ChannelConfig memory channel = config(1);
        fund(channel, 100);
        vm.expectRevert(refusal(BatchSettlementEscrow.EmptyBatch.selector));
        escrow.claim(new VoucherClaim[](0));
        VoucherClaim memory row = voucherBy(1, channel, 80, 60);
        vm.expectRevert(refusal(BatchSettlementEscrow.NotAuthorizedToClaim.selector));
        escrow.claim(rowsOf(row));
        row.totalClaimed = 81;
        vm.prank(person(2));
        vm.expectRevert(refusal(BatchSettlementEscrow.ClaimExceedsCeiling.selector));
        escrow.claim(rowsOf(row));
        row = voucherBy(1, channel, 200, 101);
        vm.prank(person(2));
        vm.expectRevert(refusal(BatchSettlementEscrow.ClaimExceedsBalance.selector));
        escrow.claim(rowsOf(row));
        row = voucherBy(0, channel, 80, 60);
        vm.prank(person(2));
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidSignature.selector));
        escrow.claim(rowsOf(row));
        row.signature = hex"00";
        vm.prank(person(2));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 1));
        escrow.claim(rowsOf(row));
    }

    function test_PayersSignWithoutAuthorizer() public {
        ChannelConfig memory channel = config(1);
        channel.payerAuthorizer = address(0);
        fund(channel, 100);
        VoucherClaim memory row = voucherBy(1, channel, 80, 60);
        vm.prank(person(2));
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidSignature.selector));
        escrow.claim(rowsOf(row));
        claimAs(2, voucherBy(0, channel, 80, 60));
    }

    function test_SignedClaims() public {
        VoucherClaim[] memory rows = new VoucherClaim[](2);
        for (uint256 i = 0; i < 2; ++i) {
            fund(config(i), 100);
            rows[i] = voucherBy(1, config(i), 80, 60);
        }
        bytes memory signature = sign(3, escrow.getClaimBatchDigest(rows));
        escrow.claimWithSignature(rows, signature);
        escrow.settle(person(2), address(token));
        vm.assertEq(token.balanceOf(person(2)), 120, "both channels");
    }

    function test_SignedClaimRefusals() public {
        vm.expectRevert(refusal(BatchSettlementEscrow.EmptyBatch.selector));
        escrow.claimWithSignature(new VoucherClaim[](0), "");
        VoucherClaim[] memory rows = new VoucherClaim[](2);
        ChannelConfig memory other = config(2);
        other.receiverAuthorizer = person(4);
        fund(config(1), 100);
        fund(other, 100);
        rows[0] = voucherBy(1, config(1), 80, 60);
        rows[1] = voucherBy(1, other, 80, 60);
        bytes memory signature = sign(3, escrow.getClaimBatchDigest(rows));
        vm.expectRevert(refusal(BatchSettlementEscrow.NotReceiverAuthorizer.selector));
        escrow.claimWithSignature(rows, signature);
        rows[0].totalClaimed = 61;
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidSignature.selector));
        escrow.claimWithSignature(rows, signature);
    }

    function test_Withdrawal() public {
        ChannelConfig memory channel = config(1);
        bytes32 channelId = fund(channel, 100);
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.WithdrawInitiated(channelId, 90, uint40(block.timestamp + 1 hours));
        vm.prank(person(1));
        escrow.initiateWithdraw(channel, 90);
        (uint128 amount, uint40 initiatedAt) = escrow.pendingWithdrawals(channelId);
        vm.assertEq(amount, 90, "amount");
        vm.assertEq(initiatedAt, block.timestamp, "time");
        claimAs(2, voucherBy(1, channel, 80, 60));
        vm.warp(block.timestamp + 1 hours);
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.WithdrawFinalized(channelId, person(0), 40);
        vm.prank(person(0));
        escrow.finalizeWithdraw(channel);
        vm.assertEq(token.balanceOf(person(0)), 40, "only what was unclaimed");
    }

    function test_EmptyChannelsClose() public {
        ChannelConfig memory channel = config(1);
        bytes32 channelId = fund(channel, 100);
        vm.prank(person(0));
        escrow.initiateWithdraw(channel, 100);
        vm.warp(block.timestamp + 1 hours);
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.ChannelClosed(channelId, channel);
        vm.prank(person(0));
        escrow.finalizeWithdraw(channel);
    }

    function test_WithdrawalRefusals() public {
        ChannelConfig memory channel = config(1);
        fund(channel, 100);
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidChannel.selector));
        escrow.initiateWithdraw(channel, 1);
        vm.expectRevert(refusal(BatchSettlementEscrow.NotAuthorizedToFinalizeWithdraw.selector));
        escrow.finalizeWithdraw(channel);
        vm.startPrank(person(0));
        vm.expectRevert(refusal(BatchSettlementEscrow.NothingToWithdraw.selector));
        escrow.initiateWithdraw(channel, 0);
        vm.expectRevert(refusal(BatchSettlementEscrow.WithdrawAmountExceedsAvailable.selector));
        escrow.initiateWithdraw(channel, 101);
        vm.expectRevert(refusal(BatchSettlementEscrow.WithdrawalNotPending.selector));
        escrow.finalizeWithdraw(channel);
        escrow.initiateWithdraw(channel, 50);
        vm.expectRevert(refusal(BatchSettlementEscrow.WithdrawalAlreadyPending.selector));
        escrow.initiateWithdraw(channel, 50);
        vm.warp(block.timestamp + 1 hours - 1);
        vm.expectRevert(refusal(BatchSettlementEscrow.WithdrawDelayNotElapsed.selector));
        escrow.finalizeWithdraw(channel);
    }

    function test_RefundsLowerWithdrawals() public {
        ChannelConfig memory channel = config(1);
        bytes32 channelId = fund(channel, 100);
        vm.prank(person(0));
        escrow.initiateWithdraw(channel, 50);
        vm.expectEmit(ESCROW);
        emit BatchSettlementEscrow.Refunded(channelId, person(3), 20);
        vm.prank(person(3));
        escrow.refund(channel, 20);
        (uint128 amount,) = escrow.pendingWithdrawals(channelId);
        vm.assertEq(amount, 30, "lowered");
        vm.prank(person(2));
        escrow.refund(channel, 1_000);
        (amount,) = escrow.pendingWithdrawals(channelId);
        vm.assertEq(amount, 0, "gone");
        vm.assertEq(token.balanceOf(person(0)), 100, "all refunded");
        vm.assertEq(escrow.refundNonce(channelId), 2, "nonce");
        vm.prank(person(2));
        escrow.refund(channel, 1);
        vm.assertEq(escrow.refundNonce(channelId), 3, "counts also when nothing is left");
    }

    function test_RefundsOfTheWholeWithdrawalEndIt() public {
        ChannelConfig memory channel = config(1);
        bytes32 channelId = fund(channel, 100);
        vm.prank(person(0));
        escrow.initiateWithdraw(channel, 50);
        vm.prank(person(3));
        escrow.refund(channel, 50);
        (, uint40 initiatedAt) = escrow.pendingWithdrawals(channelId);
        vm.assertEq(initiatedAt, 0, "ended");
        vm.prank(person(0));
        escrow.initiateWithdraw(channel, 50);
    }

    function test_SignedRefunds() public {
        ChannelConfig memory channel = config(1);
        bytes32 channelId = fund(channel, 100);
        bytes memory signature = sign(3, escrow.getRefundDigest(channelId, 0, 40));
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidSignature.selector));
        escrow.refundWithSignature(channel, 41, 0, signature);
        escrow.refundWithSignature(channel, 40, 0, signature);
        vm.assertEq(token.balanceOf(person(0)), 40, "refunded");
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidRefundNonce.selector));
        escrow.refundWithSignature(channel, 40, 0, signature);
    }

    function test_RefundRefusals() public {
        ChannelConfig memory channel = config(1);
        fund(channel, 100);
        vm.expectRevert(refusal(BatchSettlementEscrow.NotAuthorizedToRefund.selector));
        escrow.refund(channel, 1);
        vm.prank(person(2));
        vm.expectRevert(refusal(BatchSettlementEscrow.ZeroRefund.selector));
        escrow.refund(channel, 0);
    }

    function test_MulticallClaimsAndRefunds() public {
        ChannelConfig memory channel = config(1);
        bytes32 channelId = fund(channel, 100);
        VoucherClaim[] memory rows = rowsOf(voucherBy(1, channel, 80, 60));
        bytes[] memory calls = new bytes[](2);
        calls[0] =
            abi.encodeCall(escrow.claimWithSignature, (rows, sign(3, escrow.getClaimBatchDigest(rows))));
        calls[1] = abi.encodeCall(
            escrow.refundWithSignature, (channel, 100, 0, sign(3, escrow.getRefundDigest(channelId, 0, 100)))
        );
        escrow.multicall(calls);
        vm.assertEq(token.balanceOf(person(0)), 40, "the rest went back");
    }

    function test_DomainFollowsTheAddressAndChain() public {
        (, string memory name, string memory version, uint256 chainId, address verifier,,) = escrow.eip712Domain();
        vm.assertEq(name, "x402 Batch Settlement", "name");
        vm.assertEq(version, "1", "version");
        vm.assertEq(chainId, block.chainid, "chain");
        vm.assertEq(verifier, ESCROW, "contract");
        bytes32 channelId = escrow.getChannelId(config(1));
        vm.assertTrue(channelId != newEscrow().getChannelId(config(1)), "contract");
        vm.chainId(31338);
        vm.assertTrue(channelId != escrow.getChannelId(config(1)), "chain");
    }

    function test_SignatureBoundToChainAndContract() public {
        ChannelConfig memory channel = config(1);
        fund(channel, 100);
        VoucherClaim memory row = voucherBy(1, channel, 80, 60);
        BatchSettlementEscrow other = newEscrow();
        other.deposit(channel, 100, collector, "");
        vm.prank(person(2));
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidSignature.selector));
        other.claim(rowsOf(row));
        vm.chainId(31338);
        fund(channel, 100);
        vm.prank(person(2));
        vm.expectRevert(refusal(BatchSettlementEscrow.InvalidSignature.selector));
        escrow.claim(rowsOf(row));
    }
}

/// @notice Drives four channels of two receivers through every move, in any order.
contract EscrowHandler is EscrowFixture {
    uint256 public deposited;
    uint256 public paidBack;
    mapping(uint256 channel => uint128 total) public claimedOf;

    constructor(DevelopmentToken token_, address collector_) {
        token = token_;
        collector = collector_;
    }

    function channelAt(uint256 index) public view returns (ChannelConfig memory channel) {
        channel = config(index % 4);
        if (index % 2 == 1) channel.receiver = person(5);
    }

    function stateOf(uint256 index) public view returns (uint128 balance, uint128 claimed) {
        return escrow.channels(escrow.getChannelId(channelAt(index)));
    }

    function deposit(uint256 index, uint128 amount) external {
        amount = uint128(bound(amount, 1, 1e12));
        fund(channelAt(index), amount);
        deposited += amount;
    }

    function claim(uint256 index, uint256 ceiling, uint256 total) external {
        (uint128 balance,) = stateOf(index);
        if (balance == 0) return;
        uint128 claimed = uint128(bound(total, 0, balance));
        uint128 signed = uint128(bound(ceiling, claimed, uint256(claimed) + 1e12));
        claimAs(3, voucherBy(1, channelAt(index), signed, claimed));
        if (claimed > claimedOf[index % 4]) claimedOf[index % 4] = claimed;
    }

    function settle(uint256 index) external {
        escrow.settle(channelAt(index).receiver, address(token));
    }

    function initiate(uint256 index, uint256 amount) external {
        ChannelConfig memory channel = channelAt(index);
        (uint128 balance, uint128 claimed) = stateOf(index);
        (, uint40 initiatedAt) = escrow.pendingWithdrawals(escrow.getChannelId(channel));
        if (initiatedAt != 0 || balance == claimed) return;
        vm.prank(channel.payer);
        escrow.initiateWithdraw(channel, uint128(bound(amount, 1, balance - claimed)));
    }

    function finalize(uint256 index) external {
        ChannelConfig memory channel = channelAt(index);
        (, uint40 initiatedAt) = escrow.pendingWithdrawals(escrow.getChannelId(channel));
        if (initiatedAt == 0) return;
        if (block.timestamp < initiatedAt + channel.withdrawDelay) vm.warp(initiatedAt + channel.withdrawDelay);
        uint256 before = token.balanceOf(channel.payer);
        vm.prank(channel.payer);
        escrow.finalizeWithdraw(channel);
        paidBack += token.balanceOf(channel.payer) - before;
    }

    function refund(uint256 index, uint128 amount) external {
        ChannelConfig memory channel = channelAt(index);
        uint256 before = token.balanceOf(channel.payer);
        vm.prank(channel.receiver);
        escrow.refund(channel, uint128(bound(amount, 1, 1e12)));
        paidBack += token.balanceOf(channel.payer) - before;
    }
}

contract EscrowInvariants is EscrowFixture {
    EscrowHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new EscrowHandler(token, collector);
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = EscrowHandler.deposit.selector;
        selectors[1] = EscrowHandler.claim.selector;
        selectors[2] = EscrowHandler.settle.selector;
        selectors[3] = EscrowHandler.initiate.selector;
        selectors[4] = EscrowHandler.finalize.selector;
        selectors[5] = EscrowHandler.refund.selector;
        target(address(handler), selectors);
    }

    function invariant_DepositsArePaidOrHeld() public view {
        uint256 settled = token.balanceOf(person(2)) + token.balanceOf(person(5));
        uint256 held = token.balanceOf(ESCROW);
        vm.assertEq(handler.deposited(), settled + handler.paidBack() + held, "in = out + held");
    }

    function invariant_EscrowCoversEveryone() public view {
        uint256 unclaimed = 0;
        uint256 claims = 0;
        for (uint256 i = 0; i < 4; ++i) {
            (uint128 balance, uint128 claimed) = handler.stateOf(i);
            vm.assertLe(claimed, balance, "claimed never above the balance");
            vm.assertEq(claimed, handler.claimedOf(i), "claims only grow, by vouchers alone");
            unclaimed += balance - claimed;
            claims += claimed;
        }
        (uint128 first, uint128 firstSettled) = escrow.receivers(person(2), address(token));
        (uint128 second, uint128 secondSettled) = escrow.receivers(person(5), address(token));
        vm.assertEq(uint256(first) + second, claims, "receivers own what channels claimed");
        uint256 owed = uint256(first) + second - firstSettled - secondSettled;
        vm.assertEq(token.balanceOf(ESCROW), unclaimed + owed, "every unit has one owner");
    }
}
