"""The shape of a shard: its columns, and the header in its schema; FORMAT.md specifies both."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

FORMAT_VERSION = 1
HEADER_KEY = b"hearth"
LAYOUTS = ("pairs", "segments", "stream")
NO_LABEL = 255
"""`sentence_order_label` of a row of one segment."""


@dataclass(frozen=True, kw_only=True)
class ShardHeader:
    """What a reader must know of a shard; stored as JSON in the schema's metadata.

    Attributes:
        max_length: L, the width of a row in tokens.
        layout: How rows are made. "pairs" and "segments" are `[CLS] A [SEP] B [SEP]` or
            `[CLS] A [SEP]`, with and without a label for the order of A and B. "stream" is text
            without a break, a [SEP] after each document.
        mask_sets: Independent mask sets a row; 0 in a stream.
        mask_probability: At most this share of a row's `length`, rounded, is masked in a set.
        tokenizer: BLAKE3 hash of the tokenizer.json whose ids these are.
    """

    max_length: int
    vocab_size: int
    mask_sets: int
    mask_probability: float
    pad_token_id: int
    unk_token_id: int
    cls_token_id: int
    sep_token_id: int
    mask_token_id: int
    tokenizer: str
    layout: str = "pairs"
    format_version: int = FORMAT_VERSION

    @property
    def mask_bytes(self) -> int:
        """Return the bytes of one mask set."""
        return -(-self.max_length // 8)

    @property
    def row_bytes(self) -> int:
        """Return the bytes of a row in all columns."""
        ids = self.max_length * np.dtype(self.id_type).itemsize
        return ids + self.mask_sets * self.mask_bytes + 2 + 2 + 1 + 4

    @property
    def id_type(self) -> type[np.uint16] | type[np.uint32]:
        """Return the smallest unsigned type that holds every id."""
        return np.uint16 if self.vocab_size <= 1 << 16 else np.uint32

    def schema(self) -> pa.Schema:
        """Return the Arrow schema, this header included."""
        ids = pa.from_numpy_dtype(self.id_type)
        columns = [
            ("input_ids", pa.list_(ids, self.max_length)),
            ("length", pa.uint16()),
            ("second_start", pa.uint16()),
            ("sentence_order_label", pa.uint8()),
            ("masks", pa.list_(pa.uint8(), self.mask_sets * self.mask_bytes)),
            ("document", pa.uint32()),
        ]
        if not self.mask_sets:
            columns = [column for column in columns if column[0] != "masks"]
        fields = [pa.field(name, kind, nullable=False) for name, kind in columns]
        return pa.schema(fields, {HEADER_KEY: json.dumps(asdict(self), sort_keys=True).encode()})


def make_header(document: Any) -> ShardHeader:  # noqa: ANN401
    """Return the header that a JSON object holds.

    Raises:
        ValueError: It is no header, or one of another version.
    """
    if not isinstance(document, dict):
        raise ValueError(f"a header that is {document!r}, not an object")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(f"format version {version}, this Hearth reads {FORMAT_VERSION}")
    for field in fields(ShardHeader):
        value = document.get(field.name)
        if type(value) is not field.type:  # to isinstance, True is an int
            raise ValueError(f"a header whose {field.name} is {value!r}")
    if unknown := set(document) - {field.name for field in fields(ShardHeader)}:
        raise ValueError(f"a header with the unknown field {min(unknown)}")
    header = ShardHeader(**document)
    if header.layout not in LAYOUTS:
        raise ValueError(f"a header whose layout is {header.layout!r}, not one of {LAYOUTS}")
    _check_numbers(header)
    return header


def _check_numbers(header: ShardHeader) -> None:
    most = 0 if header.layout == "stream" else 64
    for name, low, high in (
        ("max_length", 1, 65535),
        ("vocab_size", 1, 1 << 32),
        ("mask_sets", 0, most),
        ("mask_probability", 0, 1),
    ):
        if not low <= (value := getattr(header, name)) <= high:
            raise ValueError(f"a header whose {name} is {value}, not between {low} and {high}")
    special = [value for name, value in vars(header).items() if name.endswith("_token_id")]
    if len(set(special)) < len(special):
        raise ValueError(f"a header whose special ids {special} are not all different")
    if not 0 <= min(special) <= max(special) < header.vocab_size:
        problem = f"a header whose special ids {special} are not below {header.vocab_size}"
        raise ValueError(problem)


def read_header(schema: pa.Schema) -> ShardHeader:
    """Read the header from a schema.

    Raises:
        ValueError: There is none, it is of another version, or the columns do not fit it.
    """
    header = make_header(json.loads((schema.metadata or {}).get(HEADER_KEY, b"{}")))
    if not schema.equals(header.schema()):
        raise ValueError("columns that do not fit the header")
    return header


@dataclass(frozen=True)
class Rows:
    """N rows as arrays; the columns of a shard, or a batch gathered from several.

    Attributes:
        input_ids: (N, L) uint16 or uint32, padded with `pad_token_id`.
        length: (N,) uint16, tokens before padding.
        second_start: (N,) uint16, index of B's first token, or `length` if there is no B.
        sentence_order_label: (N,) uint8, 0 original order, 1 swapped, 255 none.
        masks: (N, mask_sets * mask_bytes) uint8 bitsets, least significant bit first.
        document: (N,) uint32, the document of the manifest's inputs that the row came from.
    """

    input_ids: NDArray[Any]
    length: NDArray[np.uint16]
    second_start: NDArray[np.uint16]
    sentence_order_label: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    document: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.length)

    @property
    def nbytes(self) -> int:
        """Return the bytes of all columns."""
        return sum(column.nbytes for column in vars(self).values())

    def take(self, index: NDArray[Any] | slice) -> "Rows":
        """Return the rows at `index`: positions, a boolean mask, or a slice."""
        return Rows(**{name: column[index] for name, column in vars(self).items()})

    def mask_set(self, which: NDArray[Any], header: ShardHeader) -> NDArray[np.uint8]:
        """Return (N, mask_bytes): set `which[i]` of row i."""
        sets = self.masks.reshape(len(self), header.mask_sets, header.mask_bytes)
        return np.ascontiguousarray(sets[np.arange(len(self)), which])


def mask_budget(length: NDArray[Any], probability: float) -> NDArray[np.int64]:
    """Return how many tokens of rows of `length` tokens a mask set may cover: rounded half up."""
    return np.floor(length * probability + 0.5).astype(np.int64)


def make_room(header: ShardHeader, count: int) -> Rows:
    """Return `count` rows to be filled."""
    return Rows(
        input_ids=np.empty((count, header.max_length), header.id_type),
        length=np.empty(count, np.uint16),
        second_start=np.empty(count, np.uint16),
        sentence_order_label=np.empty(count, np.uint8),
        masks=np.empty((count, header.mask_sets * header.mask_bytes), np.uint8),
        document=np.empty(count, np.uint32),
    )


def concatenate(parts: Iterable[Rows]) -> Rows:
    """Join rows from one or more parts, in order."""
    parts = list(parts)
    names = vars(parts[0])
    return replace(parts[0], **{n: np.concatenate([vars(p)[n] for p in parts]) for n in names})


def scatter(parts: list[Rows], order: NDArray[np.int64]) -> Rows:
    """Join rows of parts, which is emptied, so that row i of all comes to lie at `order[i]`."""
    columns = {
        name: np.empty((len(order), *column.shape[1:]), column.dtype)
        for name, column in vars(parts[0]).items()
    }
    last = len(order)
    while parts:
        part = parts.pop()
        places = order[last - len(part) : last]
        for name, column in vars(part).items():
            columns[name][places] = column
        last -= len(part)
    return Rows(**columns)


def unpack_masks(packed: NDArray[np.uint8], max_length: int) -> NDArray[np.bool_]:
    """Unpack (N, mask_bytes) bitsets into (N, max_length) booleans, True = to be predicted."""
    bits = np.unpackbits(packed, axis=1, count=max_length, bitorder="little")
    return bits.astype(np.bool_, copy=False)
