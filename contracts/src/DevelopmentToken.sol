// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20TransferAuthorization} from
    "@openzeppelin/contracts/token/ERC20/extensions/ERC20TransferAuthorization.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {NoncesKeyed} from "@openzeppelin/contracts/utils/NoncesKeyed.sol";

/// @title DevelopmentToken
/// @notice A dollar for development chains. Anyone may mint it, so it is worth nothing.
/// @dev ERC-20 with six decimals, ERC-2612 permits, and ERC-3009 authorizations with both forms of
/// signature. OpenZeppelin's extension with the `bytes signature` form counts nonces up per key;
/// ERC-3009 clients draw them at random, so the random nonces of its base are put back.
contract DevelopmentToken is ERC20Permit, ERC20TransferAuthorization {
    constructor() ERC20("OpenLoRA Development USD", "dUSD") ERC20Permit("OpenLoRA Development USD") {}

    /// @notice Creates money.
    /// @param to Who gets it.
    /// @param amount Millionths.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice How many decimals amounts have.
    /// @return Six.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @notice Whether an authorization was used or cancelled.
    /// @param authorizer Who signed it.
    /// @param nonce Its nonce.
    /// @return True when it cannot be used any more.
    function authorizationState(address authorizer, bytes32 nonce)
        public
        view
        override
        returns (bool)
    {
        return ERC3009.authorizationState(authorizer, nonce);
    }

    /// @notice The next nonce of a permit.
    /// @param owner Who signs it.
    /// @return Counted from zero.
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _consumeNonce(address authorizer, bytes32 nonce) internal override {
        ERC3009._consumeNonce(authorizer, nonce);
    }

    /// @dev Two bases define it, so the language asks for a choice.
    function _useCheckedNonce(address owner, uint256 nonce) internal override(Nonces, NoncesKeyed) {
        super._useCheckedNonce(owner, nonce);
    }
}
