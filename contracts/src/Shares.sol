// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";

/// @notice What one recipient gets of an income.
/// @param recipient Who is paid.
/// @param ppm How much, in parts per million.
struct Share {
    address recipient;
    uint32 ppm;
}

/// @title Shares
/// @notice Checks lists of shares and packs them into the immutable arguments of a clone: 24 bytes
/// per entry, twenty of address and four of parts per million.
library Shares {
    /// @notice The sum that every list must reach.
    uint256 internal constant WHOLE = 1_000_000;

    /// @notice The longest list; its packed form stays far below the limit on contract code.
    uint256 internal constant MAX_RECIPIENTS = 200;

    /// @notice Bytes of one packed entry.
    uint256 internal constant ENTRY = 24;

    /// @notice The list is empty or too long.
    error RecipientCountInvalid(uint256 found, uint256 maximum);

    /// @notice An entry names the zero address.
    error RecipientInvalid(uint256 index, address recipient);

    /// @notice An entry gives nothing.
    error ShareMissing(uint256 index, address recipient);

    /// @notice The same recipient stands twice in the list.
    error RecipientDuplicate(uint256 index, address recipient);

    /// @notice Recipients are not in ascending order of address.
    error RecipientsUnsorted(uint256 index, address previous, address recipient);

    /// @notice The shares do not add up to one million.
    error ShareSumInvalid(uint256 found, uint256 expected);

    /// @notice Checks a list and packs it.
    /// @dev Ascending order finds duplicates in one pass and gives one set of shares one address.
    /// @param shares The list, sorted by recipient.
    /// @return packed 24 bytes per entry.
    function pack(Share[] calldata shares) internal pure returns (bytes memory packed) {
        uint256 count = shares.length;
        if (count == 0 || count > MAX_RECIPIENTS) revert RecipientCountInvalid(count, MAX_RECIPIENTS);
        bytes24[] memory entries = new bytes24[](count);
        uint256 sum = 0;
        address previous = address(0);
        for (uint256 i = 0; i < count; ++i) {
            Share calldata share = shares[i];
            _checkOrder(i, previous, share.recipient);
            if (share.ppm == 0) revert ShareMissing(i, share.recipient);
            sum += share.ppm;
            previous = share.recipient;
            entries[i] = toEntry(share.recipient, share.ppm);
        }
        if (sum != WHOLE) revert ShareSumInvalid(sum, WHOLE);
        for (uint256 i = 0; i < count; ++i) {
            packed = bytes.concat(packed, entries[i]);
        }
    }

    /// @notice One packed entry.
    /// @param account The first twenty bytes.
    /// @param number The last four bytes.
    /// @return The entry.
    function toEntry(address account, uint32 number) internal pure returns (bytes24) {
        return bytes24((uint192(uint160(account)) << 32) | number);
    }

    /// @notice Reads the entry that begins at a byte.
    /// @param packed Packed entries.
    /// @param offset Where the entry begins.
    /// @return account The first twenty bytes.
    /// @return number The last four bytes.
    function entryAt(bytes memory packed, uint256 offset) internal pure returns (address account, uint32 number) {
        uint192 entry = uint192(bytes24(Bytes.slice(packed, offset, offset + ENTRY)));
        account = address(uint160(entry >> 32));
        number = uint32(entry);
    }

    /// @notice The list that was packed.
    /// @param packed Packed entries.
    /// @param offset Where the first entry begins.
    /// @return shares The list.
    function unpack(bytes memory packed, uint256 offset) internal pure returns (Share[] memory shares) {
        shares = new Share[]((packed.length - offset) / ENTRY);
        for (uint256 i = 0; i < shares.length; ++i) {
            (shares[i].recipient, shares[i].ppm) = entryAt(packed, offset + i * ENTRY);
        }
    }

    /// @notice The share of one account.
    /// @param packed Packed entries.
    /// @param offset Where the first entry begins.
    /// @param account Whose share is wanted.
    /// @return Parts per million; none for an account that is not in the list.
    function ppmOf(bytes memory packed, uint256 offset, address account) internal pure returns (uint256) {
        for (uint256 start = offset; start < packed.length; start += ENTRY) {
            (address recipient, uint32 ppm) = entryAt(packed, start);
            if (recipient == account) return ppm;
        }
        return 0;
    }

    function _checkOrder(uint256 index, address previous, address recipient) private pure {
        if (recipient == address(0)) revert RecipientInvalid(index, recipient);
        if (recipient == previous) revert RecipientDuplicate(index, recipient);
        if (recipient < previous) revert RecipientsUnsorted(index, previous, recipient);
    }
}
