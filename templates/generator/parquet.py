"""Writes a table of text columns as a Parquet file: one row group, plain encoding, no compression.

Only as much of the format (github.com/apache/parquet-format) as that needs, so that the generator
runs on Python alone. Headers are structs of Thrift's compact protocol, given as (id, type, value).
"""

import struct

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
BYTE_ARRAY, REQUIRED, UTF8, PLAIN, RLE, UNCOMPRESSED, DATA_PAGE = 6, 0, 0, 0, 3, 0, 0
MAGIC = b"PAR1"


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def value(kind, content):
    if kind in (I32, I64):
        return varint(content * 2)  # zigzag; nothing here is negative
    if kind == BINARY:
        data = content.encode()
        return varint(len(data)) + data
    if kind == STRUCT:
        return record(content)
    inner, items = content
    head = bytes([len(items) << 4 | inner]) if len(items) < 15 else bytes([0xF0 | inner]) + varint(len(items))
    return head + b"".join(value(inner, item) for item in items)


def record(fields):
    out, last = b"", 0
    for number, kind, content in fields:
        out += bytes([(number - last) << 4 | kind]) + value(kind, content)
        last = number
    return out + b"\0"


def column_page(cells):
    body = b"".join(struct.pack("<I", len(cell.encode())) + cell.encode() for cell in cells)
    header = record([
        (1, I32, DATA_PAGE), (2, I32, len(body)), (3, I32, len(body)),
        (5, STRUCT, [(1, I32, len(cells)), (2, I32, PLAIN), (3, I32, RLE), (4, I32, RLE)]),
    ])
    return header + body


def schema(names):
    leaf = lambda name: [
        (1, I32, BYTE_ARRAY), (3, I32, REQUIRED), (4, BINARY, name), (6, I32, UTF8),
        (10, STRUCT, [(1, STRUCT, [])]),
    ]
    return [[(4, BINARY, "schema"), (5, I32, len(names))]] + [leaf(name) for name in names]


def encode(names, rows):
    """The bytes of a Parquet file with the text columns `names` and `rows` of as many cells."""
    data, chunks = MAGIC, []
    for index, name in enumerate(names):
        page, offset = column_page([row[index] for row in rows]), len(data)
        chunks.append([(2, I64, offset), (3, STRUCT, [
            (1, I32, BYTE_ARRAY), (2, LIST, (I32, [PLAIN])), (3, LIST, (BINARY, [name])),
            (4, I32, UNCOMPRESSED), (5, I64, len(rows)), (6, I64, len(page)), (7, I64, len(page)),
            (9, I64, offset),
        ])])
        data += page
    group = [(1, LIST, (STRUCT, chunks)), (2, I64, len(data) - len(MAGIC)), (3, I64, len(rows))]
    footer = record([
        (1, I32, 1), (2, LIST, (STRUCT, schema(names))), (3, I64, len(rows)),
        (4, LIST, (STRUCT, [group])), (6, BINARY, "openlora templates"),
    ])
    return data + footer + struct.pack("<I", len(footer)) + MAGIC
