// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {AdapterRelease, Registration, Release} from "../src/AdapterRelease.sol";
import {Adapter, OpenLoraRegistry, ReleaseRecord} from "../src/OpenLoraRegistry.sol";
import {RevenueSplitter} from "../src/RevenueSplitter.sol";
import {Origin} from "../src/RevenueSplitterFactory.sol";
import {Share, Shares} from "../src/Shares.sol";
import {Fixture} from "./lib/Fixture.sol";

/// @notice A contract account that accepts one digest (ERC-1271).
contract SmartAccount {
    bytes32 private immutable _digest;

    constructor(bytes32 digest) {
        _digest = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _digest ? this.isValidSignature.selector : bytes4(0);
    }
}

contract RegistryTest is Fixture {
    address private publisher = person(0);

    function register() private returns (uint256 id, address splitter) {
        vm.prank(publisher);
        return registry.register(aRegistration());
    }

    function test_RegisterStoresEverything() public {
        Registration memory given = aRegistration();
        given.servers = new address[](1);
        given.servers[0] = person(8);
        vm.prank(publisher);
        (uint256 id, address splitter) = registry.register(given);

        vm.assertEq(id, uint256(keccak256(abi.encode(publisher, given.weightsHash))), "id");
        vm.assertEq(registry.idOf(publisher, given.weightsHash), id, "idOf");
        vm.assertEq(registry.ownerOf(id), publisher, "owner");
        Adapter memory adapter = registry.adapter(id);
        vm.assertEq(
            abi.encode(adapter), abi.encode(Adapter(publisher, 1, 500, false, uint40(block.timestamp))), "adapter"
        );
        ReleaseRecord memory expected = ReleaseRecord(
            given.release.manifestSha256,
            given.release.baseRoot,
            given.release.datasetsRoot,
            given.release.price,
            splitter,
            uint40(block.timestamp)
        );
        vm.assertEq(abi.encode(registry.release(id, 1)), abi.encode(expected), "release");
        (uint32 version, ReleaseRecord memory latest) = registry.latestRelease(id);
        vm.assertEq(version, 1, "version");
        vm.assertEq(abi.encode(latest), abi.encode(expected), "latest");
        vm.assertTrue(registry.isServer(id, person(8)), "server");
        vm.assertEq(abi.encode(RevenueSplitter(splitter).shares()), abi.encode(given.shares), "shares");
        Origin memory from = Origin(block.chainid, address(registry), id, 1);
        vm.assertEq(factory.predict(from, given.shares), splitter, "splitter");
        vm.assertEq(registry.splitterFactory(), address(factory), "factory");
    }

    function test_EventsCarryEverything() public {
        Registration memory given = aRegistration();
        uint256 id = registry.idOf(publisher, given.weightsHash);
        address splitter = factory.predict(Origin(block.chainid, address(registry), id, 1), given.shares);
        vm.expectEmit(address(registry));
        emit OpenLoraRegistry.AdapterRegistered(id, publisher, given.weightsHash, given.royaltyBps);
        vm.expectEmit(address(registry));
        emit IERC721.Transfer(address(0), publisher, id);
        vm.expectEmit(address(factory));
        emit SplitterCreated(splitter, id, address(registry), block.chainid, 1, given.shares);
        Release memory it = given.release;
        vm.expectEmit(address(registry));
        emit OpenLoraRegistry.ReleasePublished(
            id, 1, it.manifestSha256, it.baseRoot, it.datasetsRoot, it.price, splitter, it.uri
        );
        register();
    }

    event SplitterCreated(
        address indexed splitter,
        uint256 indexed id,
        address indexed registry,
        uint256 homeChainId,
        uint32 version,
        Share[] shares
    );

    function test_RegisterTwiceIsRefused() public {
        (uint256 id,) = register();
        vm.prank(publisher);
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.AdapterExists.selector, id));
        registry.register(aRegistration());
    }

    function testFuzz_IdsCannotBeSquatted(address other, bytes32 weights) public {
        vm.assume(other != publisher && other != address(0) && weights != 0);
        Registration memory given = aRegistration();
        given.weightsHash = weights;
        vm.prank(other);
        (uint256 squatted,) = registry.register(given);
        vm.prank(publisher);
        (uint256 id,) = registry.register(given);
        vm.assertTrue(id != squatted, "the id belongs to its publisher");
        vm.assertEq(registry.adapter(id).publisher, publisher, "publisher");
    }

    function test_ForeignSplitterCreationDoesNotBlock() public {
        uint256 id = registry.idOf(publisher, aRegistration().weightsHash);
        address early = factory.create(Origin(block.chainid, address(registry), id, 1), threeShares());
        (, address splitter) = register();
        vm.assertEq(splitter, early, "the same splitter");
    }

    function test_RegisterForByOwnSignature() public {
        Registration memory given = aRegistration();
        uint256 deadline = block.timestamp;
        bytes memory signature = sign(0, registry.registrationDigest(publisher, given, deadline));
        vm.prank(person(5));
        (uint256 id,) = registry.registerFor(publisher, given, deadline, signature);
        vm.assertEq(registry.ownerOf(id), publisher, "owner");

        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.AdapterExists.selector, id));
        registry.registerFor(publisher, given, deadline, signature);
    }

    function test_RegisterForByContractSignature() public {
        Registration memory given = aRegistration();
        // A first account's code tells the digest; the publisher is a second one, so take its address first.
        address account = address(0xACC);
        bytes32 digest = registry.registrationDigest(account, given, block.timestamp);
        vm.etch(account, address(new SmartAccount(digest)).code);
        (uint256 id,) = registry.registerFor(account, given, block.timestamp, "");
        vm.assertEq(registry.ownerOf(id), account, "owner");
    }

    function test_RegisterForTooLate() public {
        Registration memory given = aRegistration();
        uint256 deadline = block.timestamp - 1;
        vm.expectRevert(
            abi.encodeWithSelector(OpenLoraRegistry.SignatureExpired.selector, deadline, block.timestamp)
        );
        registry.registerFor(publisher, given, deadline, "");
    }

    function testFuzz_SignatureBindsEveryField(uint256 field) public {
        Registration memory given = aRegistration();
        given.servers = new address[](1);
        given.servers[0] = person(8);
        uint256 deadline = block.timestamp + 1;
        bytes memory signature = sign(0, registry.registrationDigest(publisher, given, deadline));
        field = bound(field, 0, 12);
        address claimed = publisher;
        if (field == 0) given.weightsHash = "other";
        if (field == 1) given.royaltyBps = 501;
        if (field == 2) given.release.manifestSha256 = "other";
        if (field == 3) given.release.baseRoot = "other";
        if (field == 4) given.release.datasetsRoot = "other";
        if (field == 5) given.release.price += 1;
        if (field == 6) given.release.uri = "other";
        if (field == 7) (given.shares[0].ppm, given.shares[1].ppm) = (499_999, 333_334);
        if (field == 8) given.shares[0].recipient = address(1);
        if (field == 9) given.servers[0] = person(5);
        if (field == 10) given.servers = new address[](0);
        if (field == 11) deadline += 1;
        if (field == 12) claimed = person(5);
        bytes32 digest = registry.registrationDigest(claimed, given, deadline);
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.SignatureInvalid.selector, claimed, digest));
        registry.registerFor(claimed, given, deadline, signature);
    }

    function test_SignatureBoundToChainAndContract() public {
        Registration memory given = aRegistration();
        bytes memory signature = sign(0, registry.registrationDigest(publisher, given, block.timestamp));

        OpenLoraRegistry other = newRegistry();
        bytes32 digest = other.registrationDigest(publisher, given, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.SignatureInvalid.selector, publisher, digest));
        other.registerFor(publisher, given, block.timestamp, signature);

        vm.chainId(31338);
        digest = registry.registrationDigest(publisher, given, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.SignatureInvalid.selector, publisher, digest));
        registry.registerFor(publisher, given, block.timestamp, signature);
    }

    function test_RegisterChecksItsInput() public {
        Registration memory given = aRegistration();
        given.weightsHash = 0;
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.DigestMissing.selector, "weightsHash"));
        registry.register(given);

        given = aRegistration();
        given.release.manifestSha256 = 0;
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.DigestMissing.selector, "manifestSha256"));
        registry.register(given);

        given = aRegistration();
        given.royaltyBps = 10_001;
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.RoyaltyInvalid.selector, 10_001, 10_000));
        registry.register(given);

        given = aRegistration();
        given.servers = new address[](1);
        uint256 id = registry.idOf(address(this), given.weightsHash);
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.ServerInvalid.selector, id, address(0)));
        registry.register(given);

        given = aRegistration();
        given.shares[2].ppm = 166_666;
        vm.expectRevert(abi.encodeWithSelector(Shares.ShareSumInvalid.selector, 999_999, 1_000_000));
        registry.register(given);
    }

    function test_PublishVersion() public {
        (uint256 id, address first) = register();
        Release memory next = aRelease();
        next.manifestSha256 = keccak256("manifest 2");
        vm.warp(block.timestamp + 10);
        vm.prank(publisher);
        (uint32 version, address second) = registry.publishVersion(id, next, threeShares());
        vm.assertEq(version, 2, "version");
        vm.assertTrue(first != second, "each version has its splitter");
        vm.assertEq(registry.adapter(id).latestVersion, 2, "latest");
        vm.assertEq(registry.release(id, 1).splitter, first, "first stays");
        vm.assertEq(registry.release(id, 2).splitter, second, "second");
        vm.assertEq(registry.release(id, 2).publishedAt, block.timestamp, "time");

        vm.prank(publisher);
        vm.expectRevert(
            abi.encodeWithSelector(OpenLoraRegistry.ReleaseUnchanged.selector, id, 2, next.manifestSha256)
        );
        registry.publishVersion(id, next, threeShares());
    }

    function test_OnlyTheOwnerManages() public {
        (uint256 id,) = register();
        bytes memory refusal =
            abi.encodeWithSelector(OpenLoraRegistry.NotAdapterOwner.selector, id, address(this), publisher);
        vm.expectRevert(refusal);
        registry.publishVersion(id, aRelease(), threeShares());
        vm.expectRevert(refusal);
        registry.setServer(id, person(8), true);
        vm.expectRevert(refusal);
        registry.pause(id);
        vm.expectRevert(refusal);
        registry.unpause(id);
    }

    function test_OwnershipMovesWithTheToken() public {
        (uint256 id,) = register();
        vm.prank(publisher);
        registry.transferFrom(publisher, person(4), id);
        vm.prank(person(4));
        registry.pause(id);
        vm.assertTrue(registry.adapter(id).paused, "the new owner manages");
        vm.assertEq(registry.adapter(id).publisher, publisher, "the publisher stays");
        vm.prank(publisher);
        vm.expectRevert(
            abi.encodeWithSelector(OpenLoraRegistry.NotAdapterOwner.selector, id, publisher, person(4))
        );
        registry.unpause(id);
    }

    function test_ServersAndPause() public {
        (uint256 id,) = register();
        vm.startPrank(publisher);
        vm.expectEmit(address(registry));
        emit OpenLoraRegistry.ServerSet(id, person(8), true);
        registry.setServer(id, person(8), true);
        vm.assertTrue(registry.isServer(id, person(8)), "authorised");
        registry.setServer(id, person(8), false);
        vm.assertTrue(!registry.isServer(id, person(8)), "no longer");
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.ServerInvalid.selector, id, address(0)));
        registry.setServer(id, address(0), true);
        vm.expectEmit(address(registry));
        emit OpenLoraRegistry.PauseSet(id, true);
        registry.pause(id);
        vm.assertTrue(registry.adapter(id).paused, "paused");
        registry.unpause(id);
        vm.assertTrue(!registry.adapter(id).paused, "not paused");
    }

    function test_UnknownAdapters() public {
        bytes memory unknown = abi.encodeWithSelector(OpenLoraRegistry.AdapterUnknown.selector, 5);
        vm.expectRevert(unknown);
        registry.adapter(5);
        vm.expectRevert(unknown);
        registry.release(5, 1);
        vm.expectRevert(unknown);
        registry.latestRelease(5);
        vm.expectRevert(unknown);
        registry.royaltyInfo(5, 1);
        vm.expectRevert(unknown);
        registry.tokenURI(5);
        vm.expectRevert(unknown);
        registry.pause(5);
        (uint256 id,) = register();
        vm.expectRevert(abi.encodeWithSelector(OpenLoraRegistry.ReleaseUnknown.selector, id, 2));
        registry.release(id, 2);
    }

    function test_RoyaltyGoesToTheNewestSplitter() public {
        (uint256 id, address splitter) = register();
        (address receiver, uint256 amount) = registry.royaltyInfo(id, 10_000);
        vm.assertEq(receiver, splitter, "receiver");
        vm.assertEq(amount, 500, "amount");
    }

    function test_TokenUriNamesTheManifest() public {
        Registration memory given = aRegistration();
        given.release.manifestSha256 = hex"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        (uint256 id,) = registry.register(given);
        vm.assertEq(registry.tokenURI(id), "ni:///sha-256;ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8", "uri");
    }

    function test_Interfaces() public view {
        vm.assertTrue(registry.supportsInterface(type(IERC2981).interfaceId), "ERC-2981");
        vm.assertTrue(registry.supportsInterface(type(IERC721).interfaceId), "ERC-721");
        vm.assertTrue(!registry.supportsInterface(0xffffffff), "nothing else");
        vm.assertEq(registry.name(), "OpenLoRA Adapter", "name");
        vm.assertEq(registry.symbol(), "OLORA", "symbol");
    }

    function test_MulticallRunsAsTheCaller() public {
        Registration memory given = aRegistration();
        uint256 id = registry.idOf(publisher, given.weightsHash);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(registry.register, (given));
        calls[1] = abi.encodeCall(registry.setServer, (id, person(8), true));
        vm.prank(publisher);
        registry.multicall(calls);
        vm.assertTrue(registry.isServer(id, person(8)), "both calls ran");
    }

    function test_ReleaseDigestBindsChainAndContract() public {
        AdapterRelease memory statement =
            AdapterRelease("tone", "1.0.0", "manifest", "files", "base", "datasets", "key", 1_800_000_000);
        bytes32 digest = registry.releaseDigest(statement);
        vm.assertTrue(digest != newRegistry().releaseDigest(statement), "contract");
        vm.chainId(31338);
        vm.assertTrue(digest != registry.releaseDigest(statement), "chain");
    }

    /// Servers come and go in any order, and all end with a transfer.
    function testFuzz_ServersAreWhatTheirOwnerSays(uint256 seed) public {
        (uint256 id,) = register();
        address owner = publisher;
        bool[4] memory expected;
        for (uint256 step = 0; step < 24; ++step) {
            uint256 word = uint256(keccak256(abi.encode(seed, step)));
            vm.prank(owner);
            if (word % 8 == 0) {
                address next = owner == publisher ? person(5) : publisher;
                registry.transferFrom(owner, next, id);
                owner = next;
                delete expected;
            } else {
                uint256 which = (word >> 8) % 4;
                expected[which] = word % 2 == 0;
                registry.setServer(id, person(40 + which), expected[which]);
            }
            for (uint256 i = 0; i < 4; ++i) {
                vm.assertTrue(registry.isServer(id, person(40 + i)) == expected[i], "server");
            }
            vm.assertTrue(!registry.isServer(id, address(0)), "nobody is no server");
        }
    }
}
