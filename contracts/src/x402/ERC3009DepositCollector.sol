// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IDepositCollector} from "./IDepositCollector.sol";

/// @title IERC3009Receiver
/// @notice The one function of ERC-3009 tokens that the collector calls.
interface IERC3009Receiver {
    /// @notice Moves tokens to the caller by the owner's signature.
    /// @param from The owner.
    /// @param to The caller.
    /// @param value Base units.
    /// @param validAfter Unix time in seconds after which it is good.
    /// @param validBefore Unix time in seconds before which it is good.
    /// @param nonce Never used before by the owner.
    /// @param signature The owner's signature.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;
}

/// @title ERC3009DepositCollector
/// @notice Fetches deposits by ERC-3009 authorizations, so that the payer needs no gas. It stands in
/// for the contract that x402 has at 0x4020806089470a89826cB9fB1f4059150b550004, on development
/// chains only.
/// @dev Keeps nothing and is constructed from nothing: its runtime code can be set at that address.
/// The authorization's nonce contains the channel, so a deposit cannot be turned to another one.
contract ERC3009DepositCollector is IDepositCollector {
    using SafeERC20 for IERC20;

    /// @notice The only caller: the escrow's canonical address.
    address public constant x402BatchSettlement = 0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003;

    /// @notice Somebody else than the escrow called.
    error OnlyX402BatchSettlement();

    /// @inheritdoc IDepositCollector
    /// @param collectorData ABI encoding of validAfter, validBefore, salt (three words) and the signature (bytes).
    function collect(address payer, address token, uint256 amount, bytes32 channelId, bytes calldata collectorData)
        external
    {
        if (msg.sender != x402BatchSettlement) revert OnlyX402BatchSettlement();
        (uint256 validAfter, uint256 validBefore, uint256 salt, bytes memory signature) =
            abi.decode(collectorData, (uint256, uint256, uint256, bytes));
        bytes32 nonce = keccak256(abi.encode(channelId, salt));
        IERC3009Receiver(token).receiveWithAuthorization(
            payer, address(this), amount, validAfter, validBefore, nonce, signature
        );
        IERC20(token).safeTransfer(x402BatchSettlement, amount);
    }
}
