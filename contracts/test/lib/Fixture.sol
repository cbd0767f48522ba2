// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AttributionAnchor, Leaf} from "../../src/AttributionAnchor.sol";
import {Registration, Release} from "../../src/AdapterRelease.sol";
import {ContributorPool} from "../../src/ContributorPool.sol";
import {ContributorPoolFactory} from "../../src/ContributorPoolFactory.sol";
import {DevelopmentToken} from "../../src/DevelopmentToken.sol";
import {OpenLoraRegistry} from "../../src/OpenLoraRegistry.sol";
import {RevenueSplitter} from "../../src/RevenueSplitter.sol";
import {Origin, RevenueSplitterFactory} from "../../src/RevenueSplitterFactory.sol";
import {Share} from "../../src/Shares.sol";
import {Test} from "./Test.sol";

/// @notice All contracts of a home chain and the values that tests vary.
abstract contract Fixture is Test {
    DevelopmentToken internal token;
    RevenueSplitterFactory internal factory;
    ContributorPoolFactory internal pools;
    OpenLoraRegistry internal registry;
    AttributionAnchor internal anchors;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        token = newToken();
        factory = RevenueSplitterFactory(deploy("RevenueSplitterFactory", ""));
        pools = ContributorPoolFactory(deploy("ContributorPoolFactory", ""));
        registry = newRegistry();
        anchors = AttributionAnchor(deploy("AttributionAnchor", abi.encode(registry)));
    }

    function newToken() internal returns (DevelopmentToken) {
        return DevelopmentToken(deploy("DevelopmentToken", ""));
    }

    function newRegistry() internal returns (OpenLoraRegistry) {
        return OpenLoraRegistry(deploy("OpenLoraRegistry", abi.encode(factory)));
    }

    /// @dev The three recipients in ascending order, as lists of shares want them.
    function recipients() internal pure returns (address[3] memory sorted) {
        sorted = [person(1), person(2), person(3)];
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 j = i + 1; j < 3; ++j) {
                if (sorted[j] < sorted[i]) (sorted[i], sorted[j]) = (sorted[j], sorted[i]);
            }
        }
    }

    function threeShares() internal pure returns (Share[] memory shares) {
        address[3] memory sorted = recipients();
        shares = new Share[](3);
        shares[0] = Share(sorted[0], 500_000);
        shares[1] = Share(sorted[1], 333_333);
        shares[2] = Share(sorted[2], 166_667);
    }

    function aRelease() internal pure returns (Release memory) {
        return Release({
            manifestSha256: keccak256("manifest"),
            baseRoot: keccak256("base"),
            datasetsRoot: keccak256("datasets"),
            price: 1_500,
            uri: "oci://registry.example/adapters/tone:1"
        });
    }

    function aRegistration() internal pure returns (Registration memory registration) {
        registration.weightsHash = keccak256("weights");
        registration.royaltyBps = 500;
        registration.release = aRelease();
        registration.shares = threeShares();
        registration.servers = new address[](0);
    }

    function origin() internal view returns (Origin memory) {
        return Origin(block.chainid, address(registry), 7, 1);
    }

    function aSplitter() internal returns (RevenueSplitter) {
        return RevenueSplitter(factory.create(origin(), threeShares()));
    }

    function aPool() internal returns (ContributorPool) {
        return ContributorPool(pools.create(person(9), 1 days, 500_001, threeShares(), "salt"));
    }

    function aLeaf(uint256 number) internal pure returns (Leaf memory) {
        return Leaf({
            eventId: keccak256(abi.encode("event", number)),
            adapterId: 7,
            version: 1,
            chainId: 31337,
            channelId: keccak256("channel"),
            cumulative: uint128(1_500 * (number + 1)),
            charged: 1_500,
            requestHash: keccak256(abi.encode("request", number)),
            responseHash: keccak256(abi.encode("response", number)),
            contributionsRoot: keccak256(abi.encode("shares", number)),
            time: uint64(1_800_000_000_000 + number)
        });
    }

    function hashPair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }
}
