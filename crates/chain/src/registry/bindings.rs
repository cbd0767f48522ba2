//! Solidity declarations of everything that this program calls, decodes and hashes.
#![allow(
    clippy::too_many_arguments,
    reason = "events and structs have as many fields as the contracts give them"
)]

use alloy::sol;

sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct Share {
        address recipient;
        uint32 ppm;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Release {
        bytes32 manifestSha256;
        bytes32 baseRoot;
        bytes32 datasetsRoot;
        uint128 price;
        string uri;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Registration {
        bytes32 weightsHash;
        uint16 royaltyBps;
        Release release;
        Share[] shares;
        address[] servers;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Adapter {
        address publisher;
        uint32 latestVersion;
        uint16 royaltyBps;
        bool paused;
        uint40 registeredAt;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct ReleaseRecord {
        bytes32 manifestSha256;
        bytes32 baseRoot;
        bytes32 datasetsRoot;
        uint128 price;
        address splitter;
        uint40 publishedAt;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Origin {
        uint256 homeChainId;
        address registry;
        uint256 id;
        uint32 version;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Head {
        bytes32 root;
        uint64 sequence;
        uint64 count;
        uint128 charged;
    }

    #[derive(Debug, PartialEq, Eq)]
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

    interface OpenLoraRegistry {
        event AdapterRegistered(uint256 indexed id, address indexed publisher, bytes32 indexed weightsHash, uint16 royaltyBps);
        event ReleasePublished(uint256 indexed id, uint32 indexed version, bytes32 indexed manifestSha256, bytes32 baseRoot, bytes32 datasetsRoot, uint128 price, address splitter, string uri);
        event ServerSet(uint256 indexed id, address indexed server, bool authorised);
        event ServersCleared(uint256 indexed id);
        event PauseSet(uint256 indexed id, bool paused);

        function register(Registration registration) external returns (uint256 id, address splitter);
        function publishVersion(uint256 id, Release next, Share[] shares) external returns (uint32 version, address splitter);
        function setServer(uint256 id, address server, bool authorised) external;
        function multicall(bytes[] data) external returns (bytes[] results);
        function adapter(uint256 id) external view returns (Adapter);
        function release(uint256 id, uint32 version) external view returns (ReleaseRecord);
        function isServer(uint256 id, address server) external view returns (bool);
        function ownerOf(uint256 tokenId) external view returns (address);
        function splitterFactory() external view returns (address);
        function releaseDigest(AdapterRelease statement) external view returns (bytes32);
        function registrationDigest(address publisher, Registration registration, uint256 deadline) external view returns (bytes32);

        error AdapterUnknown(uint256 id);
    }

    interface RevenueSplitterFactory {
        event SplitterCreated(address indexed splitter, uint256 indexed id, address indexed registry, uint256 homeChainId, uint32 version, Share[] shares);

        function create(Origin origin, Share[] shares) external returns (address splitter);
        function predict(Origin origin, Share[] shares) external view returns (address);
    }

    interface RevenueSplitter {
        event Released(address indexed token, address indexed recipient, address indexed to, uint256 amount);

        function shares() external view returns (Share[] memory);
        function totalReleased(address token) external view returns (uint256);
        function released(address token, address recipient) external view returns (uint256);
        function pending(address token, address recipient) external view returns (uint256);
        function release(address token, address to) external returns (uint256 amount);
    }

    interface ContributorPoolFactory {
        function create(address operator, uint32 delay, uint32 quorum, Share[] shares, bytes32 salt) external returns (address pool);
        function predict(address operator, uint32 delay, uint32 quorum, Share[] shares, bytes32 salt) external view returns (address);
    }

    #[derive(Debug, PartialEq, Eq)]
    struct PoolAccount {
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

    #[derive(Debug, PartialEq, Eq)]
    struct PoolEntry {
        address contributor;
        uint128 amount;
    }

    interface ContributorPool {
        event AllotmentProposed(address indexed token, bytes32 indexed root, uint256 indexed round, uint256 total, uint256 due, PoolEntry[] entries);
        event AllotmentActivated(address indexed token, uint256 indexed round, uint256 total);
        event StaticallyDivided(address indexed token, uint256 amount);
        event Claimed(address indexed token, address indexed contributor, uint256 amount, uint256 cumulative);

        function shares() external view returns (Share[] memory);
        function terms() external view returns (address operator, uint32 delay);
        function quorum() external view returns (uint32 ppm);
        function pull(address splitter, address token) external returns (uint256 amount);
        function propose(address token, bytes32 root, PoolEntry[] entries) external;
        function activate(address token, PoolEntry[] entries) external;
        function contest(address token) external;
        function demand(address token) external;
        function divideStatically(address token) external;
        function claim(address token, address contributor) external returns (uint256 amount);
        function accountOf(address token) external view returns (PoolAccount memory account);
        function received(address token) external view returns (uint256);
        function owed(address token, address contributor) external view returns (uint256);
        function sumsOf(address token, address contributor) external view returns (uint256 allotted, uint256 divided, uint256 paid);
        function hashOf(PoolEntry[] entries) external pure returns (bytes32);
    }

    #[derive(Debug, PartialEq, Eq)]
    struct AnchorLeaf {
        bytes32 eventId;
        uint256 adapterId;
        uint32 version;
        uint256 chainId;
        bytes32 channelId;
        uint128 cumulative;
        uint128 charged;
        bytes32 requestHash;
        bytes32 responseHash;
        bytes32 contributionsRoot;
        uint64 time;
    }

    interface AttributionAnchor {
        event Anchored(uint256 indexed id, address indexed server, bytes32 indexed root, uint64 sequence, uint64 count, uint128 charged, string uri);

        function anchor(uint256 id, bytes32 root, bytes32 prevRoot, uint64 count, uint128 charged, string uri) external;
        function headOf(uint256 id, address server) external view returns (Head);
        function leafHash(AnchorLeaf leaf) external pure returns (bytes32);
        function verifyLeaf(bytes32 root, AnchorLeaf leaf, bytes32[] proof) external pure returns (bool);
    }

    #[derive(Debug, PartialEq, Eq)]
    struct MetadataEntry {
        string metadataKey;
        bytes metadataValue;
    }

    /// ERC-8004's registry of agents.
    interface IdentityRegistry {
        event Registered(uint256 indexed agentId, string agentURI, address indexed owner);

        function register(string agentURI, MetadataEntry[] metadata) external returns (uint256 agentId);
        function setAgentURI(uint256 agentId, string newURI) external;
        function tokenURI(uint256 tokenId) external view returns (string);
        function ownerOf(uint256 tokenId) external view returns (address);
        function getMetadata(uint256 agentId, string metadataKey) external view returns (bytes);
    }

    interface ServerDirectory {
        function announce(string url) external;
        function urlOf(address server) external view returns (string);
    }

    interface DevelopmentToken {
        function mint(address to, uint256 amount) external;
    }

    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

        function balanceOf(address account) external view returns (uint256);
        function decimals() external view returns (uint8);
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
        function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature) external;
    }
}
