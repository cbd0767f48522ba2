"""What the reference implementation of OpenSSF Model Signing makes of a package."""

import pathlib
import sys

import model_signing
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def verify(package, public_key):
    config = model_signing.verifying.Config()
    config.use_elliptic_key_verifier(public_key=public_key)
    try:
        config.verify(package, package / "model.sig")
    except ValueError as error:
        return str(error)
    return "verified"


def sign(package, public_key):
    """Signs with a new key, which is written beside the public one."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    private_key = public_key.with_suffix(".key")
    private_key.write_bytes(pem)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    public_key.write_bytes(public)
    config = model_signing.signing.Config()
    config.use_elliptic_key_signer(private_key=private_key)
    config.sign(package, package / "model.sig")
    return "signed"


verb, package, public_key = sys.argv[1:]
print({"verify": verify, "sign": sign}[verb](pathlib.Path(package), pathlib.Path(public_key)))
