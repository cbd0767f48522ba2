// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DevelopmentToken} from "src/DevelopmentToken.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// Keeps a hundredth of every transfer for itself.
contract FeeToken is DevelopmentToken {
    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0) || to == address(0)) return super._update(from, to, value);
        uint256 fee = value / 100;
        super._update(from, address(this), fee);
        super._update(from, to, value - fee);
    }
}

/// Answers every transfer with `false` and moves nothing.
contract FalseToken is DevelopmentToken {
    function transfer(address, uint256) public pure override returns (bool) {
        return false;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0)) super._update(from, to, value);
    }
}

/// A payer without a key of its own: it signs what its owner signs (ERC-1271).
contract Wallet {
    address private immutable _owner;

    constructor(address owner) {
        _owner = owner;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError error,) = ECDSA.tryRecoverCalldata(hash, signature);
        bool good = error == ECDSA.RecoverError.NoError && signer == _owner;
        return good ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}
