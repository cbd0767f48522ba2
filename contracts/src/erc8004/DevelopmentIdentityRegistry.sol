// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721URIStorage} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721URIStorage.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @notice A key of an agent's metadata and its value.
struct MetadataEntry {
    string metadataKey;
    bytes metadataValue;
}

/// @title DevelopmentIdentityRegistry
/// @notice The identity registry of ERC-8004 for development chains: a token per agent, whose URI leads
/// to the agent's registration file.
/// @dev Public chains have a registry of their own at an address that is the same on many of them.
contract DevelopmentIdentityRegistry is ERC721URIStorage, EIP712 {
    bytes32 private constant _WALLET_TYPE =
        keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)");
    string private constant _WALLET_KEY = "agentWallet";
    uint256 private constant _LONGEST_DEADLINE = 5 minutes;

    uint256 private _nextId;
    mapping(uint256 agentId => mapping(string metadataKey => bytes)) private _metadata;

    /// @notice An agent was registered.
    event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
    /// @notice A value of an agent's metadata was set.
    event MetadataSet(
        uint256 indexed agentId,
        string indexed indexedMetadataKey,
        string metadataKey,
        bytes metadataValue
    );
    /// @notice An agent's registration file is elsewhere.
    event URIUpdated(uint256 indexed agentId, string newURI, address indexed updatedBy);

    /// @notice The caller neither owns the agent nor was approved.
    error NotAuthorized(address caller, uint256 agentId);
    /// @notice The key is set by `setAgentWallet` only.
    error ReservedKey();
    /// @notice The wallet is the zero address.
    error InvalidWallet();
    /// @notice The deadline has passed, or is more than five minutes ahead.
    error InvalidDeadline(uint256 deadline);
    /// @notice The wallet has not signed.
    error InvalidWalletSignature();

    constructor() ERC721("AgentIdentity", "AGENT") EIP712("ERC8004IdentityRegistry", "1") {}

    modifier onlyManager(uint256 agentId) {
        if (!isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(msg.sender, agentId);
        _;
    }

    /// @notice Registers an agent without a file.
    /// @return agentId Its number.
    function register() external returns (uint256 agentId) {
        agentId = _register("");
    }

    /// @notice Registers an agent.
    /// @param agentURI Where its registration file is.
    /// @return agentId Its number.
    function register(string calldata agentURI) external returns (uint256 agentId) {
        agentId = _register(agentURI);
    }

    /// @notice Registers an agent with metadata.
    /// @param agentURI Where its registration file is.
    /// @param metadata Further values.
    /// @return agentId Its number.
    function register(string calldata agentURI, MetadataEntry[] calldata metadata)
        external
        returns (uint256 agentId)
    {
        agentId = _register(agentURI);
        for (uint256 i = 0; i < metadata.length; ++i) {
            _checkKey(metadata[i].metadataKey);
            _setMetadata(agentId, metadata[i].metadataKey, metadata[i].metadataValue);
        }
    }

    /// @notice Moves the registration file.
    /// @param agentId The agent.
    /// @param newURI Where the file is now.
    function setAgentURI(uint256 agentId, string calldata newURI) external onlyManager(agentId) {
        _setTokenURI(agentId, newURI);
        emit URIUpdated(agentId, newURI, msg.sender);
    }

    /// @notice Sets a value of the metadata.
    /// @param agentId The agent.
    /// @param metadataKey Any key but `agentWallet`.
    /// @param metadataValue The value.
    function setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue)
        external
        onlyManager(agentId)
    {
        _checkKey(metadataKey);
        _setMetadata(agentId, metadataKey, metadataValue);
    }

    /// @notice Sets the account that receives the agent's payments.
    /// @param agentId The agent.
    /// @param newWallet The account, which agrees by its signature.
    /// @param deadline Until when the signature is valid, at most five minutes ahead.
    /// @param signature Over AgentWalletSet, by the account or its contract (ERC-1271).
    function setAgentWallet(
        uint256 agentId,
        address newWallet,
        uint256 deadline,
        bytes calldata signature
    ) external onlyManager(agentId) {
        if (newWallet == address(0)) revert InvalidWallet();
        if (block.timestamp > deadline || deadline > block.timestamp + _LONGEST_DEADLINE) {
            revert InvalidDeadline(deadline);
        }
        bytes32 agreed = keccak256(abi.encode(_WALLET_TYPE, agentId, newWallet, ownerOf(agentId), deadline));
        if (!SignatureChecker.isValidSignatureNow(newWallet, _hashTypedDataV4(agreed), signature)) {
            revert InvalidWalletSignature();
        }
        _setMetadata(agentId, _WALLET_KEY, abi.encodePacked(newWallet));
    }

    /// @notice Clears the account that receives the agent's payments.
    /// @param agentId The agent.
    function unsetAgentWallet(uint256 agentId) external onlyManager(agentId) {
        _setMetadata(agentId, _WALLET_KEY, "");
    }

    /// @notice A value of the metadata.
    /// @param agentId The agent.
    /// @param metadataKey Its key.
    /// @return Empty if it is not set.
    function getMetadata(uint256 agentId, string calldata metadataKey)
        external
        view
        returns (bytes memory)
    {
        return _metadata[agentId][metadataKey];
    }

    /// @notice The account that receives the agent's payments.
    /// @param agentId The agent.
    /// @return Zero if there is none.
    function getAgentWallet(uint256 agentId) external view returns (address) {
        return address(bytes20(_metadata[agentId][_WALLET_KEY]));
    }

    /// @notice The version of the interface.
    /// @return As the registry of public chains states it.
    function getVersion() external pure returns (string memory) {
        return "2.0.0";
    }

    /// @notice Whether an account owns an agent or may manage it.
    /// @param spender The account.
    /// @param agentId The agent, which must exist.
    /// @return True for the owner, its operators, and the account approved for this agent.
    function isAuthorizedOrOwner(address spender, uint256 agentId) public view returns (bool) {
        return _isAuthorized(ownerOf(agentId), spender, agentId);
    }

    function _register(string memory agentURI) private returns (uint256 agentId) {
        agentId = _nextId++;
        _metadata[agentId][_WALLET_KEY] = abi.encodePacked(msg.sender);
        if (bytes(agentURI).length > 0) _setTokenURI(agentId, agentURI);
        _safeMint(msg.sender, agentId);
        emit Registered(agentId, agentURI, msg.sender);
        emit MetadataSet(agentId, _WALLET_KEY, _WALLET_KEY, abi.encodePacked(msg.sender));
    }

    function _setMetadata(uint256 agentId, string memory metadataKey, bytes memory metadataValue) private {
        _metadata[agentId][metadataKey] = metadataValue;
        emit MetadataSet(agentId, metadataKey, metadataKey, metadataValue);
    }

    function _checkKey(string calldata metadataKey) private pure {
        if (keccak256(bytes(metadataKey)) == keccak256(bytes(_WALLET_KEY))) revert ReservedKey();
    }

    /// @dev A new owner has not shown that the wallet is its own.
    function _update(address to, uint256 agentId, address auth) internal override returns (address) {
        if (_ownerOf(agentId) != address(0) && to != address(0)) {
            _setMetadata(agentId, _WALLET_KEY, "");
        }
        return super._update(to, agentId, auth);
    }
}
