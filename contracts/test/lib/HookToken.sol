// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice Somebody whom a token calls before it moves money to it.
interface Receiver {
    function beforeTransfer(address from) external;
}

/// @notice A token that calls one receiver before it moves money.
contract HookToken {
    mapping(address => uint256) public balanceOf;
    address private _hook;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function setHook(address hook) external {
        _hook = hook;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        if (to == _hook) Receiver(to).beforeTransfer(msg.sender);
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}
