// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice What the last call cost.
struct Gas {
    uint64 gasLimit;
    uint64 gasTotalUsed;
    uint64 gasMemoryUsed;
    int64 gasRefunded;
    uint64 gasRemaining;
}

/// @notice The cheat codes that the tests use; forge answers them at a fixed address.
interface Vm {
    function prank(address caller) external;
    function startPrank(address caller) external;
    function stopPrank() external;
    function warp(uint256 time) external;
    function chainId(uint256 id) external;
    function deployCode(string calldata artifact, bytes calldata args) external returns (address);
    function getCode(string calldata artifact) external view returns (bytes memory);
    function etch(address target, bytes calldata code) external;
    function label(address account, string calldata name) external;
    function assume(bool condition) external pure;
    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function expectRevert(bytes calldata data) external;
    function expectPartialRevert(bytes4 selector) external;
    function expectEmit(address emitter) external;
    function lastCallGas() external view returns (Gas memory);
    function readFile(string calldata path) external view returns (string memory);
    function writeFile(string calldata path, string calldata text) external;
    function envOr(string calldata name, bool fallbackValue) external view returns (bool);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key)
        external
        pure
        returns (bytes32[] memory);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function toString(uint256 value) external pure returns (string memory);
    function assertTrue(bool value, string calldata message) external pure;
    function assertEq(uint256 found, uint256 expected, string calldata message) external pure;
    function assertEq(address found, address expected, string calldata message) external pure;
    function assertEq(bytes32 found, bytes32 expected, string calldata message) external pure;
    function assertEq(string calldata found, string calldata expected, string calldata message) external pure;
    function assertEq(bytes calldata found, bytes calldata expected, string calldata message) external pure;
    function assertLe(uint256 found, uint256 limit, string calldata message) external pure;
}

/// @notice Which functions of a handler an invariant campaign calls.
struct FuzzSelector {
    address addr;
    bytes4[] selectors;
}

/// @notice What every test contract needs.
abstract contract Test {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    FuzzSelector[] private _selectors;
    address[] private _targets;

    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory) {
        return _selectors;
    }

    function target(address handler, bytes4[] memory selectors) internal {
        _targets.push(handler);
        _selectors.push(FuzzSelector(handler, selectors));
    }

    /// @dev Tests run the committed code, not what the tests' own compilation made of the sources.
    function deploy(string memory name, bytes memory args) internal returns (address) {
        return vm.deployCode(string.concat("artifacts/", name, ".json"), args);
    }

    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }

    function person(uint256 index) internal pure returns (address) {
        return vm.addr(key(index));
    }

    function key(uint256 index) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("person", index))) >> 1;
    }

    function sign(uint256 index, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(index), digest);
        return abi.encodePacked(r, s, v);
    }
}
