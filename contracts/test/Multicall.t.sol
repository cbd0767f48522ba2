// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Call, Call3, DevelopmentMulticall, Result} from "../src/x402/DevelopmentMulticall.sol";
import {OpenLoraRegistry} from "../src/OpenLoraRegistry.sol";
import {Fixture} from "./lib/Fixture.sol";

contract MulticallTest is Fixture {
    DevelopmentMulticall private many;

    function setUp() public override {
        super.setUp();
        many = DevelopmentMulticall(deploy("DevelopmentMulticall", ""));
    }

    function good() private view returns (bytes memory) {
        return abi.encodeCall(token.balanceOf, (address(this)));
    }

    function bad() private view returns (bytes memory) {
        return abi.encodeCall(registry.adapter, (5));
    }

    function test_TryAggregate() public {
        token.mint(address(this), 5);
        Call[] memory calls = new Call[](2);
        calls[0] = Call(address(token), good());
        calls[1] = Call(address(registry), bad());
        bytes memory reason = abi.encodeWithSelector(OpenLoraRegistry.AdapterUnknown.selector, 5);
        Result[] memory expected = new Result[](2);
        expected[0] = Result(true, abi.encode(5));
        expected[1] = Result(false, reason);
        vm.assertEq(abi.encode(many.tryAggregate(false, calls)), abi.encode(expected), "results");
        vm.expectRevert(abi.encodeWithSelector(DevelopmentMulticall.CallFailed.selector, 1, reason));
        many.tryAggregate(true, calls);
    }

    function test_Aggregate3() public {
        Call3[] memory calls = new Call3[](2);
        calls[0] = Call3(address(token), false, good());
        calls[1] = Call3(address(registry), true, bad());
        Result[] memory results = many.aggregate3(calls);
        vm.assertTrue(results[0].success && !results[1].success, "one of two");
        calls[1].allowFailure = false;
        bytes memory reason = abi.encodeWithSelector(OpenLoraRegistry.AdapterUnknown.selector, 5);
        vm.expectRevert(abi.encodeWithSelector(DevelopmentMulticall.CallFailed.selector, 1, reason));
        many.aggregate3(calls);
    }
}
