// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Share} from "./Shares.sol";

/// @notice The statement a publisher signs beside a package; it is checked off the chain.
/// @param name Name of the adapter.
/// @param version Semantic version.
/// @param manifestSha256 SHA-256 of the canonical manifest.
/// @param filesRoot Root over the digests of all files.
/// @param baseRoot Root over the digests of the base model.
/// @param datasetsRoot Root over the digests of the datasets.
/// @param omsKeySha256 SHA-256 of the key that signed the files.
/// @param createdAt Unix time in seconds.
struct AdapterRelease {
    string name;
    string version;
    bytes32 manifestSha256;
    bytes32 filesRoot;
    bytes32 baseRoot;
    bytes32 datasetsRoot;
    bytes32 omsKeySha256;
    uint64 createdAt;
}

/// @notice What a publisher states about one release.
/// @param manifestSha256 SHA-256 of the canonical manifest.
/// @param baseRoot Root over the digests of the base model.
/// @param datasetsRoot Root over the digests of the datasets.
/// @param price Base units of a token with six decimals; the manifest says what one price buys.
/// @param uri Where the package can be fetched; may be empty.
struct Release {
    bytes32 manifestSha256;
    bytes32 baseRoot;
    bytes32 datasetsRoot;
    uint128 price;
    string uri;
}

/// @notice Everything needed to register an adapter with its first release.
/// @param weightsHash Digest of the first release's weights; with the publisher it makes the id.
/// @param royaltyBps Royalty on sales of the adapter, in hundredths of a percent.
/// @param release The first release.
/// @param shares Who is paid how much of the release's income, sorted by recipient.
/// @param servers Who may serve the adapter and anchor its calls.
struct Registration {
    bytes32 weightsHash;
    uint16 royaltyBps;
    Release release;
    Share[] shares;
    address[] servers;
}

/// @title TypedData
/// @notice EIP-712 struct hashes of what publishers sign.
library TypedData {
    /// @notice Type of the statement beside a package.
    bytes32 internal constant ADAPTER_RELEASE_TYPEHASH = keccak256(
        "AdapterRelease(string name,string version,bytes32 manifestSha256,bytes32 filesRoot,bytes32 baseRoot,bytes32 datasetsRoot,bytes32 omsKeySha256,uint64 createdAt)"
    );

    /// @notice Type of one release.
    bytes32 internal constant RELEASE_TYPEHASH =
        keccak256("Release(bytes32 manifestSha256,bytes32 baseRoot,bytes32 datasetsRoot,uint128 price,string uri)");

    /// @notice Type of one share.
    bytes32 internal constant SHARE_TYPEHASH = keccak256("Share(address recipient,uint32 ppm)");

    /// @notice Type of a registration that somebody else may submit.
    bytes32 internal constant REGISTRATION_TYPEHASH = keccak256(
        "Registration(address publisher,bytes32 weightsHash,uint16 royaltyBps,Release release,Share[] shares,address[] servers,uint256 deadline)Release(bytes32 manifestSha256,bytes32 baseRoot,bytes32 datasetsRoot,uint128 price,string uri)Share(address recipient,uint32 ppm)"
    );

    /// @notice Struct hash of the statement beside a package.
    /// @param it The statement.
    /// @return EIP-712 hashStruct.
    function hash(AdapterRelease calldata it) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ADAPTER_RELEASE_TYPEHASH,
                keccak256(bytes(it.name)),
                keccak256(bytes(it.version)),
                it.manifestSha256,
                it.filesRoot,
                it.baseRoot,
                it.datasetsRoot,
                it.omsKeySha256,
                it.createdAt
            )
        );
    }

    /// @notice Struct hash of a registration.
    /// @param publisher Who registers.
    /// @param it What is registered.
    /// @param deadline Unix time in seconds after which the signature is void.
    /// @return EIP-712 hashStruct.
    function hash(address publisher, Registration calldata it, uint256 deadline) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                REGISTRATION_TYPEHASH,
                publisher,
                it.weightsHash,
                it.royaltyBps,
                _hash(it.release),
                _hash(it.shares),
                keccak256(abi.encodePacked(it.servers)),
                deadline
            )
        );
    }

    function _hash(Release calldata it) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                RELEASE_TYPEHASH,
                it.manifestSha256,
                it.baseRoot,
                it.datasetsRoot,
                it.price,
                keccak256(bytes(it.uri))
            )
        );
    }

    function _hash(Share[] calldata shares) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](shares.length);
        for (uint256 i = 0; i < shares.length; ++i) {
            hashes[i] = keccak256(abi.encode(SHARE_TYPEHASH, shares[i].recipient, shares[i].ppm));
        }
        return keccak256(abi.encodePacked(hashes));
    }
}
