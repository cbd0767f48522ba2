"""What the reference implementation of OpenSSF Model Signing makes of a package."""

import datetime
import pathlib
import sys

import model_signing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
NOT_FOR_CERTIFICATES = dict.fromkeys(
    [
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ],
    False,
)


def write_keys(path, curve):
    """A new key in `path`.key, its public key in `path`."""
    key = ec.generate_private_key(CURVES[curve])
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.with_suffix(".key").write_bytes(pem)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path.write_bytes(public)
    return key


def certify(folder, name, public, issuer, issuer_key, authority, usage=None, days=30):
    """A certificate in `folder`/`name`.pem."""
    now = datetime.datetime.now(datetime.timezone.utc)
    named = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                key_cert_sign=authority,
                **NOT_FOR_CERTIFICATES,
            ),
            True,
        )
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / f"{name}.pem").write_bytes(pem)


def authorities(folder, curve):
    """A root, an authority below it, and a key on `curve` with certificates for several uses."""
    root = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    middle = ec.generate_private_key(ec.SECP384R1())
    other = ec.generate_private_key(ec.SECP256R1())
    key = write_keys(folder / "signer.pub", curve)
    code = ExtendedKeyUsageOID.CODE_SIGNING
    certify(folder, "root", root.public_key(), "root", root, True)
    certify(folder, "other", other.public_key(), "other", other, True)
    certify(folder, "middle", middle.public_key(), "root", root, True)
    certify(folder, "signer", key.public_key(), "middle", middle, False, code)
    certify(folder, "expired", key.public_key(), "middle", middle, False, code, days=-30)
    web = ExtendedKeyUsageOID.SERVER_AUTH
    certify(folder, "web", key.public_key(), "middle", middle, False, web)
    # An issuer that is not an authority.
    certify(folder, "leaf", other.public_key(), "root", root, False, code)
    certify(folder, "below-leaf", key.public_key(), "leaf", other, False, code)
    read = lambda name: (folder / f"{name}.pem").read_text()
    for name in ["signer", "expired", "web"]:
        (folder / f"{name}-chain.pem").write_text(read(name) + read("middle"))
    chain = read("below-leaf") + read("leaf")
    (folder / "below-leaf-chain.pem").write_text(chain)
    return "written"


def verified(config, package):
    try:
        config.verify(package, package / "model.sig")
    except ValueError as error:
        return str(error)
    return "verified"


def verify(package, public_key):
    config = model_signing.verifying.Config()
    config.use_elliptic_key_verifier(public_key=public_key)
    return verified(config, package)


def verify_certificate(package, root):
    config = model_signing.verifying.Config()
    config.use_certificate_verifier(certificate_chain=[root])
    return verified(config, package)


def sign(package, public_key, curve="p256"):
    """Signs with a new key, which is written beside the public one."""
    write_keys(public_key, curve)
    config = model_signing.signing.Config()
    private_key = public_key.with_suffix(".key")
    config.use_elliptic_key_signer(private_key=private_key)
    config.sign(package, package / "model.sig")
    return "signed"


def sign_certificate(package, folder):
    config = model_signing.signing.Config()
    config.use_certificate_signer(
        private_key=folder / "signer.key",
        signing_certificate=folder / "signer.pem",
        certificate_chain=[folder / "middle.pem"],
    )
    config.sign(package, package / "model.sig")
    return "signed"


verb, *paths = sys.argv[1:]
verbs = {
    "verify": verify,
    "sign": sign,
    "authorities": authorities,
    "verify-certificate": verify_certificate,
    "sign-certificate": sign_certificate,
}
names = {"p256", "p384", "p521"}
print(verbs[verb](*(it if it in names else pathlib.Path(it) for it in paths)))
