"""A timestamp authority for tests: a root, a signer below it, and a server of RFC 3161."""

import datetime
import hashlib

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.suspects.servers import Reply, serve

POLICY = "1.2.3.4.1"


def _certificate(name, key, issuer, signer, *extensions):
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=365))
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(signer, hashes.SHA256())


def _usage(**used):
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: used.get(name, False) for name in names})


class Authority:
    """Stamps what it is asked to, at a time that a test may choose.

    Attributes:
        root: Its root certificate, PEM.
        time: What its clock says; None for the real time.
    """

    def __init__(self):
        self.time = None
        root_key, self._key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        names = [
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
            for text in ("Test root", "Test timestamps")
        ]
        root = _certificate(
            names[0], root_key, names[0], root_key,
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (_usage(key_cert_sign=True), True),
            (x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), False),
        )  # fmt: skip
        own = _certificate(
            names[1], self._key, names[0], root_key,
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False),
        )  # fmt: skip
        self.root = root.public_bytes(serialization.Encoding.PEM)
        self._own = asn1_x509.Certificate.load(own.public_bytes(serialization.Encoding.DER))

    def __call__(self, method, path, headers, body):
        """Answer one request of HTTP."""
        assert (method, headers["Content-Type"]) == ("POST", "application/timestamp-query")
        raise Reply(200, self.answer(body), {"Content-Type": "application/timestamp-reply"})

    def serve(self):
        """Run a server; see `servers.serve`."""
        return serve(self)

    def answer(self, request):
        """Return the response to a request, both DER."""
        asked = tsp.TimeStampReq.load(request)
        moment = self.time or datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": POLICY,
                "message_imprint": asked["message_imprint"],
                "serial_number": 1,
                "gen_time": moment,
                "nonce": asked["nonce"],
            }
        )
        token = self._signed(info.dump())
        return tsp.TimeStampResp(
            {"status": {"status": "granted"}, "time_stamp_token": token}
        ).dump()

    def _signed(self, info):
        sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
        certificate = hashlib.sha256(self._own.dump()).digest()
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(info).digest()]},
                {
                    "type": "signing_certificate_v2",
                    "values": [{"certs": [{"cert_hash": certificate}]}],
                },
            ]
        )
        signer = {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                "issuer_and_serial_number",
                {"issuer": self._own.issuer, "serial_number": self._own.serial_number},
            ),
            "digest_algorithm": sha256,
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_rsa"},
            "signature": self._key.sign(attributes.dump(), padding.PKCS1v15(), hashes.SHA256()),
        }
        content = {
            "content_type": "tst_info",
            "content": core.ParsableOctetString(info),
        }
        signed = {
            "version": "v3",
            "digest_algorithms": [sha256],
            "encap_content_info": content,
            "certificates": [self._own],
            "signer_infos": [signer],
        }
        return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})
