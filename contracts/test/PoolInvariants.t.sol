// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Account, ContributorPool, Entry} from "../src/ContributorPool.sol";
import {DevelopmentToken} from "../src/DevelopmentToken.sol";
import {Share} from "../src/Shares.sol";
import {Fixture} from "./lib/Fixture.sol";
import {Test} from "./lib/Test.sol";

/// @notice Everybody around a pool, all of them hostile: the operator proposes whatever it likes to
/// whomever it likes, takes back and falls silent; contributors contest, demand and divide at any
/// moment; strangers try everything. What succeeds is written down here from what the rules say,
/// not from what the pool says.
contract PoolHandler is Test {
    ContributorPool private immutable _pool;
    DevelopmentToken private immutable _token;
    address private immutable _operator;
    Share[] private _shares;
    /// @dev Three contributors, and an accomplice of the operator without a static share.
    address[4] public people;
    Entry[] private _waiting;
    uint256 private _proposed;

    mapping(uint256 round => mapping(uint256 who => bool)) private _contested;

    uint256 public income;
    uint256 public paid;
    uint256 public divided;
    mapping(address person => uint256 amount) public allotted;
    mapping(address person => uint256 amount) public fetched;
    /// @dev The most that each was ever entitled to.
    mapping(address person => uint256 amount) public floor;
    uint256 public inForce;

    constructor(ContributorPool pool, DevelopmentToken token, Share[] memory shares) {
        _pool = pool;
        _token = token;
        (_operator,) = pool.terms();
        for (uint256 i = 0; i < shares.length; ++i) {
            _shares.push(shares[i]);
            people[i] = shares[i].recipient;
        }
        people[3] = person(66);
    }

    /// @dev Whatever happened, nobody is entitled to less than before.
    modifier watched() {
        _;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 now_ = entitled(people[i]);
            require(now_ >= floor[people[i]], "an entitlement shrank");
            floor[people[i]] = now_;
        }
    }

    function pay(uint256 amount) external watched {
        amount = bound(amount, 0, 1e12);
        _token.mint(address(_pool), amount);
        income += amount;
    }

    function propose(uint256 seed) external watched {
        uint256 free = income - inForce - divided;
        uint256 count = 1 + seed % 4;
        Entry[] memory entries = new Entry[](count);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            // Now and then more than there is, or to the pool itself.
            entries[i].contributor = word % 23 == 0 ? address(_pool) : people[word % 4];
            entries[i].amount = uint128((word >> 8) % (free / 2 + 2));
            total += entries[i].amount;
        }
        vm.prank(_operator);
        try _pool.propose(address(_token), bytes32(seed), entries) {
            require(total <= free, "an unfunded proposal");
            delete _waiting;
            _proposed = total;
            for (uint256 i = 0; i < count; ++i) {
                require(entries[i].contributor != address(_pool), "the pool pays itself");
                _waiting.push(entries[i]);
            }
        } catch {}
    }

    function withdraw(uint256 seed) external watched {
        if (seed % 5 != 0) return;
        uint256 due = _pool.accountOf(address(_token)).due;
        vm.prank(_operator);
        try _pool.withdrawProposal(address(_token)) {
            require(block.timestamp < due, "what is due was withdrawn");
        } catch {}
    }

    function activate(uint256 seed) external watched {
        Entry[] memory entries = _waiting;
        bool forged = seed % 7 == 0 && entries.length > 0;
        if (forged) entries[0].amount += 1;
        vm.prank(person(70 + seed % 3));
        try _pool.activate(address(_token), entries) {
            require(!forged, "forged entries");
            inForce += _proposed;
            for (uint256 i = 0; i < entries.length; ++i) {
                allotted[entries[i].contributor] += entries[i].amount;
            }
        } catch {}
    }

    /// @dev Nothing of it moves money, but when everybody agrees.
    function contest(uint256 who) external watched {
        Account memory before = _pool.accountOf(address(_token));
        vm.prank(people[who % 4]);
        try _pool.contest(address(_token)) {
            require(who % 4 != 3, "somebody without a static share");
            require(!_contested[before.round][who % 4], "contested twice");
            require(block.timestamp < before.due, "what is due was contested");
            _contested[before.round][who % 4] = true;
            Account memory account = _pool.accountOf(address(_token));
            if (account.divided == before.divided) return;
            require(account.against == 1_000_000, "divided by less than everybody");
            divided += _proposed;
        } catch {}
    }

    /// @dev Two who are no quorum together.
    function contestByTwo(bool first) external watched {
        this.contest(first ? 1 : 2);
        this.contest(first ? 2 : 1);
    }

    function demand(uint256 who) external watched {
        uint256 free = unpromised();
        vm.prank(people[who % 4]);
        try _pool.demand(address(_token)) {
            require(who % 4 != 3, "somebody without a static share");
            require(free >= 10_000, "a demand on a quiet pool");
            require(_pool.accountOf(address(_token)).demanded == free, "what is demanded");
        } catch {}
    }

    function divide(uint256 seed) external watched {
        Account memory account = _pool.accountOf(address(_token));
        uint256 free = unpromised();
        vm.prank(person(70 + seed % 3));
        try _pool.divideStatically(address(_token)) {
            require(block.timestamp > account.answerBy, "before the answer's time");
            require(account.demanded <= free, "more than nothing promises");
            divided += account.demanded;
        } catch {}
    }

    function wait(uint256 time) external watched {
        vm.warp(block.timestamp + bound(time, 1, time % 3 == 0 ? 20 days : 1 days));
    }

    function claim(uint256 who) external watched {
        address contributor = people[who % 4];
        uint256 owed = entitled(contributor) - fetched[contributor];
        vm.prank(person(70 + who % 3));
        try _pool.claim(address(_token), contributor) returns (uint256 amount) {
            require(amount == owed && amount != 0, "more or less than is owed");
            fetched[contributor] += amount;
            paid += amount;
        } catch {
            require(owed == 0, "what is owed cannot be fetched");
        }
    }

    /// @dev Whatever strangers try fails.
    function trespass(uint256 seed) external watched {
        address stranger = person(80 + seed % 5);
        bytes[5] memory calls = [
            abi.encodeCall(_pool.propose, (address(_token), bytes32(0), _waiting)),
            abi.encodeCall(_pool.withdrawProposal, (address(_token))),
            abi.encodeCall(_pool.contest, (address(_token))),
            abi.encodeCall(_pool.demand, (address(_token))),
            abi.encodeCall(_pool.claim, (address(_token), stranger))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(stranger);
            (bool done,) = address(_pool).call(calls[i]);
            require(!done, "a stranger did it");
        }
    }

    /// @notice What is neither allotted nor proposed.
    function unpromised() public view returns (uint256) {
        Account memory account = _pool.accountOf(address(_token));
        return income - inForce - divided - (account.pending == 0 ? 0 : _proposed);
    }

    /// @notice What the rules give a person.
    function entitled(address who) public view returns (uint256 amount) {
        amount = allotted[who];
        for (uint256 i = 0; i < _shares.length; ++i) {
            if (_shares[i].recipient == who) amount += divided * _shares[i].ppm / 1_000_000;
        }
    }
}

contract PoolInvariants is Fixture {
    ContributorPool private pool;
    PoolHandler private handler;

    function setUp() public override {
        super.setUp();
        pool = aPool();
        handler = new PoolHandler(pool, token, threeShares());
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = PoolHandler.pay.selector;
        selectors[1] = PoolHandler.propose.selector;
        selectors[2] = PoolHandler.withdraw.selector;
        selectors[3] = PoolHandler.activate.selector;
        selectors[4] = PoolHandler.contest.selector;
        selectors[5] = PoolHandler.contestByTwo.selector;
        selectors[6] = PoolHandler.demand.selector;
        selectors[7] = PoolHandler.divide.selector;
        selectors[8] = PoolHandler.wait.selector;
        selectors[9] = PoolHandler.claim.selector;
        selectors[10] = PoolHandler.trespass.selector;
        // Proposals take force only when somebody activates them: give that a second chance.
        selectors[11] = PoolHandler.activate.selector;
        target(address(handler), selectors);
    }

    /// Whatever is in force can be fetched, to the unit, whoever else fetched first.
    function afterInvariant() public {
        for (uint256 i = 0; i < 4; ++i) {
            address who = handler.people(i);
            uint256 owed = handler.entitled(who) - handler.fetched(who);
            if (owed == 0) continue;
            vm.assertEq(pool.claim(address(token), who), owed, "claimable");
        }
    }

    function invariant_IncomeIsPaidOrHeld() public view {
        vm.assertEq(handler.income(), handler.paid() + token.balanceOf(address(pool)), "in = paid + held");
        vm.assertEq(pool.received(address(token)), handler.income(), "books");
        vm.assertEq(pool.accountOf(address(token)).paid, handler.paid(), "paid");
    }

    function invariant_NeverMoreThanArrived() public view {
        Account memory account = pool.accountOf(address(token));
        vm.assertEq(account.divided, handler.divided(), "static shares take what is theirs");
        vm.assertEq(account.allotted, handler.inForce() + handler.divided(), "allotted");
        vm.assertLe(account.allotted, handler.income(), "no more than arrived");
        uint256 free = handler.income() - account.allotted;
        vm.assertEq(pool.unallotted(address(token)), free, "the rest is unallotted");
        if (account.pending != 0) vm.assertLe(account.proposed, free, "a proposal stays funded");
    }

    function invariant_EverybodyHasWhatTheRulesGive() public view {
        uint256 owed = 0;
        for (uint256 i = 0; i < 4; ++i) {
            address who = handler.people(i);
            uint256 theirs = handler.entitled(who) - handler.fetched(who);
            vm.assertEq(pool.owed(address(token), who), theirs, "no more and no less");
            vm.assertEq(token.balanceOf(who), handler.fetched(who), "fetched");
            owed += theirs;
        }
        vm.assertLe(owed, token.balanceOf(address(pool)), "everything owed is covered");
    }
}
