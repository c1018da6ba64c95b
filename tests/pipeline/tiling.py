"""Rows back to the tokens of their documents."""

from shards.format import Rows


def restore(rows: Rows) -> dict[int, list[list[int]]]:
    """Return the tokens of each row, un-swapped, for each document, in any order."""
    restored: dict[int, list[list[int]]] = {}
    for row in range(len(rows)):
        length, second = int(rows.length[row]), int(rows.second_start[row])
        a = rows.input_ids[row, 1 : second - 1].tolist()
        b = rows.input_ids[row, second : length - 1].tolist() if second < length else []
        text = b + a if rows.sentence_order_label[row] == 1 else a + b
        restored.setdefault(int(rows.document[row]), []).append(text)
    return restored


def can_tile(tokens: list[int], pieces: list[list[int]]) -> bool:
    """Return whether the pieces, in some order, are exactly these tokens."""
    stack = [(0, sorted(pieces, key=len))]
    while stack:
        place, rest = stack.pop()
        if not rest:
            if place == len(tokens):
                return True
            continue
        for number, piece in enumerate(rest):
            is_next = tokens[place : place + len(piece)] == piece
            if is_next and piece not in rest[:number]:
                stack.append((place + len(piece), rest[:number] + rest[number + 1 :]))
    return False
