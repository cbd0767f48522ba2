// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

import {DevelopmentToken} from "../src/DevelopmentToken.sol";
import {Fixture} from "./lib/Fixture.sol";

contract TokenTest is Fixture {
    bytes32 private constant TRANSFER = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant CANCEL = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    address private owner = person(0);
    address private to = person(1);

    function setUp() public override {
        super.setUp();
        token.mint(owner, 1_000);
    }

    function digest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
    }

    function authorization(bytes32 kind, bytes32 nonce) private view returns (bytes32) {
        return digest(keccak256(abi.encode(kind, owner, to, 100, 0, block.timestamp + 1, nonce)));
    }

    function transfer(bytes32 nonce, bytes memory signature) private {
        token.transferWithAuthorization(owner, to, 100, 0, block.timestamp + 1, nonce, signature);
    }

    function test_Metadata() public view {
        vm.assertEq(token.name(), "OpenLoRA Development USD", "name");
        vm.assertEq(token.symbol(), "dUSD", "symbol");
        vm.assertEq(token.decimals(), 6, "decimals");
    }

    function testFuzz_RandomNoncesInAnyOrder(bytes32 first, bytes32 second) public {
        vm.assume(first != second);
        transfer(first, sign(0, authorization(TRANSFER, first)));
        transfer(second, sign(0, authorization(TRANSFER, second)));
        vm.assertEq(token.balanceOf(to), 200, "both paid");
        vm.assertTrue(token.authorizationState(owner, first), "first used");
        vm.assertTrue(token.authorizationState(owner, second), "second used");
        bytes memory signature = sign(0, authorization(TRANSFER, first));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, owner, first));
        transfer(first, signature);
    }

    function test_SplitSignature() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(0), authorization(TRANSFER, "n"));
        token.transferWithAuthorization(owner, to, 100, 0, block.timestamp + 1, "n", v, r, s);
        vm.assertEq(token.balanceOf(to), 100, "paid");
        (v, r, s) = vm.sign(key(0), authorization(RECEIVE, "m"));
        vm.prank(to);
        token.receiveWithAuthorization(owner, to, 100, 0, block.timestamp + 1, "m", v, r, s);
        vm.assertEq(token.balanceOf(to), 200, "received");
    }

    function test_OnlyTheReceiverReceives() public {
        bytes memory signature = sign(0, authorization(RECEIVE, "n"));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, to));
        token.receiveWithAuthorization(owner, to, 100, 0, block.timestamp + 1, "n", signature);
        vm.prank(to);
        token.receiveWithAuthorization(owner, to, 100, 0, block.timestamp + 1, "n", signature);
        vm.assertEq(token.balanceOf(to), 100, "received");
    }

    function test_WrongSignature() public {
        bytes memory signature = sign(1, authorization(TRANSFER, "n"));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        transfer("n", signature);
        signature = sign(0, authorization(RECEIVE, "n"));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        transfer("n", signature);
    }

    function test_SignatureBoundToChainAndContract() public {
        bytes memory signature = sign(0, authorization(TRANSFER, "n"));
        DevelopmentToken other = newToken();
        other.mint(owner, 1_000);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        other.transferWithAuthorization(owner, to, 100, 0, block.timestamp + 1, "n", signature);
        vm.chainId(31338);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        transfer("n", signature);
    }

    function test_TimeWindow() public {
        uint256 time = block.timestamp;
        bytes memory signature = sign(0, authorization(TRANSFER, "n"));
        vm.warp(time + 1);
        vm.expectRevert(
            abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, 0, time + 1)
        );
        token.transferWithAuthorization(owner, to, 100, 0, time + 1, "n", signature);
    }

    function test_UnlimitedWindow() public {
        bytes32 hash =
            digest(keccak256(abi.encode(TRANSFER, owner, to, 100, 0, type(uint256).max, bytes32("n"))));
        token.transferWithAuthorization(owner, to, 100, 0, type(uint256).max, "n", sign(0, hash));
        vm.assertEq(token.balanceOf(to), 100, "paid");
    }

    function test_Cancel() public {
        bytes32 hash = digest(keccak256(abi.encode(CANCEL, owner, bytes32("n"))));
        token.cancelAuthorization(owner, "n", sign(0, hash));
        bytes memory signature = sign(0, authorization(TRANSFER, "n"));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, owner, bytes32("n")));
        transfer("n", signature);
    }

    function test_Permit() public {
        bytes32 hash = digest(keccak256(abi.encode(PERMIT, owner, to, 70, token.nonces(owner), block.timestamp)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(0), hash);
        token.permit(owner, to, 70, block.timestamp, v, r, s);
        vm.assertEq(token.allowance(owner, to), 70, "allowance");
        vm.assertEq(token.nonces(owner), 1, "nonce");
    }
}
