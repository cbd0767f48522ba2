//! Solidity declarations of the x402 batch-settlement escrow, and of contracts that sign
//! (ERC-1271).
#![allow(
    clippy::too_many_arguments,
    reason = "events and structs have as many fields as the contracts give them"
)]

use alloy::{primitives::aliases::U40, sol};

use openlora_ledger as ledger;

sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct ChannelConfig {
        address payer;
        address payerAuthorizer;
        address receiver;
        address receiverAuthorizer;
        address token;
        uint40 withdrawDelay;
        bytes32 salt;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct ChannelVoucher {
        ChannelConfig channel;
        uint128 maxClaimableAmount;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct VoucherClaim {
        ChannelVoucher voucher;
        bytes signature;
        uint128 totalClaimed;
    }

    interface BatchSettlementEscrow {
        event Deposited(bytes32 indexed channelId, address indexed sender, uint128 amount, uint128 newBalance);
        event Claimed(bytes32 indexed channelId, address indexed sender, uint128 claimAmount, uint128 newTotalClaimed);
        event Settled(address indexed receiver, address indexed token, address indexed sender, uint128 amount);
        event Refunded(bytes32 indexed channelId, address indexed sender, uint128 amount);
        event WithdrawInitiated(bytes32 indexed channelId, uint128 amount, uint40 finalizeAfter);
        event WithdrawFinalized(bytes32 indexed channelId, address indexed sender, uint128 amount);

        function deposit(ChannelConfig config, uint128 amount, address collector, bytes collectorData) external;
        function claim(VoucherClaim[] voucherClaims) external;
        function claimWithSignature(VoucherClaim[] voucherClaims, bytes authorizerSignature) external;
        function settle(address receiver, address token) external;
        function refund(ChannelConfig config, uint128 amount) external;
        function refundWithSignature(ChannelConfig config, uint128 amount, uint256 nonce, bytes receiverAuthorizerSignature) external;
        function initiateWithdraw(ChannelConfig config, uint128 amount) external;
        function finalizeWithdraw(ChannelConfig config) external;
        function multicall(bytes[] data) external returns (bytes[] results);
        function channels(bytes32 channelId) external view returns (uint128 balance, uint128 totalClaimed);
        function pendingWithdrawals(bytes32 channelId) external view returns (uint128 amount, uint40 initiatedAt);
        function refundNonce(bytes32 channelId) external view returns (uint256);
        function receivers(address receiver, address token) external view returns (uint128 totalClaimed, uint128 totalSettled);
        function getChannelId(ChannelConfig config) external view returns (bytes32);
    }

    interface SigningContract {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }
}

impl From<&ledger::ChannelTerms> for ChannelConfig {
    fn from(config: &ledger::ChannelTerms) -> Self {
        Self {
            payer: config.payer.into(),
            payerAuthorizer: config.payer_authorizer.into(),
            receiver: config.receiver.into(),
            receiverAuthorizer: config.receiver_authorizer.into(),
            token: config.token.into(),
            // A delay that does not fit is refused by the contract, like any above 30 days.
            withdrawDelay: U40::saturating_from(config.withdraw_delay),
            salt: config.salt.into(),
        }
    }
}
