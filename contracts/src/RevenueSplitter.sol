// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Share, Shares} from "./Shares.sol";

/// @title RevenueSplitter
/// @notice The address that one adapter version is paid at. Whatever ERC-20 tokens arrive belong to
/// the recipients in fixed shares; each recipient fetches its own.
/// @dev Runs as a clone whose shares are part of its code, so they can never change. Amounts are
/// rounded down and what rounding leaves stays here until later income makes it whole, so the sum
/// of all claims never exceeds the balance; a token that calls its receiver finds the door closed,
/// because until it has moved the money, what is released counts twice. Tokens that take a fee or change balances by themselves
/// are not supported.
contract RevenueSplitter is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev The address of the code that clones run, where nothing may be kept.
    address private immutable _implementation = address(this);

    mapping(address token => uint256 amount) private _totalReleased;
    mapping(address token => mapping(address recipient => uint256 amount)) private _released;

    /// @notice A recipient fetched what it had earned.
    event Released(address indexed token, address indexed recipient, address indexed to, uint256 amount);

    /// @notice The caller has no share here.
    error NotRecipient(address caller);

    /// @notice The recipient has nothing to fetch.
    error NothingToRelease(address token, address recipient);

    /// @notice The money may not go to this address.
    error DestinationInvalid(address to);

    /// @notice The code that clones run was called directly.
    error NotAClone(address implementation);

    /// @notice Sends everything the caller has earned so far.
    /// @param token The ERC-20 token.
    /// @param to Where it goes.
    /// @return amount What was sent, in the token's base units.
    function release(address token, address to) external nonReentrant returns (uint256 amount) {
        if (to == address(0) || to == address(this)) revert DestinationInvalid(to);
        amount = pending(token, msg.sender);
        // Zero is an amount here, not a state that somebody could keep from being reached.
        // slither-disable-next-line incorrect-equality
        if (amount == 0) revert NothingToRelease(token, msg.sender);
        _totalReleased[token] += amount;
        _released[token][msg.sender] += amount;
        emit Released(token, msg.sender, to, amount);
        IERC20(token).safeTransfer(to, amount);
    }

    /// @notice Who is paid how much.
    /// @return The shares, sorted by recipient.
    function shares() external view returns (Share[] memory) {
        return Shares.unpack(_packed(), 0);
    }

    /// @notice What a recipient has fetched so far.
    /// @param token The ERC-20 token.
    /// @param recipient Whose sum is wanted.
    /// @return Base units of the token.
    function released(address token, address recipient) external view returns (uint256) {
        return _released[token][recipient];
    }

    /// @notice What all recipients together have fetched so far.
    /// @param token The ERC-20 token.
    /// @return Base units of the token.
    function totalReleased(address token) external view returns (uint256) {
        return _totalReleased[token];
    }

    /// @notice What a recipient could fetch now.
    /// @param token The ERC-20 token.
    /// @param recipient Whose sum is wanted.
    /// @return Base units of the token.
    function pending(address token, address recipient) public view returns (uint256) {
        uint256 ppm = Shares.ppmOf(_packed(), 0, recipient);
        if (ppm == 0) revert NotRecipient(recipient);
        uint256 received = IERC20(token).balanceOf(address(this)) + _totalReleased[token];
        return Math.mulDiv(received, ppm, Shares.WHOLE) - _released[token][recipient];
    }

    function _packed() private view returns (bytes memory) {
        if (address(this) == _implementation) revert NotAClone(_implementation);
        return Clones.fetchCloneArgs(address(this));
    }
}
