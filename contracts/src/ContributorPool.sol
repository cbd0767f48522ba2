// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {RevenueSplitter} from "./RevenueSplitter.sol";
import {Share, Shares} from "./Shares.sol";

/// @notice How the pool accounts for one token. Amounts are base units of the token.
/// @param root Root of the allotment in force.
/// @param pendingRoot Root of a proposed allotment.
/// @param total Sum of the allotment in force; what lies above it is unallotted.
/// @param pendingTotal Sum of the proposed allotment.
/// @param claimed What was paid out of allotments.
/// @param released What was paid out by static shares.
/// @param activatesAt When the proposal takes force, Unix time in seconds.
/// @param answerBy Until when the operator must answer a demand, Unix time in seconds.
/// @param contested Whether everything unallotted is paid by static shares, for good.
struct Account {
    bytes32 root;
    bytes32 pendingRoot;
    uint128 total;
    uint128 pendingTotal;
    uint128 claimed;
    uint128 released;
    uint40 activatesAt;
    uint40 answerBy;
    bool contested;
}

/// @title ContributorPool
/// @notice A recipient of splitters that pays data contributors. Its operator allots income by
/// cumulative Merkle trees; every contributor has time to contest a tree before it takes force, and
/// then all money not yet allotted is paid by the static shares fixed when the pool was created.
/// @dev Runs as a clone: operator, delay and static shares are part of its code. A tree can never
/// allot more than arrived, and no more than its stated sum is ever paid out of it. An operator who
/// falls silent cannot lock the money: a contributor demands a proposal and may contest when none
/// comes in time. Leaves are (address token, address contributor, uint256 cumulative) in the layout
/// of OpenZeppelin's StandardMerkleTree. Tokens that take a fee or change balances by themselves
/// are not supported.
contract ContributorPool {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @notice How long an operator may take to answer a demand.
    uint40 public constant ANSWER_TIME = 30 days;

    /// @dev The address of the code that clones run, where nothing may be kept.
    address private immutable _implementation = address(this);

    mapping(address token => Account) private _accounts;
    mapping(address token => mapping(address contributor => uint256 amount)) private _claimed;
    mapping(address token => mapping(address contributor => uint256 amount)) private _released;

    /// @notice The operator proposed an allotment.
    event RootProposed(address indexed token, bytes32 indexed root, uint256 total, uint256 activatesAt);

    /// @notice The operator took its proposal back.
    event RootWithdrawn(address indexed token, bytes32 indexed root);

    /// @notice A proposal took force.
    event RootActivated(address indexed token, bytes32 indexed root, uint256 total);

    /// @notice A contributor asked for a proposal.
    event ProposalDemanded(address indexed token, address indexed contributor, uint256 answerBy);

    /// @notice A contributor forced the static shares on everything above `total`.
    event Contested(address indexed token, address indexed contributor, bytes32 refusedRoot, uint256 total);

    /// @notice A contributor was paid out of an allotment.
    event Claimed(address indexed token, address indexed contributor, uint256 amount, uint256 cumulative);

    /// @notice A contributor was paid by its static share.
    event StaticReleased(address indexed token, address indexed contributor, uint256 amount);

    /// @notice Only the operator may do this.
    error NotOperator(address caller, address operator);

    /// @notice Only a contributor with a static share may do this.
    error NotContributor(address caller);

    /// @notice A zero root.
    error RootMissing(address token);

    /// @notice An earlier proposal waits.
    error ProposalPending(address token, bytes32 root, uint256 activatesAt);

    /// @notice No proposal waits.
    error ProposalMissing(address token);

    /// @notice An allotment below the one in force.
    error TotalDecreased(address token, uint256 found, uint256 minimum);

    /// @notice An allotment of more than arrived.
    error TotalUnfunded(address token, uint256 found, uint256 received);

    /// @notice The static shares are in force for this token.
    error StaticSharesInForce(address token);

    /// @notice The static shares are not in force for this token.
    error StaticSharesNotInForce(address token);

    /// @notice Nothing to contest: no proposal waits and no demand stayed unanswered.
    error NothingToContest(address token);

    /// @notice A demand waits for its answer.
    error DemandPending(address token, uint256 answerBy);

    /// @notice The proof does not lead to the root in force.
    error ProofInvalid(address token, address contributor, uint256 cumulative, bytes32 root);

    /// @notice The tree's leaves add up to more than its stated sum.
    error ClaimExceedsTotal(address token, uint256 claimed, uint256 total);

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

    /// @notice Proposes an allotment; it takes force after the delay unless contested.
    /// @param token The ERC-20 token.
    /// @param root Root of the tree of cumulative sums.
    /// @param total Sum of the tree's leaves.
    function propose(address token, bytes32 root, uint256 total) external {
        (address operator, uint32 delay) = _terms();
        if (msg.sender != operator) revert NotOperator(msg.sender, operator);
        if (root == 0) revert RootMissing(token);
        Account storage account = _accounts[token];
        if (account.contested) revert StaticSharesInForce(token);
        _activateDue(token, account);
        if (account.pendingRoot != 0) revert ProposalPending(token, account.pendingRoot, account.activatesAt);
        if (total < account.total) revert TotalDecreased(token, total, account.total);
        uint256 funded = _received(token, account);
        if (total > funded) revert TotalUnfunded(token, total, funded);
        account.pendingRoot = root;
        account.pendingTotal = total.toUint128();
        account.activatesAt = uint40(block.timestamp + delay);
        account.answerBy = 0;
        emit RootProposed(token, root, total, account.activatesAt);
    }

    /// @notice Takes a waiting proposal back.
    /// @param token The ERC-20 token.
    function withdrawProposal(address token) external {
        (address operator,) = _terms();
        if (msg.sender != operator) revert NotOperator(msg.sender, operator);
        Account storage account = _accounts[token];
        _activateDue(token, account);
        bytes32 root = account.pendingRoot;
        if (root == 0) revert ProposalMissing(token);
        _dropPending(account);
        emit RootWithdrawn(token, root);
    }

    /// @notice Asks the operator for a proposal; when none comes in time, the caller may contest.
    /// @param token The ERC-20 token.
    function demand(address token) external {
        Account storage account = _checkContributor(token);
        _activateDue(token, account);
        if (account.pendingRoot != 0) revert ProposalPending(token, account.pendingRoot, account.activatesAt);
        if (account.answerBy != 0) revert DemandPending(token, account.answerBy);
        account.answerBy = uint40(block.timestamp) + ANSWER_TIME;
        emit ProposalDemanded(token, msg.sender, account.answerBy);
    }

    /// @notice Refuses a waiting proposal, or ends the wait for one that never came: from now on
    /// everything not yet allotted in this token is paid by the static shares.
    /// @param token The ERC-20 token.
    function contest(address token) external {
        Account storage account = _checkContributor(token);
        _activateDue(token, account);
        bytes32 refused = account.pendingRoot;
        bool unanswered = account.answerBy != 0 && block.timestamp > account.answerBy;
        if (refused == 0 && !unanswered) revert NothingToContest(token);
        _dropPending(account);
        account.contested = true;
        emit Contested(token, msg.sender, refused, account.total);
    }

    /// @notice Pays a contributor what the allotment in force gives it beyond earlier claims.
    /// @param token The ERC-20 token.
    /// @param contributor Who is paid; anyone may call.
    /// @param cumulative All that the tree gives the contributor, earlier claims included.
    /// @param proof Siblings from the leaf upwards.
    /// @return amount Base units of the token.
    function claim(address token, address contributor, uint256 cumulative, bytes32[] calldata proof)
        external
        returns (uint256 amount)
    {
        Account storage account = _accounts[token];
        _activateDue(token, account);
        bytes32 leaf = leafHash(token, contributor, cumulative);
        if (account.root == 0 || !MerkleProof.verifyCalldata(proof, account.root, leaf)) {
            revert ProofInvalid(token, contributor, cumulative, account.root);
        }
        uint256 before = _claimed[token][contributor];
        if (cumulative <= before) revert NothingToClaim(token, contributor);
        amount = cumulative - before;
        uint256 claimed = account.claimed + amount;
        if (claimed > account.total) revert ClaimExceedsTotal(token, claimed, account.total);
        account.claimed = claimed.toUint128();
        _claimed[token][contributor] = cumulative;
        emit Claimed(token, contributor, amount, cumulative);
        IERC20(token).safeTransfer(contributor, amount);
    }

    /// @notice Pays a contributor its static share of everything that no allotment covers.
    /// @param token The ERC-20 token; somebody must have contested it.
    /// @param contributor Who is paid; anyone may call.
    /// @return amount Base units of the token.
    function releaseStatic(address token, address contributor) external returns (uint256 amount) {
        amount = pendingStatic(token, contributor);
        // Zero is an amount here, not a state that somebody could keep from being reached.
        // slither-disable-next-line incorrect-equality
        if (amount == 0) revert NothingToClaim(token, contributor);
        Account storage account = _accounts[token];
        account.released += amount.toUint128();
        _released[token][contributor] += amount;
        emit StaticReleased(token, contributor, amount);
        IERC20(token).safeTransfer(contributor, amount);
    }

    /// @notice How the pool stands in one token, with a proposal that is due counted as in force.
    /// @param token The ERC-20 token.
    /// @return account The accounts.
    function accountOf(address token) external view returns (Account memory account) {
        account = _accounts[token];
        if (!_isDue(account.pendingRoot, account.activatesAt)) return account;
        (account.root, account.total) = (account.pendingRoot, account.pendingTotal);
        (account.pendingRoot, account.pendingTotal, account.activatesAt) = (0, 0, 0);
    }

    /// @notice All that ever arrived in one token.
    /// @param token The ERC-20 token.
    /// @return Base units of the token.
    function received(address token) external view returns (uint256) {
        return _received(token, _accounts[token]);
    }

    /// @notice What a contributor was paid so far.
    /// @param token The ERC-20 token.
    /// @param contributor Whose sums are wanted.
    /// @return claimed Out of allotments.
    /// @return released By its static share.
    function paidTo(address token, address contributor) external view returns (uint256 claimed, uint256 released) {
        return (_claimed[token][contributor], _released[token][contributor]);
    }

    /// @notice Who allots the income.
    /// @return operator The operator.
    /// @return delay Seconds between a proposal and its force.
    function terms() external view returns (address operator, uint32 delay) {
        return _terms();
    }

    /// @notice The static shares.
    /// @return The shares, sorted by recipient.
    function shares() external view returns (Share[] memory) {
        return Shares.unpack(_packed(), Shares.ENTRY);
    }

    /// @notice What a contributor could fetch now by its static share.
    /// @param token The ERC-20 token.
    /// @param contributor Whose sum is wanted.
    /// @return Base units of the token.
    function pendingStatic(address token, address contributor) public view returns (uint256) {
        Account storage account = _accounts[token];
        if (!account.contested) revert StaticSharesNotInForce(token);
        uint256 unallotted = _received(token, account) - account.total;
        uint256 ppm = Shares.ppmOf(_packed(), Shares.ENTRY, contributor);
        return Math.mulDiv(unallotted, ppm, Shares.WHOLE) - _released[token][contributor];
    }

    /// @notice The hash of an allotment in the tree.
    /// @param token The ERC-20 token.
    /// @param contributor Who is paid.
    /// @param cumulative All that the tree gives the contributor.
    /// @return keccak256 of the keccak256 of the three, ABI encoded.
    function leafHash(address token, address contributor, uint256 cumulative) public pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(token, contributor, cumulative))));
    }

    function _activateDue(address token, Account storage account) private {
        if (!_isDue(account.pendingRoot, account.activatesAt)) return;
        account.root = account.pendingRoot;
        account.total = account.pendingTotal;
        _dropPending(account);
        emit RootActivated(token, account.root, account.total);
    }

    function _dropPending(Account storage account) private {
        account.pendingRoot = 0;
        account.pendingTotal = 0;
        account.activatesAt = 0;
    }

    function _isDue(bytes32 root, uint40 activatesAt) private view returns (bool) {
        return root != 0 && block.timestamp >= activatesAt;
    }

    function _received(address token, Account storage account) private view returns (uint256) {
        return IERC20(token).balanceOf(address(this)) + account.claimed + account.released;
    }

    function _checkContributor(address token) private view returns (Account storage account) {
        if (Shares.ppmOf(_packed(), Shares.ENTRY, msg.sender) == 0) revert NotContributor(msg.sender);
        account = _accounts[token];
        if (account.contested) revert StaticSharesInForce(token);
    }

    function _terms() private view returns (address operator, uint32 delay) {
        return Shares.entryAt(_packed(), 0);
    }

    function _packed() private view returns (bytes memory) {
        if (address(this) == _implementation) revert NotAClone(_implementation);
        return Clones.fetchCloneArgs(address(this));
    }
}
