// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AttributionAnchor, Head, Leaf} from "../src/AttributionAnchor.sol";
import {Fixture} from "./lib/Fixture.sol";

contract AnchorTest is Fixture {
    uint256 private id;
    address private server = person(8);

    function setUp() public override {
        super.setUp();
        (id,) = registry.register(aRegistration());
        registry.setServer(id, server, true);
    }

    function test_RootsFormAChain() public {
        vm.startPrank(server);
        vm.expectEmit(address(anchors));
        emit AttributionAnchor.Anchored(id, server, "one", 1, 10, 1_500, "uri one");
        anchors.anchor(id, "one", 0, 10, 1_500, "uri one");
        vm.expectEmit(address(anchors));
        emit AttributionAnchor.Anchored(id, server, "two", 2, 5, 500, "uri two");
        anchors.anchor(id, "two", "one", 5, 500, "uri two");
        vm.assertEq(abi.encode(anchors.headOf(id, server)), abi.encode(Head("two", 2, 15, 2_000)), "head");
        vm.assertEq(anchors.registry(), address(registry), "registry");
    }

    function testFuzz_WrongPreviousRoot(bytes32 wrong) public {
        vm.startPrank(server);
        anchors.anchor(id, "one", 0, 1, 1, "");
        vm.assume(wrong != "one" && wrong != "two");
        vm.expectRevert(
            abi.encodeWithSelector(AttributionAnchor.PreviousRootMismatch.selector, id, bytes32("one"), wrong)
        );
        anchors.anchor(id, "two", wrong, 1, 1, "");
    }

    function test_OnlyServersAnchor() public {
        bytes memory refusal = abi.encodeWithSelector(AttributionAnchor.NotServer.selector, id, address(this));
        vm.expectRevert(refusal);
        anchors.anchor(id, "one", 0, 1, 1, "");
        registry.setServer(id, server, false);
        vm.prank(server);
        vm.expectRevert(abi.encodeWithSelector(AttributionAnchor.NotServer.selector, id, server));
        anchors.anchor(id, "one", 0, 1, 1, "");
    }

    function test_ServersHaveTheirOwnChains() public {
        registry.setServer(id, person(7), true);
        vm.prank(server);
        anchors.anchor(id, "one", 0, 1, 1, "");
        vm.prank(person(7));
        anchors.anchor(id, "other", 0, 2, 2, "");
        vm.assertEq(anchors.headOf(id, server).root, "one", "first");
        vm.assertEq(anchors.headOf(id, person(7)).root, "other", "second");
    }

    function test_EmptyAndRepeatedTrees() public {
        vm.startPrank(server);
        vm.expectRevert(abi.encodeWithSelector(AttributionAnchor.TreeEmpty.selector, id, bytes32(0), 1));
        anchors.anchor(id, 0, 0, 1, 1, "");
        vm.expectRevert(abi.encodeWithSelector(AttributionAnchor.TreeEmpty.selector, id, bytes32("one"), 0));
        anchors.anchor(id, "one", 0, 0, 1, "");
        anchors.anchor(id, "one", 0, 1, 1, "");
        vm.expectRevert(abi.encodeWithSelector(AttributionAnchor.RootRepeated.selector, id, bytes32("one")));
        anchors.anchor(id, "one", "one", 1, 1, "");
    }

    function test_PausedAdaptersMayStillAnchor() public {
        registry.pause(id);
        vm.prank(server);
        anchors.anchor(id, "one", 0, 1, 1, "");
        vm.assertEq(anchors.headOf(id, server).count, 1, "calls from before the pause are kept");
    }

    function testFuzz_LeafInTreeOfFour(uint256 index, uint256 change) public view {
        bytes32[4] memory hashes;
        for (uint256 i = 0; i < 4; ++i) {
            hashes[i] = anchors.leafHash(aLeaf(i));
        }
        bytes32 left = hashPair(hashes[0], hashes[1]);
        bytes32 right = hashPair(hashes[2], hashes[3]);
        index = bound(index, 0, 3);
        bytes32[] memory proof = new bytes32[](2);
        proof[0] = hashes[index ^ 1];
        proof[1] = index < 2 ? right : left;
        bytes32 root = hashPair(left, right);
        vm.assertTrue(anchors.verifyLeaf(root, aLeaf(index), proof), "true leaf");
        vm.assertTrue(!anchors.verifyLeaf(root, altered(aLeaf(index), change), proof), "altered leaf");
    }

    function altered(Leaf memory leaf, uint256 change) private pure returns (Leaf memory) {
        change = bound(change, 0, 10);
        if (change == 0) leaf.eventId = 0;
        if (change == 1) leaf.adapterId += 1;
        if (change == 2) leaf.version += 1;
        if (change == 3) leaf.chainId += 1;
        if (change == 4) leaf.channelId = 0;
        if (change == 5) leaf.cumulative += 1;
        if (change == 6) leaf.charged += 1;
        if (change == 7) leaf.requestHash = 0;
        if (change == 8) leaf.responseHash = 0;
        if (change == 9) leaf.contributionsRoot = 0;
        if (change == 10) leaf.time += 1;
        return leaf;
    }

    function test_VerifyHeadUsesTheLastRoot() public {
        Leaf memory leaf = aLeaf(0);
        leaf.adapterId = id;
        bytes32 root = anchors.leafHash(leaf);
        bytes32[] memory proof = new bytes32[](0);
        vm.startPrank(server);
        vm.assertTrue(!anchors.verifyHead(server, leaf, proof), "nothing anchored");
        anchors.anchor(id, root, 0, 1, 1, "");
        vm.assertTrue(anchors.verifyHead(server, leaf, proof), "anchored");
        anchors.anchor(id, "next", root, 1, 1, "");
        vm.assertTrue(!anchors.verifyHead(server, leaf, proof), "another root since");
    }
}
