// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AdapterRelease, Registration} from "../src/AdapterRelease.sol";
import {Leaf} from "../src/AttributionAnchor.sol";
import {Entry} from "../src/ContributorPool.sol";
import {OpenLoraRegistry} from "../src/OpenLoraRegistry.sol";
import {Share} from "../src/Shares.sol";
import {BatchSettlementEscrow} from "../src/x402/BatchSettlementEscrow.sol";
import {ChannelConfig, Voucher, VoucherClaim} from "../src/x402/Channel.sol";
import {ERC3009DepositCollector} from "../src/x402/ERC3009DepositCollector.sol";
import {DevelopmentToken} from "../src/DevelopmentToken.sol";
import {Fixture} from "./lib/Fixture.sol";

/// @notice The contracts against viem, OpenZeppelin's merkle-tree and the stock x402 client.
contract VectorsTest is Fixture {
    address private constant ESCROW = 0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003;
    address private constant COLLECTOR = 0x4020806089470a89826cB9fB1f4059150b550004;

    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("test/vectors.json");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        // Immutables come along with the code; the domain is built anew for the new address.
        vm.etch(account(".registry"), address(registry).code);
        registry = OpenLoraRegistry(account(".registry"));
        vm.etch(account(".token"), address(token).code);
        token = DevelopmentToken(account(".token"));
    }

    function test_ReleaseDigest() public view {
        AdapterRelease memory statement = AdapterRelease({
            name: vm.parseJsonString(json, ".release.message.name"),
            version: vm.parseJsonString(json, ".release.message.version"),
            manifestSha256: word(".release.message.manifestSha256"),
            filesRoot: word(".release.message.filesRoot"),
            baseRoot: word(".release.message.baseRoot"),
            datasetsRoot: word(".release.message.datasetsRoot"),
            omsKeySha256: word(".release.message.omsKeySha256"),
            createdAt: uint64(number(".release.message.createdAt"))
        });
        vm.assertEq(registry.releaseDigest(statement), word(".release.digest"), "digest");
    }

    function test_Registration() public {
        Registration memory given;
        given.weightsHash = word(".registration.message.weightsHash");
        given.royaltyBps = uint16(number(".registration.message.royaltyBps"));
        given.release.manifestSha256 = word(".registration.message.release.manifestSha256");
        given.release.baseRoot = word(".registration.message.release.baseRoot");
        given.release.datasetsRoot = word(".registration.message.release.datasetsRoot");
        given.release.price = uint128(number(".registration.message.release.price"));
        given.release.uri = vm.parseJsonString(json, ".registration.message.release.uri");
        given.shares = new Share[](2);
        given.shares[0].recipient = account(".registration.message.shares[0].recipient");
        given.shares[0].ppm = uint32(number(".registration.message.shares[0].ppm"));
        given.shares[1].recipient = account(".registration.message.shares[1].recipient");
        given.shares[1].ppm = uint32(number(".registration.message.shares[1].ppm"));
        given.servers = new address[](2);
        given.servers[0] = account(".registration.message.servers[0]");
        given.servers[1] = account(".registration.message.servers[1]");
        address publisher = account(".registration.message.publisher");
        uint256 deadline = number(".registration.message.deadline");
        vm.assertEq(
            registry.registrationDigest(publisher, given, deadline), word(".registration.digest"), "digest"
        );
        (uint256 id,) = registry.registerFor(publisher, given, deadline, raw(".registration.signature"));
        vm.assertEq(registry.ownerOf(id), publisher, "viem's signature registers");
    }

    function test_TreeOfDepthThirteen() public view {
        Leaf memory leaf = abi.decode(raw(".tree.encodedLeaf"), (Leaf));
        vm.assertEq(anchors.leafHash(leaf), word(".tree.leafHash"), "leaf");
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, ".tree.proof");
        vm.assertEq(proof.length, 13, "depth");
        vm.assertTrue(anchors.verifyLeaf(word(".tree.root"), leaf, proof), "verifies");
    }

    function test_Entries() public {
        Entry[] memory entries = new Entry[](3);
        for (uint256 i = 0; i < 3; ++i) {
            string memory place = string.concat(".allotment.entries[", vm.toString(i), "]");
            entries[i].contributor = account(string.concat(place, ".contributor"));
            entries[i].amount = uint128(number(string.concat(place, ".amount")));
        }
        vm.assertEq(aPool().hashOf(entries), word(".allotment.hash"), "hash");
    }

    function test_StockClientsChannel() public {
        vm.etch(ESCROW, deploy("BatchSettlementEscrow", "").code);
        vm.etch(COLLECTOR, deploy("ERC3009DepositCollector", "").code);
        BatchSettlementEscrow escrow = BatchSettlementEscrow(ESCROW);
        ChannelConfig memory config = channelConfig();
        bytes32 channelId = escrow.getChannelId(config);
        vm.assertEq(channelId, word(".channel.channelId"), "channel");

        token.mint(config.payer, 100_000);
        escrow.deposit(config, 100_000, COLLECTOR, raw(".channel.collectorData"));
        vm.assertEq(token.balanceOf(ESCROW), 100_000, "the stock authorization deposits");

        VoucherClaim[] memory rows = new VoucherClaim[](1);
        rows[0] = VoucherClaim(Voucher(config, 2_500), raw(".channel.voucher.signature"), 2_400);
        vm.prank(config.receiver);
        escrow.claim(rows);
        escrow.settle(config.receiver, config.token);
        vm.assertEq(token.balanceOf(config.receiver), 2_400, "the stock voucher pays");
    }

    function channelConfig() private view returns (ChannelConfig memory) {
        return ChannelConfig({
            payer: account(".channel.config.payer"),
            payerAuthorizer: account(".channel.config.payerAuthorizer"),
            receiver: account(".channel.config.receiver"),
            receiverAuthorizer: account(".channel.config.receiverAuthorizer"),
            token: account(".channel.config.token"),
            withdrawDelay: uint40(number(".channel.config.withdrawDelay")),
            salt: word(".channel.config.salt")
        });
    }

    function word(string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, path);
    }

    function number(string memory path) private view returns (uint256) {
        return vm.parseJsonUint(json, path);
    }

    function account(string memory path) private view returns (address) {
        return vm.parseJsonAddress(json, path);
    }

    function raw(string memory path) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, path);
    }
}
