"""What a decoder keeps of the tokens that it has read, so that it reads each of them once.

Shapes: B rows, A heads, T places, K head width.
"""

from torch import Tensor

from model.config import ModelConfig


class LayerCache:
    """Keys and values of one application of a layer; shared layers have one for each.

    Args:
        max_length: Places that there will be at most.
    """

    def __init__(self, max_length: int) -> None:
        self.length = 0
        self._max_length = max_length
        self._kept: tuple[Tensor, Tensor] | None = None

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keep keys and values (B, A, T, K) of new tokens; return those of all tokens so far."""
        rows, heads, new, width = key.shape
        if self._kept is None:
            size = rows, heads, self._max_length, width
            self._kept = key.new_empty(size), value.new_empty(size)
        end = self.length + new
        for kept, added in zip(self._kept, (key, value), strict=True):
            kept[:, :, self.length : end] = added
        self.length = end
        all_keys, all_values = self._kept
        return all_keys[:, :, :end], all_values[:, :, :end]

    def reorder(self, rows: Tensor) -> None:
        """Go on with what the rows of these numbers (B,) have read."""
        for kept in self._kept or ():
            kept[:, :, : self.length] = kept[rows, :, : self.length]


class Cache:
    """Keys and values in all layers of a decoder, for rows of one length without padding.

    Args:
        config: Of the decoder.
        max_length: Places that there will be at most; None = as many as it has positions.

    Raises:
        ValueError: The model is no decoder whose attention sees all tokens before.
    """

    def __init__(self, config: ModelConfig, max_length: int | None = None) -> None:
        if not config.is_decoder or config.attention != "softmax":
            raise ValueError("only a decoder with softmax attention keeps what it has read")
        most = config.max_position_embeddings if max_length is None else max_length
        self.layers = [LayerCache(most) for _ in range(config.num_hidden_layers)]

    @property
    def length(self) -> int:
        """Return how many tokens of each row have been read."""
        return self.layers[0].length

    def reorder(self, rows: Tensor) -> None:
        """Go on with what the rows of these numbers (B,) have read: those that a beam keeps."""
        for layer in self.layers:
            layer.reorder(rows)
