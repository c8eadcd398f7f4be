"""application/x-npz: a zip file of one .npy a tensor, named as the model names its inputs and outputs.

Compressed members are unpacked only up to the size that the zip directory states, and only while all of
them together stay within the payload limit, so a small body cannot grow into a large one.
"""

import io
import zipfile
import zlib

import numpy as np

from serving.codecs import npy
from serving.codecs.layout import check_names
from serving.codecs.request import Decoded, Form
from serving.errors import ArrayTooLargeError, InvalidNpzError
from serving.signature import Outputs, Signature

SUFFIX = ".npy"
# What numpy writes. Of the others Python unpacks 4 kB at a time however much comes of it, gigabytes with bzip2.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OSError,
)


def decode(body: bytes, signature: Signature, limit: int) -> Decoded:
    """Read a request; `limit` bounds the unpacked members together, in bytes.

    Raises:
        BadRequestError: InvalidNpzError, a missing or unknown input, or what `npy.parse` raises.
        ArrayTooLargeError: the members unpack to more than `limit`.
    """
    try:
        members = _unpacked(body, limit)
    except UNREADABLE as error:
        raise InvalidNpzError(f"the body is not a .npz file: {error}") from None
    check_names(members, signature)
    return Decoded({name: npy.parse(members[name], limit) for name in signature.input_names}, Form.COLUMN)


def encode(outputs: Outputs, form: Form, rows: int) -> bytes:
    """Write every output under its name, uncompressed."""
    del form, rows
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, value in outputs.items():
            assert isinstance(value, np.ndarray)  # negotiated: no other sort gets here  # noqa: S101
            archive.writestr(zipfile.ZipInfo(name + SUFFIX), npy.dump(value))
    return buffer.getvalue()


def _unpacked(body: bytes, limit: int) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = archive.infolist()
        claimed = sum(member.file_size for member in members)
        if claimed > limit:
            raise ArrayTooLargeError(f"expected at most {limit} bytes unpacked, got members of {claimed}")
        if any(member.compress_type not in METHODS for member in members):
            raise InvalidNpzError("expected members that are stored or deflated, got another compression method")
        return {member.filename.removesuffix(SUFFIX): _read(archive, member) for member in members}


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """At most the stated size: a deflate stream that would go on is cut off there, and fails its checksum."""
    with archive.open(member) as stream:
        return stream.read(member.file_size)
