// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DevelopmentToken} from "../src/DevelopmentToken.sol";
import {RevenueSplitter} from "../src/RevenueSplitter.sol";
import {Origin, RevenueSplitterFactory} from "../src/RevenueSplitterFactory.sol";
import {Share, Shares} from "../src/Shares.sol";
import {Fixture} from "./lib/Fixture.sol";
import {Test} from "./lib/Test.sol";

contract SplitterTest is Fixture {
    function test_ReleasePaysTheCallersShare() public {
        RevenueSplitter splitter = aSplitter();
        Share[] memory shares = threeShares();
        token.mint(address(splitter), 1_000_001);
        vm.expectEmit(address(splitter));
        emit RevenueSplitter.Released(address(token), shares[1].recipient, person(6), 333_333);
        vm.prank(shares[1].recipient);
        uint256 amount = splitter.release(address(token), person(6));
        vm.assertEq(amount, 333_333, "amount");
        vm.assertEq(token.balanceOf(person(6)), 333_333, "paid");
        vm.assertEq(splitter.released(address(token), shares[1].recipient), 333_333, "released");
        vm.assertEq(splitter.totalReleased(address(token)), 333_333, "total");
        vm.assertEq(splitter.pending(address(token), shares[1].recipient), 0, "nothing left");
        vm.assertEq(splitter.pending(address(token), shares[0].recipient), 500_000, "others keep theirs");
    }

    function testFuzz_NobodyReleasesAnothersShare(address caller) public {
        RevenueSplitter splitter = aSplitter();
        Share[] memory shares = threeShares();
        vm.assume(caller != address(0) && caller != address(splitter));
        for (uint256 i = 0; i < 3; ++i) {
            vm.assume(caller != shares[i].recipient);
        }
        token.mint(address(splitter), 1e6);
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplitter.NotRecipient.selector, caller));
        splitter.release(address(token), caller);
    }

    function test_ReleaseRefusals() public {
        RevenueSplitter splitter = aSplitter();
        address recipient = threeShares()[0].recipient;
        vm.startPrank(recipient);
        vm.expectRevert(
            abi.encodeWithSelector(RevenueSplitter.NothingToRelease.selector, address(token), recipient)
        );
        splitter.release(address(token), recipient);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplitter.DestinationInvalid.selector, address(0)));
        splitter.release(address(token), address(0));
        vm.expectRevert(abi.encodeWithSelector(RevenueSplitter.DestinationInvalid.selector, address(splitter)));
        splitter.release(address(token), address(splitter));
    }

    function test_TheCodeItselfHoldsNothing() public {
        RevenueSplitter code = RevenueSplitter(factory.implementation());
        vm.expectRevert(abi.encodeWithSelector(RevenueSplitter.NotAClone.selector, address(code)));
        code.shares();
    }

    function test_TokensAreApart() public {
        RevenueSplitter splitter = aSplitter();
        DevelopmentToken second = newToken();
        token.mint(address(splitter), 100);
        second.mint(address(splitter), 50);
        address recipient = threeShares()[0].recipient;
        vm.startPrank(recipient);
        splitter.release(address(token), recipient);
        vm.assertEq(splitter.pending(address(second), recipient), 25, "the second token is untouched");
    }

    function testFuzz_SharesSurvivePacking(uint256 seed, uint256 count) public {
        count = bound(count, 1, 200);
        Share[] memory shares = new Share[](count);
        uint256 left = 1_000_000;
        for (uint256 i = 0; i < count; ++i) {
            uint256 gap = uint256(keccak256(abi.encode(seed, i))) % 1e30;
            address recipient = address(uint160(i * 1e30 + gap + 1));
            uint256 ppm = i + 1 == count ? left : 1 + gap % (1_000_000 / count - 1 + (count == 1 ? 1 : 0));
            left -= ppm;
            shares[i] = Share(recipient, uint32(ppm));
        }
        RevenueSplitter splitter = RevenueSplitter(factory.create(origin(), shares));
        vm.assertEq(abi.encode(splitter.shares()), abi.encode(shares), "shares");
    }

    function test_BadLists() public {
        Share[] memory shares = new Share[](0);
        refused(shares, abi.encodeWithSelector(Shares.RecipientCountInvalid.selector, 0, 200));
        shares = new Share[](201);
        refused(shares, abi.encodeWithSelector(Shares.RecipientCountInvalid.selector, 201, 200));

        shares = threeShares();
        shares[0].recipient = address(0);
        refused(shares, abi.encodeWithSelector(Shares.RecipientInvalid.selector, 0, address(0)));

        shares = threeShares();
        shares[1].ppm = 0;
        refused(shares, abi.encodeWithSelector(Shares.ShareMissing.selector, 1, shares[1].recipient));

        shares = threeShares();
        shares[1].recipient = shares[0].recipient;
        refused(shares, abi.encodeWithSelector(Shares.RecipientDuplicate.selector, 1, shares[0].recipient));

        shares = threeShares();
        (shares[0].recipient, shares[1].recipient) = (shares[1].recipient, shares[0].recipient);
        refused(
            shares,
            abi.encodeWithSelector(
                Shares.RecipientsUnsorted.selector, 1, shares[0].recipient, shares[1].recipient
            )
        );

        shares = threeShares();
        shares[0].ppm = 499_999;
        refused(shares, abi.encodeWithSelector(Shares.ShareSumInvalid.selector, 999_999, 1_000_000));

        shares = threeShares();
        shares[0].ppm = type(uint32).max;
        refused(shares, abi.encodeWithSelector(Shares.ShareSumInvalid.selector, 4_295_467_295, 1_000_000));
    }

    function refused(Share[] memory shares, bytes memory refusal) private {
        Origin memory from = origin();
        vm.expectRevert(refusal);
        factory.create(from, shares);
        vm.expectRevert(refusal);
        factory.predict(from, shares);
    }

    function test_AddressDependsOnOriginAndShares() public {
        Origin memory from = origin();
        Share[] memory shares = threeShares();
        address first = factory.create(from, shares);
        vm.assertEq(factory.create(from, shares), first, "creating again gives the same");
        vm.assertEq(factory.predict(from, shares), first, "predicted");
        vm.assertEq(
            factory.saltOf(from),
            keccak256(abi.encode(from.homeChainId, from.registry, from.id, from.version)),
            "salt"
        );
        from.homeChainId += 1;
        vm.assertTrue(factory.predict(from, shares) != first, "home chain");
        from = origin();
        from.registry = address(1);
        vm.assertTrue(factory.predict(from, shares) != first, "registry");
        from = origin();
        from.id += 1;
        vm.assertTrue(factory.predict(from, shares) != first, "id");
        from = origin();
        from.version += 1;
        vm.assertTrue(factory.predict(from, shares) != first, "version");
        (shares[0].ppm, shares[1].ppm) = (shares[1].ppm, shares[0].ppm);
        vm.assertTrue(factory.predict(origin(), shares) != first, "shares");
    }

    /// @dev The program that forwards its input after the first word to CREATE2 with that word as salt.
    bytes private constant DEPLOYER =
        hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

    function test_SameAddressOnEveryChain() public {
        address deployer = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
        vm.etch(deployer, DEPLOYER);
        bytes memory code = vm.getCode("artifacts/RevenueSplitterFactory.json");
        address expected =
            address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", deployer, bytes32(0), keccak256(code))))));
        (bool done, bytes memory answer) = deployer.call(bytes.concat(bytes32(0), code));
        vm.assertTrue(done, "deployed");
        vm.assertEq(address(bytes20(answer)), expected, "factory");
        Origin memory from = origin();
        address here = RevenueSplitterFactory(expected).predict(from, threeShares());
        vm.chainId(31338);
        vm.assertEq(RevenueSplitterFactory(expected).create(from, threeShares()), here, "elsewhere the same");
    }
}

/// @notice Pays into a splitter and lets recipients fetch, in any order.
contract SplitterHandler is Test {
    RevenueSplitter private immutable _splitter;
    DevelopmentToken private immutable _token;
    Share[] private _shares;
    uint256 public income;
    uint256 public fetched;

    constructor(RevenueSplitter splitter, DevelopmentToken token, Share[] memory shares) {
        _splitter = splitter;
        _token = token;
        for (uint256 i = 0; i < shares.length; ++i) {
            _shares.push(shares[i]);
        }
    }

    function pay(uint256 amount) external {
        amount = bound(amount, 0, 1e15);
        _token.mint(address(_splitter), amount);
        income += amount;
    }

    function payDust(uint256 amount) external {
        amount = bound(amount, 0, 3);
        _token.mint(address(_splitter), amount);
        income += amount;
    }

    function fetch(uint256 who) external {
        address recipient = _shares[who % _shares.length].recipient;
        uint256 pending = _splitter.pending(address(_token), recipient);
        if (pending == 0) return;
        vm.prank(recipient);
        fetched += _splitter.release(address(_token), recipient);
    }
}

contract SplitterInvariants is Fixture {
    RevenueSplitter private splitter;
    SplitterHandler private handler;

    function setUp() public override {
        super.setUp();
        splitter = aSplitter();
        handler = new SplitterHandler(splitter, token, threeShares());
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = SplitterHandler.pay.selector;
        selectors[1] = SplitterHandler.payDust.selector;
        selectors[2] = SplitterHandler.fetch.selector;
        target(address(handler), selectors);
    }

    function invariant_IncomeIsReleasedOrHeld() public view {
        uint256 held = token.balanceOf(address(splitter));
        vm.assertEq(handler.income(), handler.fetched() + held, "in = released + held");
        vm.assertEq(splitter.totalReleased(address(token)), handler.fetched(), "books");
    }

    function invariant_EveryClaimIsCovered() public view {
        Share[] memory shares = threeShares();
        uint256 owed = 0;
        uint256 released = 0;
        for (uint256 i = 0; i < shares.length; ++i) {
            uint256 pending = splitter.pending(address(token), shares[i].recipient);
            uint256 got = splitter.released(address(token), shares[i].recipient);
            vm.assertEq(pending + got, handler.income() * shares[i].ppm / 1_000_000, "exactly the share");
            vm.assertEq(token.balanceOf(shares[i].recipient), got, "it reached its owner");
            owed += pending;
            released += got;
        }
        uint256 held = token.balanceOf(address(splitter));
        vm.assertLe(owed, held, "claims never exceed the balance");
        vm.assertLe(held - owed, shares.length - 1, "dust stays below one unit per recipient");
        vm.assertEq(released, handler.fetched(), "sum of releases");
    }
}
