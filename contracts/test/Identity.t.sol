// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DevelopmentIdentityRegistry, MetadataEntry} from "../src/erc8004/DevelopmentIdentityRegistry.sol";
import {Test} from "./lib/Test.sol";

contract IdentityTest is Test {
    DevelopmentIdentityRegistry private agents;
    address private maker;
    address private stranger;

    function setUp() public {
        agents = DevelopmentIdentityRegistry(deploy("DevelopmentIdentityRegistry", ""));
        maker = person(1);
        stranger = person(2);
    }

    function registered() private returns (uint256 agentId) {
        vm.prank(maker);
        agentId = agents.register("https://agent.example/file.json");
    }

    function walletDigest(uint256 agentId, address wallet, uint256 deadline) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("ERC8004IdentityRegistry"),
                keccak256("1"),
                block.chainid,
                address(agents)
            )
        );
        bytes32 kind =
            keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)");
        bytes32 content = keccak256(abi.encode(kind, agentId, wallet, agents.ownerOf(agentId), deadline));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    function test_RegistrationsAreNumberedAndResolve() public {
        vm.expectEmit(address(agents));
        emit DevelopmentIdentityRegistry.Registered(0, "https://agent.example/file.json", maker);
        vm.assertEq(registered(), 0, "first");
        vm.assertEq(registered(), 1, "second");
        vm.assertEq(agents.ownerOf(1), maker, "owner");
        vm.assertEq(agents.tokenURI(1), "https://agent.example/file.json", "uri");
        vm.assertEq(agents.getAgentWallet(1), maker, "wallet");
        vm.prank(maker);
        uint256 bare = agents.register();
        vm.assertEq(agents.tokenURI(bare), "", "no uri");
        MetadataEntry[] memory metadata = new MetadataEntry[](1);
        metadata[0] = MetadataEntry("adapter", hex"0102");
        vm.prank(maker);
        uint256 rich = agents.register("data:,", metadata);
        vm.assertEq(agents.getMetadata(rich, "adapter"), hex"0102", "metadata");
        metadata[0].metadataKey = "agentWallet";
        vm.expectRevert(abi.encodeWithSelector(DevelopmentIdentityRegistry.ReservedKey.selector));
        vm.prank(maker);
        agents.register("data:,", metadata);
    }

    function test_OnlyManagersChangeAnAgent() public {
        uint256 agentId = registered();
        bytes memory refusal = abi.encodeWithSelector(
            DevelopmentIdentityRegistry.NotAuthorized.selector, stranger, agentId
        );
        vm.startPrank(stranger);
        vm.expectRevert(refusal);
        agents.setAgentURI(agentId, "data:,");
        vm.expectRevert(refusal);
        agents.setMetadata(agentId, "key", "");
        vm.expectRevert(refusal);
        agents.unsetAgentWallet(agentId);
        vm.stopPrank();
        vm.prank(maker);
        agents.approve(stranger, agentId);
        vm.expectEmit(address(agents));
        emit DevelopmentIdentityRegistry.URIUpdated(agentId, "data:,", stranger);
        vm.prank(stranger);
        agents.setAgentURI(agentId, "data:,");
        vm.assertEq(agents.tokenURI(agentId), "data:,", "moved");
        vm.startPrank(maker);
        agents.setMetadata(agentId, "key", hex"07");
        vm.assertEq(agents.getMetadata(agentId, "key"), hex"07", "metadata");
        vm.expectRevert(abi.encodeWithSelector(DevelopmentIdentityRegistry.ReservedKey.selector));
        agents.setMetadata(agentId, "agentWallet", hex"07");
        vm.stopPrank();
    }

    function test_AWalletAgreesBySignature() public {
        uint256 agentId = registered();
        address wallet = person(3);
        uint256 deadline = block.timestamp + 60;
        bytes memory signature = sign(3, walletDigest(agentId, wallet, deadline));
        vm.startPrank(maker);
        vm.expectRevert(abi.encodeWithSelector(DevelopmentIdentityRegistry.InvalidWallet.selector));
        agents.setAgentWallet(agentId, address(0), deadline, signature);
        uint256 late = block.timestamp + 301;
        vm.expectRevert(abi.encodeWithSelector(DevelopmentIdentityRegistry.InvalidDeadline.selector, late));
        agents.setAgentWallet(agentId, wallet, late, signature);
        vm.expectRevert(abi.encodeWithSelector(DevelopmentIdentityRegistry.InvalidWalletSignature.selector));
        agents.setAgentWallet(agentId, stranger, deadline, signature);
        agents.setAgentWallet(agentId, wallet, deadline, signature);
        vm.assertEq(agents.getAgentWallet(agentId), wallet, "agreed");
        agents.transferFrom(maker, stranger, agentId);
        vm.stopPrank();
        vm.assertEq(agents.getAgentWallet(agentId), address(0), "cleared by the transfer");
        vm.assertTrue(agents.isAuthorizedOrOwner(stranger, agentId), "new owner");
        vm.prank(stranger);
        agents.unsetAgentWallet(agentId);
        vm.assertEq(agents.getVersion(), "2.0.0", "version");
    }
}
