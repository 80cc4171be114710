"""Bytes as people read them."""


def hexdump(data):
    """Sixteen to a line: offset, hexadecimal, ASCII."""
    rows = (data[at : at + 16] for at in range(0, len(data), 16))
    return "\n".join(f"{16 * k:04x}  {row.hex(' '):47}  {_ascii(row)}" for k, row in enumerate(rows))


def _ascii(row):
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
