"""Golden vectors of the arithmetic `native/1`: python3 make.py > native-1.txt

A third implementation, in Python's own numbers, so that neither the kernels nor the Rust reference
can drift unnoticed. One line per case: its name and the results' bits in hexadecimal.
"""

import math
import struct

MASK = (1 << 64) - 1


class Numbers:
    """SplitMix64 and floats from it, as in tests/it/support.rs."""

    def __init__(self, seed):
        self.state = seed

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def float(self):
        bits = self.bits()
        fraction = (bits >> 40) / (1 << 24) / (1 << (bits >> 1 & 7))
        return fraction if bits & 1 == 0 else -fraction

    def floats(self, count):
        return [self.float() for _ in range(count)]


def f32(x):
    """Rounds to single precision, to nearest even."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def f16(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def bf16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return struct.unpack("<f", struct.pack("<I", bits))[0]


# Sums, products, quotients and roots of single-precision numbers may be rounded to double precision
# first: it has more than twice the digits.
def add(a, b):
    return f32(a + b)


def mul(a, b):
    return f32(a * b)


def div(a, b):
    return f32(a / b)


def fma(a, b, c):
    """a × b + c, rounded once: the product is exact, the sum is first rounded to odd."""
    product = a * b
    total = product + c
    back = total - product
    error = (product - (total - back)) + (c - back)
    if error != 0 and struct.unpack("<Q", struct.pack("<d", total))[0] & 1 == 0:
        total = math.nextafter(total, math.copysign(math.inf, error))
    return f32(total)


def tree(lanes):
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [add(lanes[i], lanes[i + half]) for i in range(half)]
    return lanes[0]


def dot(a, b):
    lanes = [0.0] * 32
    for column, (x, y) in enumerate(zip(a, b)):
        lanes[column % 32] = fma(x, y, lanes[column % 32])
    return tree(lanes)


def exp(x):
    if x < f32(-87.33654):
        return 0.0
    x = min(x, f32(88.37))
    magic = 12582912.0
    whole = add(fma(x, f32(math.log2(math.e)), magic), -magic)
    rest = fma(whole, f32(-0.6933594), x)
    rest = fma(whole, f32(2.1219444e-4), rest)
    total = f32(1.9875691e-4)
    for coefficient in [1.3981999e-3, 8.333452e-3, 4.1665796e-2, 1.6666665e-1, 5.0000001e-1]:
        total = fma(total, rest, f32(coefficient))
    total = add(fma(total, mul(rest, rest), rest), 1.0)
    return f32(total * 2.0**whole)


def rows(values, width):
    return [values[i : i + width] for i in range(0, len(values), width)]


def groups(values):
    return rows(values + [0.0] * (-len(values) % 32), 32)


def activations(x):
    result = []
    for part in groups(x):
        greatest = max(abs(it) for it in part)
        inverse = div(127.0, greatest)
        result.append((div(greatest, 127.0), [round(mul(it, inverse)) for it in part]))
    return result


def int8(weights):
    result = []
    for part in groups(weights):
        scale = f16(div(max(abs(it) for it in part), 127.0))
        result.append((scale, [max(-127, min(127, round(div(it, scale)))) for it in part]))
    return result


def int4(weights):
    result = []
    for part in groups(weights):
        scale = f16(div(max(part, key=abs), -8.0))
        result.append((scale, [max(-8, min(7, round(div(it, scale)))) for it in part]))
    return result


def grouped_product(x, weights):
    acc = 0.0
    for (input_scale, values), (scale, steps) in zip(x, weights):
        total = sum(a * b for a, b in zip(values, steps))
        acc = fma(mul(input_scale, scale), float(total), acc)
    return acc


def float_product(x, weights):
    acc = 0.0
    for x, weights in zip(rows(x, 32), rows(weights, 32)):
        total = 0.0
        for value, weight in zip(x, weights):
            total = fma(weight, value, total)
        acc = add(acc, total)
    return acc


def softmax(x):
    greatest = max(x)
    lanes = [0.0] * 16
    for index, it in enumerate(x):
        lanes[index % 16] = add(lanes[index % 16], exp(add(it, -greatest)))
    total = tree(lanes)
    return [div(exp(add(it, -greatest)), total) for it in x]


def rotate(head, position):
    half = len(head) // 2
    low, high = [], []
    for i in range(half):
        frequency = f32(1.0 / 10000.0 ** (2.0 * i / len(head)))
        angle = mul(float(position), frequency)
        sin, cos = f32(math.sin(angle)), f32(math.cos(angle))
        a, b = head[i], head[half + i]
        low.append(fma(a, cos, mul(b, -sin)))
        high.append(fma(b, cos, mul(a, sin)))
    return low + high


def add_lora(x, a, b, rank, scale, out):
    inner = [dot(row, x) for row in rows(a, len(x))]
    result = []
    for before, row in zip(out, rows(b, rank)):
        total = 0.0
        for weight, value in zip(row, inner):
            total = fma(weight, value, total)
        result.append(fma(total, scale, before))
    return result


def attention(query, start, keys, values, scale):
    total = None
    while start < len(keys):
        end = min((start // 256 + 1) * 256, len(keys))
        scores = []
        for key in keys[start:end]:
            score = 0.0
            for k, q in zip(key, query):
                score = fma(k, q, score)
            scores.append(mul(score, scale))
        greatest = max(scores)
        terms = [exp(add(it, -greatest)) for it in scores]
        lanes = [0.0] * 16
        for index, term in enumerate(terms):
            lane = (start + index) % 16
            lanes[lane] = add(lanes[lane], term)
        out = [0.0] * len(query)
        for term, value in zip(terms, values[start:end]):
            out = [fma(v, term, o) for v, o in zip(value, out)]
        part = (greatest, tree(lanes), out)
        total = part if total is None else merge(total, part)
        start = end
    return [div(it, total[1]) for it in total[2]]


def merge(before, part):
    greatest = max(before[0], part[0])
    a, b = exp(add(before[0], -greatest)), exp(add(part[0], -greatest))
    out = [fma(x, a, mul(y, b)) for x, y in zip(before[2], part[2])]
    return greatest, fma(before[1], a, mul(part[1], b)), out


def show(name, values):
    bits = [struct.pack(">f", it).hex() for it in values]
    print(name, *bits)


def products():
    numbers = Numbers(1)
    weights, x = rows(numbers.floats(5 * 70), 70), rows(numbers.floats(3 * 70), 70)
    for name, quantise in [("int8", int8), ("int4", int4)]:
        matrix = [quantise(row) for row in weights]
        show(f"{name}_row", [scale * it for scale, steps in matrix[4] for it in steps][:70])
        show(f"{name}_product", [grouped_product(activations(it), row) for it in x for row in matrix])
    show("f32_product", [float_product(it, row) for it in x for row in weights])


def pointwise():
    numbers = Numbers(2)
    x, weight = numbers.floats(77), numbers.floats(77)
    inverse = div(1.0, f32(math.sqrt(add(div(dot(x, x), 77.0), f32(1e-5)))))
    show("rms_norm", [mul(mul(it, inverse), w) for it, w in zip(x, weight)])
    gate, up = rows([mul(it, 30.0) for it in numbers.floats(2 * 37)], 37)
    silu = [mul(div(g, add(exp(0.0 - g), 1.0)), u) for g, u in zip(gate, up)]
    show("silu_mul", silu)
    show("softmax", softmax([mul(it, 50.0) for it in numbers.floats(41)]))
    heads = rows(numbers.floats(3 * 6), 6)
    show("rope", [it for head, position in zip(heads, [0, 1, 299]) for it in rotate(head, position)])


def branches():
    numbers = Numbers(3)
    a, b = numbers.floats(3 * 50), numbers.floats(7 * 3)
    x, out = numbers.floats(50), numbers.floats(7)
    a, b = [bf16(it) for it in a], [bf16(it) for it in b]
    show("lora", add_lora(x, a, b, 3, f32(0.7), out))


def attentions():
    numbers = Numbers(4)
    keys, values = [], []
    for _ in range(300):
        keys.append([f16(it) for it in numbers.floats(5)])
        values.append([f16(it) for it in numbers.floats(5)])
    queries = rows(numbers.floats(2 * 5), 5)
    for name, start in [("attention", 0), ("attention_window", 260)]:
        show(name, [it for q in queries for it in attention(q, start, keys, values, f32(0.7))])


if __name__ == "__main__":
    products()
    pointwise()
    branches()
    attentions()
