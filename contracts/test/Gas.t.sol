// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Registration} from "../src/AdapterRelease.sol";
import {Leaf} from "../src/AttributionAnchor.sol";
import {ContributorPool, Entry} from "../src/ContributorPool.sol";
import {RevenueSplitter} from "../src/RevenueSplitter.sol";
import {ChannelConfig, VoucherClaim} from "../src/x402/Channel.sol";
import {EscrowFixture} from "./Escrow.t.sol";

/// @notice What transactions cost, as their receipts say: each call below is a transaction of its
/// own, with cold storage, intrinsic gas and the price of its data.
/// @dev gas.json keeps the figures; `REGENERATE=true` writes it anew. Limits are fixed here.
/// forge-config: default.isolate = true
contract GasTest is EscrowFixture {
    uint256 private constant CHANNELS = 10;
    uint256 private constant CALLS_PER_CHANNEL = 10_000;
    uint256 private constant EVENTS_PER_ANCHOR = 8_192;

    string private json;
    uint256 private furtherAnchor;

    function test_Gas() public {
        bool write = vm.envOr("REGENERATE", false);
        if (!write) json = vm.readFile("gas.json");
        // A transaction that does nothing: fails when intrinsic gas is not counted.
        (bool done,) = person(20).call("");
        vm.assertTrue(done, "empty call");
        vm.assertEq(vm.lastCallGas().gasTotalUsed, 21_000, "intrinsic gas");

        uint256 id = registers();
        appends(id);
        verifies();
        uint256 perChannel = settles();
        uint256 thousand = perChannel * 1_000 / CALLS_PER_CHANNEL + furtherAnchor * 1_000 / EVENTS_PER_ANCHOR;
        records("perThousandCalls", thousand, 10_000);
        allots();
        if (write) vm.writeFile("gas.json", string.concat("{\n", json, "\n}\n"));
    }

    function registers() private returns (uint256 id) {
        (id,) = registry.register(aRegistration());
        records("registerWithThreeWaySplitter", last(), 350_000);
        Registration memory served = aRegistration();
        served.weightsHash = keccak256("other weights");
        served.servers = new address[](1);
        served.servers[0] = person(8);
        vm.prank(person(0));
        registry.register(served);
        records("registerWithThreeWaySplitterAndServer", last(), 350_000);
    }

    function appends(uint256 id) private {
        registry.setServer(id, person(8), true);
        vm.prank(person(8));
        anchors.anchor(id, keccak256("1"), 0, 8_192, 12_345_678, "https://poa.example/0000001.json");
        records("firstAnchor", last(), 80_000);
        vm.prank(person(8));
        anchors.anchor(id, keccak256("2"), keccak256("1"), 8_192, 12_345_678, "https://poa.example/0000002.json");
        furtherAnchor = last();
        records("furtherAnchor", furtherAnchor, 45_000);
    }

    function verifies() private {
        string memory vectors = vm.readFile("test/vectors.json");
        Leaf memory leaf = abi.decode(vm.parseJsonBytes(vectors, ".tree.encodedLeaf"), (Leaf));
        bytes32 root = vm.parseJsonBytes32(vectors, ".tree.root");
        bytes32[] memory proof = vm.parseJsonBytes32Array(vectors, ".tree.proof");
        // By `call`, because a static call is no transaction.
        bytes memory data = abi.encodeCall(anchors.verifyLeaf, (root, leaf, proof));
        (bool done, bytes memory answer) = address(anchors).call(data);
        vm.assertTrue(done && abi.decode(answer, (bool)), "verifies");
        records("verifyLeafAtDepth13", last(), 40_000);
        // Since Prague a transaction pays at least for its data (EIP-7623); a call from a contract does not.
        uint256 floor = floorOf(data);
        records("verifyLeafAtDepth13AsTransactionSincePrague", last() > floor ? last() : floor, 50_000);
    }

    function floorOf(bytes memory data) private pure returns (uint256) {
        uint256 tokens = 0;
        for (uint256 i = 0; i < data.length; ++i) {
            tokens += data[i] == 0 ? 1 : 4;
        }
        return 21_000 + 10 * tokens;
    }

    /// @return What one of many channels costs its seller: claim, settlement and three releases.
    function settles() private returns (uint256) {
        RevenueSplitter splitter = aSplitter();
        round(splitter, 100, 1);
        uint256 first = last();
        round(splitter, 200, CHANNELS);
        uint256 many = last();
        records("claimOneChannel", first, 70_000);
        records("claimTenChannels", many, 250_000);
        round(splitter, 300, 1);
        uint256 one = last();
        round(splitter, 400, CHANNELS);
        many = last();
        records("claimFurtherChannel", (many - one) / (CHANNELS - 1), 20_000);
        escrow.settle(address(splitter), address(token));
        uint256 settle = last();
        records("firstSettle", settle, 70_000);
        releases(splitter, "firstRelease", 110_000);
        round(splitter, 500, CHANNELS);
        many = last();
        escrow.settle(address(splitter), address(token));
        settle = last();
        records("settle", settle, 65_000);
        uint256 released = releases(splitter, "release", 60_000);
        return (many + settle + released) / CHANNELS;
    }

    function releases(RevenueSplitter splitter, string memory name, uint256 limit) private returns (uint256 sum) {
        address[3] memory to = recipients();
        uint256 dearest = 0;
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(to[i]);
            splitter.release(address(token), to[i]);
            sum += last();
            if (last() > dearest) dearest = last();
        }
        records(name, dearest, limit);
    }

    /// @dev Three contributors, as in a small pool. A claim fetches everything in force, so further
    /// proposals cost it nothing.
    function allots() private {
        ContributorPool pool = aPool();
        address[3] memory to = recipients();
        Entry[] memory entries = new Entry[](3);
        for (uint256 i = 0; i < 3; ++i) {
            entries[i] = Entry(to[i], 12_345_678);
        }
        for (uint256 i = 0; i < 2; ++i) {
            bool first = i == 0;
            token.mint(address(pool), 3 * 12_345_678);
            vm.prank(person(9));
            pool.propose(address(token), "sums", entries);
            records(first ? "firstProposal" : "proposal", last(), first ? 150_000 : 100_000);
            vm.warp(block.timestamp + 1 days);
            pool.activate(address(token), entries);
            records(first ? "firstActivation" : "activation", last(), first ? 130_000 : 80_000);
            pool.claim(address(token), to[0]);
            records(first ? "firstClaim" : "claim", last(), first ? 110_000 : 70_000);
        }
        token.mint(address(pool), 3 * 12_345_678);
        vm.prank(person(9));
        pool.propose(address(token), "sums", entries);
        vm.prank(to[0]);
        pool.contest(address(token));
        records("contest", last(), 90_000);
    }

    /// @dev Claims up to a total in the first channels.
    function round(RevenueSplitter splitter, uint128 total, uint256 count) private {
        VoucherClaim[] memory rows = new VoucherClaim[](count);
        for (uint256 i = 0; i < count; ++i) {
            // Salts are random words, as clients draw them.
            ChannelConfig memory channel = config(uint256(keccak256(abi.encode(i))));
            channel.receiver = address(splitter);
            fund(channel, 1_000_000);
            rows[i] = voucherBy(1, channel, total * 1_000, total * 1_000);
        }
        vm.prank(person(3));
        escrow.claim(rows);
    }

    function last() private view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed;
    }

    function records(string memory name, uint256 gas, uint256 limit) private {
        vm.assertLe(gas, limit, name);
        if (vm.envOr("REGENERATE", false)) {
            string memory line = string.concat(
                '  "', name, '": { "gas": ', vm.toString(gas), ', "limit": ', vm.toString(limit), " }"
            );
            json = bytes(json).length == 0 ? line : string.concat(json, ",\n", line);
            return;
        }
        vm.assertEq(gas, vm.parseJsonUint(json, string.concat(".", name, ".gas")), name);
        vm.assertEq(limit, vm.parseJsonUint(json, string.concat(".", name, ".limit")), name);
    }
}
