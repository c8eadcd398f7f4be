"""A body's lines, where they may be told apart by one byte."""

LINE_ENDS = b"\r\n"


def with_plain_ends(body: bytes) -> bytes | None:
    r"""The body with `\n` between its lines and no other end of a line; None where there is a `\r` by itself.

    That would be a blank for a reader of JSON, and the end of a line for others.
    """
    lines = bytes(body).rstrip(LINE_ENDS)  # it may be a bytearray
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n")
    return None if b"\r" in lines else lines
