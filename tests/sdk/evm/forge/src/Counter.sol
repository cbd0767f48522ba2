// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// @notice Counts, and refuses to count too far.
contract Counter {
    uint256 public count;

    event Counted(address indexed by, uint256 count);

    error TooFar(uint256 count, uint256 limit);

    constructor(uint256 start) {
        count = start;
    }

    function add(uint256 step) external {
        if (count + step > 100) revert TooFar(count + step, 100);
        count += step;
        emit Counted(msg.sender, count);
    }

    function refuse() external pure {
        revert("never");
    }
}
