// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ChannelConfig, ChannelHash, VoucherClaim} from "./Channel.sol";
import {IDepositCollector} from "./IDepositCollector.sol";

/// @title BatchSettlementEscrow
/// @notice Escrow of the x402 `batch-settlement` scheme for development chains. It has the functions,
/// structs, events, errors and signing domain of the contract that x402 has at
/// 0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003, so that stock clients and servers work with it there.
/// @dev Its runtime code can be set at that address: nothing is constructed, and the domain is built
/// from the chain and the address of every call. Per channel it holds balance - totalClaimed for the
/// payer; per receiver and token totalClaimed - totalSettled for the receiver. Errors carry no
/// values because the clients know them by these selectors.
contract BatchSettlementEscrow is IERC5267, Multicall, ReentrancyGuardTransient {
    using MessageHashUtils for bytes32;
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @dev What a channel holds and how much of it the receiver has claimed.
    struct ChannelState {
        uint128 balance;
        uint128 totalClaimed;
    }

    /// @dev A withdrawal by the payer that waits for its delay.
    struct WithdrawalState {
        uint128 amount;
        uint40 initiatedAt;
    }

    /// @dev What a receiver has claimed and what was sent to it.
    struct ReceiverState {
        uint128 totalClaimed;
        uint128 totalSettled;
    }

    /// @notice The shortest delay of withdrawals.
    uint40 public constant MIN_WITHDRAW_DELAY = 15 minutes;

    /// @notice The longest delay of withdrawals.
    uint40 public constant MAX_WITHDRAW_DELAY = 30 days;

    /// @notice EIP-712 type of a channel's terms.
    bytes32 public constant CHANNEL_CONFIG_TYPEHASH = ChannelHash.CONFIG_TYPEHASH;

    /// @notice EIP-712 type of a voucher.
    bytes32 public constant VOUCHER_TYPEHASH = ChannelHash.VOUCHER_TYPEHASH;

    /// @notice EIP-712 type of a refund.
    bytes32 public constant REFUND_TYPEHASH = ChannelHash.REFUND_TYPEHASH;

    /// @notice EIP-712 type of one row of a claim.
    bytes32 public constant CLAIM_ENTRY_TYPEHASH = ChannelHash.ENTRY_TYPEHASH;

    /// @notice EIP-712 type of a whole claim.
    bytes32 public constant CLAIM_BATCH_TYPEHASH = ChannelHash.BATCH_TYPEHASH;

    mapping(bytes32 channelId => ChannelState) private _channels;
    mapping(bytes32 channelId => WithdrawalState) private _withdrawals;
    mapping(bytes32 channelId => uint256 nonce) private _refundNonces;
    mapping(address receiver => mapping(address token => ReceiverState)) private _receivers;

    /// @notice A channel got its first money.
    event ChannelCreated(bytes32 indexed channelId, ChannelConfig config);

    /// @notice A channel from which nothing was claimed is empty again.
    event ChannelClosed(bytes32 indexed channelId, ChannelConfig config);

    /// @notice A deposit arrived.
    event Deposited(bytes32 indexed channelId, address indexed sender, uint128 amount, uint128 newBalance);

    /// @notice The receiver's side claimed more of a channel.
    event Claimed(bytes32 indexed channelId, address indexed sender, uint128 claimAmount, uint128 newTotalClaimed);

    /// @notice Claimed money was sent to its receiver.
    event Settled(address indexed receiver, address indexed token, address indexed sender, uint128 amount);

    /// @notice The receiver's side gave unclaimed money back.
    event Refunded(bytes32 indexed channelId, address indexed sender, uint128 amount);

    /// @notice The payer's side started a withdrawal.
    event WithdrawInitiated(bytes32 indexed channelId, uint128 amount, uint40 finalizeAfter);

    /// @notice The payer's side ended a withdrawal.
    event WithdrawFinalized(bytes32 indexed channelId, address indexed sender, uint128 amount);

    /// @notice Terms with a zero address, or a caller who is not the channel's payer.
    error InvalidChannel();
    /// @notice A deposit of nothing.
    error ZeroDeposit();
    /// @notice A deposit that the balance cannot hold.
    error DepositOverflow();
    /// @notice A signature by another key, or over something else.
    error InvalidSignature();
    /// @notice Rows of a signed claim with different authorizers.
    error NotReceiverAuthorizer();
    /// @notice The caller is not of the receiver's side.
    error NotAuthorizedToClaim();
    /// @notice The caller is not of the receiver's side.
    error NotAuthorizedToRefund();
    /// @notice A claim above the voucher.
    error ClaimExceedsCeiling();
    /// @notice A claim above the balance.
    error ClaimExceedsBalance();
    /// @notice A withdrawal waits already.
    error WithdrawalAlreadyPending();
    /// @notice No withdrawal waits.
    error WithdrawalNotPending();
    /// @notice The caller is not of the payer's side.
    error NotAuthorizedToFinalizeWithdraw();
    /// @notice The withdrawal's delay is not over.
    error WithdrawDelayNotElapsed();
    /// @notice A withdrawal of nothing.
    error NothingToWithdraw();
    /// @notice A withdrawal of more than is unclaimed.
    error WithdrawAmountExceedsAvailable();
    /// @notice A delay outside the limits.
    error WithdrawDelayOutOfRange();
    /// @notice A claim without rows.
    error EmptyBatch();
    /// @notice Another amount than the deposit arrived.
    error DepositCollectionFailed();
    /// @notice The zero address cannot collect.
    error InvalidCollector();
    /// @notice A refund signed for another nonce.
    error InvalidRefundNonce();
    /// @notice A refund of nothing.
    error ZeroRefund();

    /// @notice Puts money into a channel.
    /// @param config The channel.
    /// @param amount Base units.
    /// @param collector Fetches the money from the payer.
    /// @param collectorData What the collector needs to be allowed to.
    function deposit(ChannelConfig calldata config, uint128 amount, address collector, bytes calldata collectorData)
        external
        nonReentrant
    {
        _checkConfig(config);
        if (amount == 0) revert ZeroDeposit();
        if (collector == address(0)) revert InvalidCollector();
        bytes32 channelId = getChannelId(config);
        ChannelState storage channel = _channels[channelId];
        if (amount > type(uint128).max - channel.balance) revert DepositOverflow();
        uint128 balance = channel.balance + amount;
        channel.balance = balance;
        if (balance == amount && channel.totalClaimed == 0) emit ChannelCreated(channelId, config);
        emit Deposited(channelId, msg.sender, amount, balance);
        _collect(config, amount, channelId, collector, collectorData);
    }

    /// @notice Claims by vouchers; the caller is the receiver or its authorizer in every row.
    /// @param voucherClaims The rows. One that claims no more than the channel's total changes nothing.
    function claim(VoucherClaim[] calldata voucherClaims) external nonReentrant {
        if (voucherClaims.length == 0) revert EmptyBatch();
        bytes32 domain = _domain();
        for (uint256 i = 0; i < voucherClaims.length; ++i) {
            ChannelConfig calldata config = voucherClaims[i].voucher.channel;
            if (!_isReceiverSide(config)) revert NotAuthorizedToClaim();
            _claimRow(domain, config, voucherClaims[i]);
        }
    }

    /// @notice Claims by vouchers with the authorizer's signature; anyone may submit it.
    /// @param voucherClaims The rows, all with one authorizer.
    /// @param authorizerSignature Over `getClaimBatchDigest`.
    function claimWithSignature(VoucherClaim[] calldata voucherClaims, bytes calldata authorizerSignature)
        external
        nonReentrant
    {
        if (voucherClaims.length == 0) revert EmptyBatch();
        address authorizer = voucherClaims[0].voucher.channel.receiverAuthorizer;
        _checkSignature(authorizer, getClaimBatchDigest(voucherClaims), authorizerSignature);
        bytes32 domain = _domain();
        for (uint256 i = 0; i < voucherClaims.length; ++i) {
            ChannelConfig calldata config = voucherClaims[i].voucher.channel;
            if (config.receiverAuthorizer != authorizer) revert NotReceiverAuthorizer();
            _claimRow(domain, config, voucherClaims[i]);
        }
    }

    /// @notice Sends a receiver what was claimed for it; anyone may call.
    /// @param receiver Who is paid.
    /// @param token The ERC-20 token.
    function settle(address receiver, address token) external nonReentrant {
        ReceiverState storage state = _receivers[receiver][token];
        uint128 amount = state.totalClaimed - state.totalSettled;
        if (amount == 0) return;
        state.totalSettled = state.totalClaimed;
        emit Settled(receiver, token, msg.sender, amount);
        IERC20(token).safeTransfer(receiver, amount);
    }

    /// @notice Starts a withdrawal of unclaimed money by the payer's side.
    /// @param config The channel.
    /// @param amount Base units, at most what is unclaimed now.
    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        if (!_isPayerSide(config)) revert InvalidChannel();
        if (amount == 0) revert NothingToWithdraw();
        bytes32 channelId = getChannelId(config);
        WithdrawalState storage withdrawal = _withdrawals[channelId];
        if (withdrawal.initiatedAt != 0) revert WithdrawalAlreadyPending();
        if (amount > _unclaimed(_channels[channelId])) revert WithdrawAmountExceedsAvailable();
        withdrawal.amount = amount;
        withdrawal.initiatedAt = uint40(block.timestamp);
        emit WithdrawInitiated(channelId, amount, uint40(block.timestamp) + config.withdrawDelay);
    }

    /// @notice Ends a withdrawal after its delay and pays what is still unclaimed of it.
    /// @param config The channel.
    function finalizeWithdraw(ChannelConfig calldata config) external nonReentrant {
        if (!_isPayerSide(config)) revert NotAuthorizedToFinalizeWithdraw();
        bytes32 channelId = getChannelId(config);
        WithdrawalState memory withdrawal = _withdrawals[channelId];
        if (withdrawal.initiatedAt == 0) revert WithdrawalNotPending();
        if (block.timestamp < uint256(withdrawal.initiatedAt) + config.withdrawDelay) {
            revert WithdrawDelayNotElapsed();
        }
        delete _withdrawals[channelId];
        ChannelState storage channel = _channels[channelId];
        uint128 amount = Math.min(withdrawal.amount, _unclaimed(channel)).toUint128();
        channel.balance -= amount;
        emit WithdrawFinalized(channelId, msg.sender, amount);
        _payBack(config, channelId, amount);
    }

    /// @notice Gives unclaimed money back to the payer; called by the receiver's side.
    /// @param config The channel.
    /// @param amount Base units; no more than is unclaimed is sent.
    function refund(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        if (!_isReceiverSide(config)) revert NotAuthorizedToRefund();
        _refund(config, getChannelId(config), amount);
    }

    /// @notice Gives unclaimed money back by the receiver authorizer's signature; anyone may submit it.
    /// @param config The channel.
    /// @param amount Base units; no more than is unclaimed is sent.
    /// @param nonce The channel's `refundNonce`.
    /// @param receiverAuthorizerSignature Over `getRefundDigest`.
    function refundWithSignature(
        ChannelConfig calldata config,
        uint128 amount,
        uint256 nonce,
        bytes calldata receiverAuthorizerSignature
    ) external nonReentrant {
        bytes32 channelId = getChannelId(config);
        if (nonce != _refundNonces[channelId]) revert InvalidRefundNonce();
        bytes32 digest = getRefundDigest(channelId, nonce, amount);
        _checkSignature(config.receiverAuthorizer, digest, receiverAuthorizerSignature);
        _refund(config, channelId, amount);
    }

    /// @notice What a channel holds.
    /// @param channelId The channel.
    /// @return balance Deposits less withdrawals and refunds; claims do not lower it.
    /// @return totalClaimed How much of it the receiver has claimed.
    function channels(bytes32 channelId) external view returns (uint128 balance, uint128 totalClaimed) {
        ChannelState storage channel = _channels[channelId];
        return (channel.balance, channel.totalClaimed);
    }

    /// @notice The withdrawal that waits.
    /// @param channelId The channel.
    /// @return amount Base units.
    /// @return initiatedAt Unix time in seconds; zero when none waits.
    function pendingWithdrawals(bytes32 channelId) external view returns (uint128 amount, uint40 initiatedAt) {
        WithdrawalState storage withdrawal = _withdrawals[channelId];
        return (withdrawal.amount, withdrawal.initiatedAt);
    }

    /// @notice The nonce that the next signed refund names.
    /// @param channelId The channel.
    /// @return Counted from zero.
    function refundNonce(bytes32 channelId) external view returns (uint256) {
        return _refundNonces[channelId];
    }

    /// @notice What a receiver claimed and got.
    /// @param receiver Who is paid.
    /// @param token The ERC-20 token.
    /// @return totalClaimed Over all channels.
    /// @return totalSettled What was sent.
    function receivers(address receiver, address token)
        external
        view
        returns (uint128 totalClaimed, uint128 totalSettled)
    {
        ReceiverState storage state = _receivers[receiver][token];
        return (state.totalClaimed, state.totalSettled);
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (0x0f, "x402 Batch Settlement", "1", block.chainid, address(this), 0, new uint256[](0));
    }

    /// @notice The id of a channel, bound to this chain and this contract.
    /// @param config The channel's terms.
    /// @return Their EIP-712 digest.
    function getChannelId(ChannelConfig calldata config) public view returns (bytes32) {
        return _digest(ChannelHash.hash(config));
    }

    /// @notice What a payer signs.
    /// @param channelId The channel.
    /// @param maxClaimableAmount Cumulative ceiling.
    /// @return EIP-712 digest.
    function getVoucherDigest(bytes32 channelId, uint128 maxClaimableAmount) public view returns (bytes32) {
        return _digest(ChannelHash.voucher(channelId, maxClaimableAmount));
    }

    /// @notice What a receiver's authorizer signs to give money back.
    /// @param channelId The channel.
    /// @param nonce The channel's `refundNonce`.
    /// @param amount Base units.
    /// @return EIP-712 digest.
    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount) public view returns (bytes32) {
        return _digest(ChannelHash.refund(channelId, nonce, amount));
    }

    /// @notice What a receiver's authorizer signs to claim.
    /// @param voucherClaims The rows.
    /// @return EIP-712 digest.
    function getClaimBatchDigest(VoucherClaim[] calldata voucherClaims) public view returns (bytes32) {
        bytes32[] memory entries = new bytes32[](voucherClaims.length);
        for (uint256 i = 0; i < entries.length; ++i) {
            entries[i] = ChannelHash.entry(getChannelId(voucherClaims[i].voucher.channel), voucherClaims[i]);
        }
        return _digest(ChannelHash.batch(entries));
    }

    function _collect(
        ChannelConfig calldata config,
        uint128 amount,
        bytes32 channelId,
        address collector,
        bytes calldata collectorData
    ) private {
        IERC20 token = IERC20(config.token);
        // Every function that moves tokens is nonReentrant, so none can run inside the collector.
        // slither-disable-next-line reentrancy-balance
        uint256 before = token.balanceOf(address(this));
        IDepositCollector(collector).collect(config.payer, config.token, amount, channelId, collectorData);
        if (token.balanceOf(address(this)) != before + amount) revert DepositCollectionFailed();
    }

    function _claimRow(bytes32 domain, ChannelConfig calldata config, VoucherClaim calldata row) private {
        bytes32 channelId = domain.toTypedDataHash(ChannelHash.hash(config));
        ChannelState memory channel = _channels[channelId];
        uint128 total = row.totalClaimed;
        if (total <= channel.totalClaimed) return;
        uint128 ceiling = row.voucher.maxClaimableAmount;
        if (total > ceiling) revert ClaimExceedsCeiling();
        if (total > channel.balance) revert ClaimExceedsBalance();
        bytes32 digest = domain.toTypedDataHash(ChannelHash.voucher(channelId, ceiling));
        _checkVoucher(config, digest, row.signature);
        uint128 more = total - channel.totalClaimed;
        _channels[channelId] = ChannelState(channel.balance, total);
        _receivers[config.receiver][config.token].totalClaimed += more;
        emit Claimed(channelId, msg.sender, more, total);
    }

    function _refund(ChannelConfig calldata config, bytes32 channelId, uint128 requested) private {
        if (requested == 0) revert ZeroRefund();
        // Also when nothing is left to send: a signature is good once.
        ++_refundNonces[channelId];
        ChannelState storage channel = _channels[channelId];
        uint128 amount = Math.min(requested, _unclaimed(channel)).toUint128();
        if (amount == 0) return;
        channel.balance -= amount;
        _lowerWithdrawal(channelId, amount);
        emit Refunded(channelId, msg.sender, amount);
        _payBack(config, channelId, amount);
    }

    function _lowerWithdrawal(bytes32 channelId, uint128 amount) private {
        WithdrawalState storage withdrawal = _withdrawals[channelId];
        if (withdrawal.initiatedAt == 0) return;
        if (amount >= withdrawal.amount) delete _withdrawals[channelId];
        else withdrawal.amount -= amount;
    }

    function _payBack(ChannelConfig calldata config, bytes32 channelId, uint128 amount) private {
        ChannelState storage channel = _channels[channelId];
        if (channel.balance == 0 && channel.totalClaimed == 0) emit ChannelClosed(channelId, config);
        if (amount != 0) IERC20(config.token).safeTransfer(config.payer, amount);
    }

    function _checkVoucher(ChannelConfig calldata config, bytes32 digest, bytes calldata signature) private view {
        address authorizer = config.payerAuthorizer;
        if (authorizer == address(0)) _checkSignature(config.payer, digest, signature);
        else if (ECDSA.recoverCalldata(digest, signature) != authorizer) revert InvalidSignature();
    }

    function _checkSignature(address signer, bytes32 digest, bytes calldata signature) private view {
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) revert InvalidSignature();
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        return _domain().toTypedDataHash(structHash);
    }

    function _domain() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                ChannelHash.DOMAIN_TYPEHASH,
                ChannelHash.NAME_HASH,
                ChannelHash.VERSION_HASH,
                block.chainid,
                address(this)
            )
        );
    }

    function _unclaimed(ChannelState storage channel) private view returns (uint128) {
        return channel.balance - channel.totalClaimed;
    }

    function _isReceiverSide(ChannelConfig calldata config) private view returns (bool) {
        return msg.sender == config.receiverAuthorizer || msg.sender == config.receiver;
    }

    function _isPayerSide(ChannelConfig calldata config) private view returns (bool) {
        return msg.sender == config.payer || msg.sender == config.payerAuthorizer;
    }

    function _checkConfig(ChannelConfig calldata config) private pure {
        bool named = config.payer != address(0) && config.receiver != address(0)
            && config.receiverAuthorizer != address(0) && config.token != address(0);
        if (!named) revert InvalidChannel();
        if (config.withdrawDelay < MIN_WITHDRAW_DELAY || config.withdrawDelay > MAX_WITHDRAW_DELAY) {
            revert WithdrawDelayOutOfRange();
        }
    }
}
