// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice The fixed terms of a channel; its id is their EIP-712 digest.
/// @param payer Who pays, and who gets back what is left.
/// @param payerAuthorizer The key that signs vouchers; zero when the payer signs itself.
/// @param receiver Who is paid.
/// @param receiverAuthorizer The key that signs claims and refunds for the receiver.
/// @param token The ERC-20 token.
/// @param withdrawDelay Seconds between a withdrawal's start and its end.
/// @param salt Tells channels with the same terms apart.
struct ChannelConfig {
    address payer;
    address payerAuthorizer;
    address receiver;
    address receiverAuthorizer;
    address token;
    uint40 withdrawDelay;
    bytes32 salt;
}

/// @notice What a payer lets the receiver claim in total.
/// @param channel The channel.
/// @param maxClaimableAmount Cumulative ceiling in base units.
struct Voucher {
    ChannelConfig channel;
    uint128 maxClaimableAmount;
}

/// @notice A voucher and how much of it is claimed.
/// @param voucher What the payer signed.
/// @param signature The payer's signature over the voucher.
/// @param totalClaimed Cumulative claim, at most the ceiling.
struct VoucherClaim {
    Voucher voucher;
    bytes signature;
    uint128 totalClaimed;
}

/// @title ChannelHash
/// @notice EIP-712 hashing of the x402 `batch-settlement` scheme, byte for byte what stock clients sign.
library ChannelHash {
    /// @notice keccak256 of the domain's name.
    bytes32 internal constant NAME_HASH = keccak256("x402 Batch Settlement");

    /// @notice keccak256 of the domain's version.
    bytes32 internal constant VERSION_HASH = keccak256("1");

    /// @notice Type of the domain.
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @notice Type of a channel's terms.
    bytes32 internal constant CONFIG_TYPEHASH = keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    );

    /// @notice Type of a voucher.
    bytes32 internal constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");

    /// @notice Type of a refund.
    bytes32 internal constant REFUND_TYPEHASH = keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)");

    /// @notice Type of one row of a claim.
    bytes32 internal constant ENTRY_TYPEHASH =
        keccak256("ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)");

    /// @notice Type of a whole claim.
    bytes32 internal constant BATCH_TYPEHASH = keccak256(
        "ClaimBatch(ClaimEntry[] claims)ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
    );

    /// @notice Struct hash of a channel's terms.
    /// @param config The terms.
    /// @return EIP-712 hashStruct.
    function hash(ChannelConfig calldata config) internal pure returns (bytes32) {
        return keccak256(abi.encode(CONFIG_TYPEHASH, config));
    }

    /// @notice Struct hash of a voucher.
    /// @param channelId The channel.
    /// @param ceiling Cumulative ceiling.
    /// @return EIP-712 hashStruct.
    function voucher(bytes32 channelId, uint128 ceiling) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, ceiling));
    }

    /// @notice Struct hash of a refund.
    /// @param channelId The channel.
    /// @param nonce The channel's refund nonce.
    /// @param amount Base units.
    /// @return EIP-712 hashStruct.
    function refund(bytes32 channelId, uint256 nonce, uint128 amount) internal pure returns (bytes32) {
        return keccak256(abi.encode(REFUND_TYPEHASH, channelId, nonce, amount));
    }

    /// @notice Struct hash of one row of a claim.
    /// @param channelId The channel.
    /// @param row The row.
    /// @return EIP-712 hashStruct.
    function entry(bytes32 channelId, VoucherClaim calldata row) internal pure returns (bytes32) {
        return keccak256(abi.encode(ENTRY_TYPEHASH, channelId, row.voucher.maxClaimableAmount, row.totalClaimed));
    }

    /// @notice Struct hash of a whole claim.
    /// @param entries Struct hashes of its rows.
    /// @return EIP-712 hashStruct.
    function batch(bytes32[] memory entries) internal pure returns (bytes32) {
        return keccak256(abi.encode(BATCH_TYPEHASH, keccak256(abi.encodePacked(entries))));
    }
}
