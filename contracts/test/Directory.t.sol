// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ServerDirectory} from "../src/ServerDirectory.sol";
import {Fixture} from "./lib/Fixture.sol";

contract DirectoryTest is Fixture {
    ServerDirectory private directory;
    address private server = person(0);
    address private other = person(1);

    function setUp() public override {
        super.setUp();
        directory = ServerDirectory(deploy("ServerDirectory", ""));
    }

    function announce(address who, string memory url) private {
        vm.expectEmit(address(directory));
        emit ServerDirectory.ServerAnnounced(who, url);
        vm.prank(who);
        directory.announce(url);
    }

    function test_EachAccountStatesItsOwnUrl() public {
        vm.assertEq(directory.urlOf(server), "", "nothing is stated at first");
        announce(server, "https://one.example");
        announce(other, "https://two.example");
        vm.assertEq(directory.urlOf(server), "https://one.example", "the first server's");
        vm.assertEq(directory.urlOf(other), "https://two.example", "the second server's");
    }

    function test_TheLastUrlCountsAndAnEmptyOneWithdrawsIt() public {
        announce(server, "https://one.example/a/long/path/that/takes/more/than/one/word");
        announce(server, "https://two.example");
        vm.assertEq(directory.urlOf(server), "https://two.example", "the last");
        announce(server, "");
        vm.assertEq(directory.urlOf(server), "", "withdrawn");
    }

    function testFuzz_UrlsAreBounded(uint16 length) public {
        string memory url = string(new bytes(length));
        if (length > 256) {
            vm.expectRevert(abi.encodeWithSelector(ServerDirectory.UrlTooLong.selector, length, 256));
        }
        vm.prank(server);
        directory.announce(url);
        vm.assertEq(directory.urlOf(server), length > 256 ? "" : url, "kept or refused");
    }
}
