// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title ServerDirectory
/// @notice Says where servers are reached. Each account states its own URL and nobody else's.
/// @dev A URL is a statement and no authorisation: who may serve an adapter stands in the registry,
/// and who is paid in its release. Nobody has power over the directory.
contract ServerDirectory {
    uint256 private constant _MAX_LENGTH = 256;

    mapping(address server => string url) private _urls;

    /// @notice A server stated where it is reached; nowhere if the URL is empty.
    event ServerAnnounced(address indexed server, string url);

    /// @notice A URL of more bytes than are kept.
    error UrlTooLong(uint256 found, uint256 maximum);

    /// @notice States where the caller is reached.
    /// @param url The URL; an empty one withdraws the last.
    function announce(string calldata url) external {
        uint256 length = bytes(url).length;
        if (length > _MAX_LENGTH) revert UrlTooLong(length, _MAX_LENGTH);
        _urls[msg.sender] = url;
        emit ServerAnnounced(msg.sender, url);
    }

    /// @notice Where a server is reached.
    /// @param server The server's account.
    /// @return The URL as the server states it; empty if it states none.
    function urlOf(address server) external view returns (string memory) {
        return _urls[server];
    }
}
