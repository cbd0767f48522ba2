// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {RevenueSplitter} from "./RevenueSplitter.sol";
import {Share, Shares} from "./Shares.sol";

/// @notice What a proposal gives to one contributor.
/// @param contributor Who.
/// @param amount Base units of the token, on top of what earlier proposals gave.
struct Entry {
    address contributor;
    uint128 amount;
}

/// @notice How the pool stands in one token. Amounts are base units of the token.
/// @param pending Hash of the entries that wait to take force; zero when none do.
/// @param allotted All that is promised: entries in force and what static shares divide.
/// @param paid All that was paid out.
/// @param divided The part of `allotted` that static shares divide.
/// @param proposed Sum of the entries that wait, or that were refused last.
/// @param demanded What static shares divide when no proposal comes in time.
/// @param round How many proposals there were.
/// @param against Static shares that contested the last proposal, in parts per million.
/// @param due When the proposal takes force, or after a refusal, when the next may come. Unix time.
/// @param answerBy Until when the operator must answer a demand, Unix time; zero when none waits.
/// @param proposedIn Block of the last proposal, whose event has the entries.
struct Account {
    bytes32 pending;
    uint128 allotted;
    uint128 paid;
    uint128 divided;
    uint128 proposed;
    uint128 demanded;
    uint32 round;
    uint32 against;
    uint40 due;
    uint40 answerBy;
    uint40 proposedIn;
}

/// @title ContributorPool
/// @notice A recipient of splitters that pays data contributors. Its operator proposes who gets
/// what of the income; a proposal that a quorum of the static shares contests in time is refused,
/// and any other adds to what its contributors may fetch, which nothing takes away again.
/// @dev Runs as a clone: operator, delay, quorum and static shares are part of its code. Entries
/// stand in full in their event, so nobody needs anything of the operator to be paid. Refusing pays
/// nobody: the money stays unallotted. Static shares divide only what the operator left unanswered
/// after a demand, and what all contributors together refused. Tokens that take a fee or change
/// balances by themselves are not supported.
contract ContributorPool is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @notice How long an operator may take to answer a demand.
    uint40 public constant ANSWER_TIME = 14 days;

    /// @notice The least that can be demanded: a cent of a token with six decimals. Below it lies
    /// what rounding leaves.
    uint128 public constant MIN_DEMAND = 10_000;

    /// @notice The most entries of one proposal.
    uint256 public constant MAX_ENTRIES = Shares.MAX_RECIPIENTS;

    /// @dev Operator and delay, then quorum, stand before the shares.
    uint256 private constant HEAD = 2 * Shares.ENTRY;

    /// @dev The address of the code that clones run, where nothing may be kept.
    address private immutable _implementation = address(this);

    mapping(address token => Account) private _accounts;
    mapping(address token => mapping(address contributor => uint256 amount)) private _allotted;
    mapping(address token => mapping(address contributor => uint256 amount)) private _paid;
    mapping(address token => mapping(address contributor => uint256 round)) private _contested;

    /// @notice The operator proposed who gets what. `root` names the published sums behind it.
    event AllotmentProposed(
        address indexed token,
        bytes32 indexed root,
        uint256 indexed round,
        uint256 total,
        uint256 due,
        Entry[] entries
    );

    /// @notice The operator took its proposal back.
    event AllotmentWithdrawn(address indexed token, uint256 indexed round);

    /// @notice A proposal is in force, for good.
    event AllotmentActivated(address indexed token, uint256 indexed round, uint256 total);

    /// @notice A contributor contested a proposal; `against` is what did so together.
    event Contested(
        address indexed token, uint256 indexed round, address indexed contributor, uint256 ppm, uint256 against
    );

    /// @notice A quorum refused a proposal.
    event AllotmentRefused(address indexed token, uint256 indexed round, uint256 total);

    /// @notice A contributor asked for a proposal.
    event ProposalDemanded(address indexed token, address indexed contributor, uint256 amount, uint256 answerBy);

    /// @notice The static shares divide an amount.
    event StaticallyDivided(address indexed token, uint256 amount);

    /// @notice A contributor was paid.
    event Claimed(address indexed token, address indexed contributor, uint256 amount, uint256 cumulative);

    /// @notice Only the operator may do this.
    error NotOperator(address caller, address operator);

    /// @notice Only a contributor with a static share may do this.
    error NotContributor(address caller);

    /// @notice No entries or too many.
    error EntryCountInvalid(uint256 found, uint256 maximum);

    /// @notice An entry gives nothing, or gives it to nobody or to the pool itself.
    error EntryInvalid(uint256 index, address contributor, uint256 amount);

    /// @notice The entries are not those that wait.
    error EntriesMismatch(bytes32 found, bytes32 expected);

    /// @notice An earlier proposal waits, or is due and not yet activated.
    error ProposalPending(address token, uint256 round, uint256 due);

    /// @notice The last proposal was refused a moment ago.
    error ProposalRefused(address token, uint256 round, uint256 nextAt);

    /// @notice No proposal waits.
    error ProposalMissing(address token);

    /// @notice The proposal's time has not come.
    error ProposalEarly(address token, uint256 due);

    /// @notice The proposal is in force and can only be activated.
    error ProposalDue(address token, uint256 due);

    /// @notice A proposal of more than is unallotted.
    error TotalUnfunded(address token, uint256 found, uint256 unallotted);

    /// @notice Nothing, or next to nothing, is unallotted.
    error NothingToAllot(address token, uint256 unallotted, uint256 minimum);

    /// @notice Nothing to contest: no proposal waits.
    error NothingToContest(address token);

    /// @notice The caller contested this proposal before.
    error ContestedAlready(address token, uint256 round, address contributor);

    /// @notice A demand waits for its answer.
    error DemandPending(address token, uint256 answerBy);

    /// @notice A demand was not answered in time: first, static shares divide what it was about.
    error AnswerOverdue(address token, uint256 answerBy);

    /// @notice No demand stayed unanswered.
    error NothingToDivide(address token);

    /// @notice The contributor has nothing to fetch.
    error NothingToClaim(address token, address contributor);

    /// @notice The code that clones run was called directly.
    error NotAClone(address implementation);

    /// @notice Fetches what a splitter holds for this pool.
    /// @param splitter A splitter with this pool among its recipients.
    /// @param token The ERC-20 token.
    /// @return amount Base units of the token.
    function pull(RevenueSplitter splitter, address token) external returns (uint256 amount) {
        return splitter.release(token, address(this));
    }

    /// @notice Proposes who gets what of the unallotted money; it takes force after the delay
    /// unless a quorum contests. It answers a demand as far as its sum goes.
    /// @param token The ERC-20 token.
    /// @param root Names the published sums behind the entries; its meaning is the operator's word.
    /// @param entries Who gets what; several entries of one contributor add up.
    function propose(address token, bytes32 root, Entry[] calldata entries) external nonReentrant {
        (address operator, uint32 delay) = _terms();
        if (msg.sender != operator) revert NotOperator(msg.sender, operator);
        Account storage account = _accounts[token];
        _checkIdle(token, account);
        if (account.answerBy != 0 && block.timestamp > account.answerBy) {
            revert AnswerOverdue(token, account.answerBy);
        }
        uint256 total = _sum(entries);
        uint256 free = _unallotted(token, account);
        if (total > free) revert TotalUnfunded(token, total, free);
        account.pending = hashOf(entries);
        account.proposed = total.toUint128();
        account.round += 1;
        account.against = 0;
        account.due = uint40(block.timestamp) + delay;
        _answer(account, total);
        account.proposedIn = uint40(block.number);
        emit AllotmentProposed(token, root, account.round, total, account.due, entries);
    }

    /// @notice Takes a waiting proposal back; what it was about counts as demanded, from now on
    /// where nothing else is.
    /// @param token The ERC-20 token.
    function withdrawProposal(address token) external nonReentrant {
        (address operator,) = _terms();
        if (msg.sender != operator) revert NotOperator(msg.sender, operator);
        Account storage account = _accounts[token];
        if (account.pending == 0) revert ProposalMissing(token);
        if (block.timestamp >= account.due) revert ProposalDue(token, account.due);
        account.demanded += account.proposed;
        if (account.answerBy == 0) account.answerBy = uint40(block.timestamp) + ANSWER_TIME;
        account.due = 0;
        _drop(account);
        emit AllotmentWithdrawn(token, account.round);
    }

    /// @notice Gives each contributor what a proposal gives it, once its time has come.
    /// @param token The ERC-20 token.
    /// @param entries Those of the proposal's event.
    function activate(address token, Entry[] calldata entries) external nonReentrant {
        Account storage account = _accounts[token];
        bytes32 expected = account.pending;
        if (expected == 0) revert ProposalMissing(token);
        if (block.timestamp < account.due) revert ProposalEarly(token, account.due);
        bytes32 found = hashOf(entries);
        if (found != expected) revert EntriesMismatch(found, expected);
        uint256 total = account.proposed;
        _drop(account);
        account.allotted += total.toUint128();
        for (uint256 i = 0; i < entries.length; ++i) {
            _allotted[token][entries[i].contributor] += entries[i].amount;
        }
        emit AllotmentActivated(token, account.round, total);
    }

    /// @notice Contests a waiting proposal. A quorum of the static shares refuses it: the money
    /// stays unallotted and the operator may propose anew after the delay. Until then the others may
    /// join, and when all contributors did, the static shares divide the refused sum.
    /// @param token The ERC-20 token.
    function contest(address token) external nonReentrant {
        uint256 ppm = _checkContributor();
        Account storage account = _accounts[token];
        uint256 round = account.round;
        if (account.proposed == 0 || block.timestamp >= account.due) revert NothingToContest(token);
        if (_contested[token][msg.sender] == round) revert ContestedAlready(token, round, msg.sender);
        _contested[token][msg.sender] = round;
        uint256 against = account.against + ppm;
        account.against = uint32(against);
        emit Contested(token, round, msg.sender, ppm, against);
        if (account.pending != 0 && against >= quorum()) {
            (, uint32 delay) = _terms();
            account.pending = 0;
            account.due = uint40(block.timestamp) + delay;
            emit AllotmentRefused(token, round, account.proposed);
        }
        if (against == Shares.WHOLE) {
            uint256 amount = account.proposed;
            _drop(account);
            account.due = 0;
            _answer(account, amount);
            _divide(token, account, amount);
        }
    }

    /// @notice Asks the operator for a proposal; what is unallotted and not proposed now is divided
    /// by the static shares as far as none comes in time.
    /// @param token The ERC-20 token.
    function demand(address token) external nonReentrant {
        _checkContributor();
        Account storage account = _accounts[token];
        if (account.answerBy != 0) revert DemandPending(token, account.answerBy);
        uint256 free = _free(token, account);
        if (free < MIN_DEMAND) revert NothingToAllot(token, free, MIN_DEMAND);
        account.demanded = free.toUint128();
        account.answerBy = uint40(block.timestamp) + ANSWER_TIME;
        emit ProposalDemanded(token, msg.sender, free, account.answerBy);
    }

    /// @notice Has the static shares divide what was demanded and not answered in time; anyone may
    /// call. The operator may propose again afterwards.
    /// @param token The ERC-20 token.
    function divideStatically(address token) external nonReentrant {
        Account storage account = _accounts[token];
        if (account.answerBy == 0 || block.timestamp <= account.answerBy) revert NothingToDivide(token);
        uint256 amount = account.demanded;
        account.answerBy = 0;
        account.demanded = 0;
        _divide(token, account, amount);
    }

    /// @notice Pays a contributor all that it may fetch: from every proposal in force and by its
    /// static share.
    /// @param token The ERC-20 token.
    /// @param contributor Who is paid; anyone may call.
    /// @return amount Base units of the token.
    function claim(address token, address contributor) external nonReentrant returns (uint256 amount) {
        amount = _owed(token, contributor);
        // Zero is an amount here, not a state that somebody could keep from being reached.
        // slither-disable-next-line incorrect-equality
        if (amount == 0) revert NothingToClaim(token, contributor);
        uint256 cumulative = _paid[token][contributor] + amount;
        _accounts[token].paid += amount.toUint128();
        _paid[token][contributor] = cumulative;
        emit Claimed(token, contributor, amount, cumulative);
        IERC20(token).safeTransfer(contributor, amount);
    }

    /// @notice How the pool stands in one token.
    /// @param token The ERC-20 token.
    /// @return The account.
    function accountOf(address token) external view returns (Account memory) {
        return _accounts[token];
    }

    /// @notice All that ever arrived in one token.
    /// @param token The ERC-20 token.
    /// @return Base units of the token.
    function received(address token) external view nonReentrantView returns (uint256) {
        return _received(token, _accounts[token]);
    }

    /// @notice What nothing promises to anybody yet.
    /// @param token The ERC-20 token.
    /// @return Base units of the token.
    function unallotted(address token) external view nonReentrantView returns (uint256) {
        return _unallotted(token, _accounts[token]);
    }

    /// @notice What a contributor may fetch now. A proposal counts once it is activated.
    /// @param token The ERC-20 token.
    /// @param contributor Whose sum is wanted.
    /// @return Base units of the token.
    function owed(address token, address contributor) external view returns (uint256) {
        return _owed(token, contributor);
    }

    /// @notice A contributor's sums since the beginning.
    /// @param token The ERC-20 token.
    /// @param contributor Whose sums are wanted.
    /// @return allotted By proposals in force.
    /// @return divided By its static share.
    /// @return paid What it fetched of both.
    function sumsOf(address token, address contributor)
        external
        view
        returns (uint256 allotted, uint256 divided, uint256 paid)
    {
        return (_allotted[token][contributor], _divided(token, contributor), _paid[token][contributor]);
    }

    /// @notice Who proposes.
    /// @return operator The operator.
    /// @return delay Seconds between a proposal and its force.
    function terms() external view returns (address operator, uint32 delay) {
        return _terms();
    }

    /// @notice The static shares.
    /// @return The shares, sorted by recipient.
    function shares() external view returns (Share[] memory) {
        return Shares.unpack(_packed(), HEAD);
    }

    /// @notice How many static shares refuse a proposal.
    /// @return ppm Parts per million.
    function quorum() public view returns (uint32 ppm) {
        (, ppm) = _ballot();
    }

    /// @notice The hash of entries.
    /// @param entries Who gets what.
    /// @return keccak256 of the list, ABI encoded.
    function hashOf(Entry[] calldata entries) public pure returns (bytes32) {
        return keccak256(abi.encode(entries));
    }

    function _divide(address token, Account storage account, uint256 amount) private {
        uint128 part = Math.min(amount, _free(token, account)).toUint128();
        account.divided += part;
        account.allotted += part;
        emit StaticallyDivided(token, part);
    }

    /// @dev A small proposal does not stop the clock for the rest.
    function _answer(Account storage account, uint256 amount) private {
        uint256 rest = Math.saturatingSub(account.demanded, amount);
        if (rest >= MIN_DEMAND) {
            account.demanded = rest.toUint128();
        } else {
            account.demanded = 0;
            account.answerBy = 0;
        }
    }

    function _drop(Account storage account) private {
        account.pending = 0;
        account.proposed = 0;
    }

    function _checkIdle(address token, Account storage account) private view {
        if (account.pending != 0) revert ProposalPending(token, account.round, account.due);
        if (block.timestamp < account.due) revert ProposalRefused(token, account.round, account.due);
    }

    function _sum(Entry[] calldata entries) private view returns (uint256 total) {
        uint256 count = entries.length;
        if (count == 0 || count > MAX_ENTRIES) revert EntryCountInvalid(count, MAX_ENTRIES);
        for (uint256 i = 0; i < count; ++i) {
            Entry calldata entry = entries[i];
            // What the pool pays to itself would count as income a second time.
            if (entry.contributor == address(0) || entry.contributor == address(this) || entry.amount == 0) {
                revert EntryInvalid(i, entry.contributor, entry.amount);
            }
            total += entry.amount;
        }
    }

    function _received(address token, Account storage account) private view returns (uint256) {
        return IERC20(token).balanceOf(address(this)) + account.paid;
    }

    function _unallotted(address token, Account storage account) private view returns (uint256) {
        return Math.saturatingSub(_received(token, account), account.allotted);
    }

    /// @dev What is unallotted and not about to be.
    function _free(address token, Account storage account) private view returns (uint256) {
        uint256 waiting = account.pending == 0 ? 0 : account.proposed;
        return Math.saturatingSub(_unallotted(token, account), waiting);
    }

    function _owed(address token, address contributor) private view returns (uint256) {
        uint256 entitled = _allotted[token][contributor] + _divided(token, contributor);
        return entitled - _paid[token][contributor];
    }

    function _divided(address token, address contributor) private view returns (uint256) {
        uint256 ppm = Shares.ppmOf(_packed(), HEAD, contributor);
        return Math.mulDiv(_accounts[token].divided, ppm, Shares.WHOLE);
    }

    function _checkContributor() private view returns (uint256 ppm) {
        ppm = Shares.ppmOf(_packed(), HEAD, msg.sender);
        if (ppm == 0) revert NotContributor(msg.sender);
    }

    function _terms() private view returns (address operator, uint32 delay) {
        return Shares.entryAt(_packed(), 0);
    }

    function _ballot() private view returns (address none, uint32 ppm) {
        return Shares.entryAt(_packed(), Shares.ENTRY);
    }

    function _packed() private view returns (bytes memory) {
        if (address(this) == _implementation) revert NotAClone(_implementation);
        return Clones.fetchCloneArgs(address(this));
    }
}
