// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {AdapterRelease, Registration, Release, TypedData} from "./AdapterRelease.sol";
import {Origin, RevenueSplitterFactory} from "./RevenueSplitterFactory.sol";
import {Share} from "./Shares.sol";

/// @notice What the registry keeps about an adapter.
/// @param publisher Who registered it; part of its id, whoever owns it now.
/// @param latestVersion The newest version, counted from one.
/// @param royaltyBps Royalty on sales, in hundredths of a percent.
/// @param paused Whether its owner asks servers to stop serving it.
/// @param registeredAt Unix time in seconds.
struct Adapter {
    address publisher;
    uint32 latestVersion;
    uint16 royaltyBps;
    bool paused;
    uint40 registeredAt;
}

/// @notice Who may serve an adapter, as its present owner says. One read answers for the server
/// that most adapters have.
/// @param first One of the servers; zero when there is none here.
/// @param epoch How often the adapter changed hands; servers of earlier epochs are none.
struct Service {
    address first;
    uint64 epoch;
}

/// @notice What the registry keeps about one version of an adapter.
/// @param manifestSha256 SHA-256 of the canonical manifest.
/// @param baseRoot Root over the digests of the base model.
/// @param datasetsRoot Root over the digests of the datasets.
/// @param price Base units of a token with six decimals.
/// @param splitter Where the version is paid.
/// @param publishedAt Unix time in seconds.
struct ReleaseRecord {
    bytes32 manifestSha256;
    bytes32 baseRoot;
    bytes32 datasetsRoot;
    uint128 price;
    address splitter;
    uint40 publishedAt;
}

/// @title OpenLoraRegistry
/// @notice Says who published which adapter, what each release consists of, where it is paid and
/// who may serve it. Every adapter is an ERC-721 token.
/// @dev Nobody has power over the registry as a whole. An id contains its publisher, so it cannot
/// be taken by anyone else, and a signed registration can be used only once. `multicall` combines
/// calls into one transaction.
contract OpenLoraRegistry is ERC721, EIP712, IERC2981, Multicall {
    uint256 private constant _WHOLE_BPS = 10_000;

    RevenueSplitterFactory private immutable _factory;

    mapping(uint256 id => Adapter) private _adapters;
    mapping(uint256 id => mapping(uint32 version => ReleaseRecord)) private _releases;
    mapping(uint256 id => Service) private _services;
    mapping(uint256 id => mapping(uint64 epoch => mapping(address server => bool))) private _others;

    /// @notice An adapter was registered.
    event AdapterRegistered(
        uint256 indexed id, address indexed publisher, bytes32 indexed weightsHash, uint16 royaltyBps
    );

    /// @notice A version was published. The splitter's shares stand in its `SplitterCreated` event.
    event ReleasePublished(
        uint256 indexed id,
        uint32 indexed version,
        bytes32 indexed manifestSha256,
        bytes32 baseRoot,
        bytes32 datasetsRoot,
        uint128 price,
        address splitter,
        string uri
    );

    /// @notice A server was authorised, or no longer is.
    event ServerSet(uint256 indexed id, address indexed server, bool authorised);

    /// @notice The adapter changed hands: whoever served it for the last owner no longer may.
    event ServersCleared(uint256 indexed id);

    /// @notice The owner asked servers to stop serving the adapter, or to go on.
    event PauseSet(uint256 indexed id, bool paused);

    /// @notice The adapter is registered already.
    error AdapterExists(uint256 id);

    /// @notice No such adapter.
    error AdapterUnknown(uint256 id);

    /// @notice The adapter has no such version.
    error ReleaseUnknown(uint256 id, uint32 version);

    /// @notice The newest version has this manifest already.
    error ReleaseUnchanged(uint256 id, uint32 version, bytes32 manifestSha256);

    /// @notice Only the adapter's owner may do this.
    error NotAdapterOwner(uint256 id, address caller, address owner);

    /// @notice A required digest is zero.
    error DigestMissing(string field);

    /// @notice A royalty above the whole price.
    error RoyaltyInvalid(uint256 found, uint256 maximum);

    /// @notice The zero address cannot serve.
    error ServerInvalid(uint256 id, address server);

    /// @notice The signed registration came too late.
    error SignatureExpired(uint256 deadline, uint256 time);

    /// @notice The publisher did not sign this registration for this registry and chain.
    error SignatureInvalid(address publisher, bytes32 digest);

    /// @param factory Creates the splitters.
    constructor(RevenueSplitterFactory factory) ERC721("OpenLoRA Adapter", "OLORA") EIP712("OpenLoraRegistry", "1") {
        _factory = factory;
    }

    /// @notice Registers the caller's adapter with its first release and creates its splitter.
    /// @param registration What is registered.
    /// @return id The adapter.
    /// @return splitter Where the first release is paid.
    function register(Registration calldata registration) external returns (uint256 id, address splitter) {
        return _register(msg.sender, registration);
    }

    /// @notice The same for a publisher who signed it; anyone may submit it and pay the gas.
    /// @param publisher Who registers.
    /// @param registration What is registered.
    /// @param deadline Unix time in seconds up to which the signature is good.
    /// @param signature Over `registrationDigest`; a contract's by ERC-1271.
    /// @return id The adapter.
    /// @return splitter Where the first release is paid.
    function registerFor(
        address publisher,
        Registration calldata registration,
        uint256 deadline,
        bytes calldata signature
    ) external returns (uint256 id, address splitter) {
        if (block.timestamp > deadline) revert SignatureExpired(deadline, block.timestamp);
        bytes32 digest = registrationDigest(publisher, registration, deadline);
        if (!SignatureChecker.isValidSignatureNowCalldata(publisher, digest, signature)) {
            revert SignatureInvalid(publisher, digest);
        }
        return _register(publisher, registration);
    }

    /// @notice Publishes the next version of an adapter and creates its splitter.
    /// @param id The adapter.
    /// @param next What is published.
    /// @param shares Who is paid how much, sorted by recipient.
    /// @return version The version, one above the last.
    /// @return splitter Where it is paid.
    function publishVersion(uint256 id, Release calldata next, Share[] calldata shares)
        external
        returns (uint32 version, address splitter)
    {
        _checkOwner(id);
        uint32 last = _adapters[id].latestVersion;
        if (_releases[id][last].manifestSha256 == next.manifestSha256) {
            revert ReleaseUnchanged(id, last, next.manifestSha256);
        }
        version = last + 1;
        _adapters[id].latestVersion = version;
        splitter = _publish(id, version, next, shares);
    }

    /// @notice Authorises a server to serve an adapter and to anchor its calls, or ends that.
    /// @param id The adapter.
    /// @param server The server's address.
    /// @param authorised Whether it is authorised from now on.
    function setServer(uint256 id, address server, bool authorised) external {
        _checkOwner(id);
        _setServer(id, server, authorised);
    }

    /// @notice Asks servers to stop serving an adapter.
    /// @param id The adapter.
    function pause(uint256 id) external {
        _setPaused(id, true);
    }

    /// @notice Lets servers go on.
    /// @param id The adapter.
    function unpause(uint256 id) external {
        _setPaused(id, false);
    }

    /// @notice What the registry keeps about an adapter.
    /// @param id The adapter.
    /// @return The record.
    function adapter(uint256 id) external view returns (Adapter memory) {
        _checkExists(id);
        return _adapters[id];
    }

    /// @notice What the registry keeps about one version.
    /// @param id The adapter.
    /// @param version The version, counted from one.
    /// @return The record.
    function release(uint256 id, uint32 version) external view returns (ReleaseRecord memory) {
        return _release(id, version);
    }

    /// @notice The newest version.
    /// @param id The adapter.
    /// @return version Its number.
    /// @return record Its record.
    function latestRelease(uint256 id) external view returns (uint32 version, ReleaseRecord memory record) {
        version = _adapters[id].latestVersion;
        record = _release(id, version);
    }

    /// @notice Whether a server may serve an adapter and anchor its calls.
    /// @param id The adapter.
    /// @param server The server's address.
    /// @return True when its present owner authorised it.
    function isServer(uint256 id, address server) external view returns (bool) {
        Service memory service = _services[id];
        return server != address(0) && (service.first == server || _others[id][service.epoch][server]);
    }

    /// @notice The factory that creates the splitters.
    /// @return Its address.
    function splitterFactory() external view returns (address) {
        return address(_factory);
    }

    /// @notice The EIP-712 digest of the statement beside a package, in this registry's domain.
    /// @param statement The statement.
    /// @return What its publisher signs.
    function releaseDigest(AdapterRelease calldata statement) external view returns (bytes32) {
        return _hashTypedDataV4(TypedData.hash(statement));
    }

    /// @inheritdoc IERC2981
    /// @dev Royalties go where the first release is paid, whoever owns the adapter by now: a later
    /// version with other shares cannot lead them elsewhere.
    function royaltyInfo(uint256 id, uint256 salePrice)
        external
        view
        returns (address receiver, uint256 royaltyAmount)
    {
        receiver = _release(id, 1).splitter;
        royaltyAmount = Math.mulDiv(salePrice, _adapters[id].royaltyBps, _WHOLE_BPS);
    }

    /// @notice The id of an adapter.
    /// @param publisher Who registers it.
    /// @param weightsHash Digest of the first release's weights.
    /// @return keccak256 of both, ABI encoded.
    function idOf(address publisher, bytes32 weightsHash) public pure returns (uint256) {
        return uint256(keccak256(abi.encode(publisher, weightsHash)));
    }

    /// @notice The EIP-712 digest that lets somebody else submit a registration.
    /// @param publisher Who registers.
    /// @param registration What is registered.
    /// @param deadline Unix time in seconds up to which the signature is good.
    /// @return What the publisher signs.
    function registrationDigest(address publisher, Registration calldata registration, uint256 deadline)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(TypedData.hash(publisher, registration, deadline));
    }

    /// @notice Names the newest manifest by its digest (RFC 6920).
    /// @param id The adapter.
    /// @return An `ni` URI.
    function tokenURI(uint256 id) public view override returns (string memory) {
        bytes32 manifest = _release(id, _adapters[id].latestVersion).manifestSha256;
        return string.concat("ni:///sha-256;", Base64.encodeURL(bytes.concat(manifest)));
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) public view override(ERC721, IERC165) returns (bool) {
        return interfaceId == type(IERC2981).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev Servers are trusted by the owner that named them, not by the next one.
    function _update(address to, uint256 id, address auth) internal override returns (address from) {
        from = super._update(to, id, auth);
        if (from == address(0)) return from;
        _services[id] = Service(address(0), _services[id].epoch + 1);
        emit ServersCleared(id);
    }

    function _register(address publisher, Registration calldata registration)
        private
        returns (uint256 id, address splitter)
    {
        if (registration.weightsHash == 0) revert DigestMissing("weightsHash");
        if (registration.royaltyBps > _WHOLE_BPS) revert RoyaltyInvalid(registration.royaltyBps, _WHOLE_BPS);
        id = idOf(publisher, registration.weightsHash);
        if (_ownerOf(id) != address(0)) revert AdapterExists(id);
        _adapters[id] = Adapter({
            publisher: publisher,
            latestVersion: 1,
            royaltyBps: registration.royaltyBps,
            paused: false,
            registeredAt: uint40(block.timestamp)
        });
        emit AdapterRegistered(id, publisher, registration.weightsHash, registration.royaltyBps);
        _mint(publisher, id);
        for (uint256 i = 0; i < registration.servers.length; ++i) {
            _setServer(id, registration.servers[i], true);
        }
        splitter = _publish(id, 1, registration.release, registration.shares);
    }

    function _publish(uint256 id, uint32 version, Release calldata next, Share[] calldata shares)
        private
        returns (address splitter)
    {
        if (next.manifestSha256 == 0) revert DigestMissing("manifestSha256");
        splitter = _factory.create(Origin(block.chainid, address(this), id, version), shares);
        _releases[id][version] = ReleaseRecord({
            manifestSha256: next.manifestSha256,
            baseRoot: next.baseRoot,
            datasetsRoot: next.datasetsRoot,
            price: next.price,
            splitter: splitter,
            publishedAt: uint40(block.timestamp)
        });
        emit ReleasePublished(
            id,
            version,
            next.manifestSha256,
            next.baseRoot,
            next.datasetsRoot,
            next.price,
            splitter,
            next.uri
        );
    }

    function _setServer(uint256 id, address server, bool authorised) private {
        if (server == address(0)) revert ServerInvalid(id, server);
        Service storage service = _services[id];
        if (!authorised) {
            if (service.first == server) service.first = address(0);
            _others[id][service.epoch][server] = false;
        } else if (service.first == address(0)) {
            service.first = server;
        } else if (service.first != server) {
            _others[id][service.epoch][server] = true;
        }
        emit ServerSet(id, server, authorised);
    }

    function _setPaused(uint256 id, bool paused) private {
        _checkOwner(id);
        _adapters[id].paused = paused;
        emit PauseSet(id, paused);
    }

    function _release(uint256 id, uint32 version) private view returns (ReleaseRecord memory record) {
        _checkExists(id);
        record = _releases[id][version];
        if (record.publishedAt == 0) revert ReleaseUnknown(id, version);
    }

    function _checkOwner(uint256 id) private view {
        _checkExists(id);
        address owner = _ownerOf(id);
        if (msg.sender != owner) revert NotAdapterOwner(id, msg.sender, owner);
    }

    function _checkExists(uint256 id) private view {
        if (_ownerOf(id) == address(0)) revert AdapterUnknown(id);
    }
}
