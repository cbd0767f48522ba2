// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice One call of a batch.
/// @param target Who is called.
/// @param callData With what.
struct Call {
    address target;
    bytes callData;
}

/// @notice One call of a batch that says itself whether it may fail.
/// @param target Who is called.
/// @param allowFailure Whether the batch goes on when it fails.
/// @param callData With what.
struct Call3 {
    address target;
    bool allowFailure;
    bytes callData;
}

/// @notice What became of one call.
/// @param success Whether it succeeded.
/// @param returnData What it returned, or why it failed.
struct Result {
    bool success;
    bytes returnData;
}

/// @title DevelopmentMulticall
/// @notice Reads many values at once. Stock facilitators and viem expect it at
/// 0xcA11bde05977b3631167028862bE2a173976CA11; on development chains this is placed there.
/// @dev Has the two functions of Multicall3 that those use. Keeps nothing and is constructed from
/// nothing; it must never be given an allowance or a role, because it calls whatever it is told to.
contract DevelopmentMulticall {
    /// @notice A call failed that may not.
    error CallFailed(uint256 index, bytes returnData);

    /// @notice Makes all calls.
    /// @param requireSuccess Whether every call must succeed.
    /// @param calls The calls.
    /// @return results In the order of the calls.
    function tryAggregate(bool requireSuccess, Call[] calldata calls) external returns (Result[] memory results) {
        results = new Result[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            results[i] = _call(i, calls[i].target, calls[i].callData, requireSuccess);
        }
    }

    /// @notice Makes all calls.
    /// @param calls The calls.
    /// @return results In the order of the calls.
    function aggregate3(Call3[] calldata calls) external returns (Result[] memory results) {
        results = new Result[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            results[i] = _call(i, calls[i].target, calls[i].callData, !calls[i].allowFailure);
        }
    }

    function _call(uint256 index, address target, bytes calldata data, bool required)
        private
        returns (Result memory result)
    {
        // slither-disable-next-line low-level-calls
        (result.success, result.returnData) = target.call(data);
        if (required && !result.success) revert CallFailed(index, result.returnData);
    }
}
