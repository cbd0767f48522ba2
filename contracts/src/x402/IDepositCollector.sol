// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title IDepositCollector
/// @notice Fetches a deposit from a payer for the escrow that calls it.
interface IDepositCollector {
    /// @notice Moves tokens from the payer to the calling escrow.
    /// @param payer Whose tokens.
    /// @param token The ERC-20 token.
    /// @param amount Base units; exactly this must arrive.
    /// @param channelId The channel the deposit is for.
    /// @param collectorData What the collector needs to be allowed to.
    function collect(address payer, address token, uint256 amount, bytes32 channelId, bytes calldata collectorData)
        external;
}
