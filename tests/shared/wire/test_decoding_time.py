"""What a header may cost before it is refused."""

import time

import pytest

from shared.wire import limits
from shared.wire.codec import decode
from shared.wire.errors import WireError

HEADERS = {
    "a text without end, full of quotes": b'"' + b'\\"' * (limits.HEADER_BYTES // 2 - 1),
    "texts without end after texts": b'"" ' * 10_000 + b'"' + b'\\"' * 10_000,
    "backslashes": b'"' + b"\\" * (limits.HEADER_BYTES - 1),
    "brackets": b"[" * limits.HEADER_BYTES,
    "brackets in a text without end": b'"' + b"[" * (limits.HEADER_BYTES - 1),
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_row_1_no_header_takes_long_to_refuse(header):
    began = time.process_time()
    with pytest.raises(WireError):
        decode([limits.MAGIC, header])
    assert time.process_time() - began < 2.0  # hundredths; a pattern that starts again at each quote took a minute
