"""PyTorch modules for tests, small ones that show one thing each. Imported where PyTorch is."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Products(nn.Module):
    """`x` float32 [N, 258] -> [N, 64]: one product of matrices, whose rounding shows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.layer = nn.Linear(258, 64, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        product: Tensor = self.layer(x)
        return product


class Counter(nn.Module):
    """`x` float32 [N, 4] -> [N, 4]: x plus the number of calls so far."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.layer = nn.Linear(4, 4, bias=False)
        nn.init.eye_(self.layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        counted: Tensor = self.layer(x) + self.calls
        return counted


class Remembering(nn.Module):
    """`x` float32 [N, 4] -> [N, 4]: x plus the rows of the call before, but only from the third call on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        shifted: Tensor = self.layer(x) + max(0, self.calls - 3)
        return shifted


class Listing(nn.Module):
    """`x` float32 [N, 4] -> the same; it keeps what it was given."""

    seen: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.seen = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        given: Tensor = self.layer(x)
        return given


class Centred(nn.Module):
    """`x` float32 [N, 4] -> x less the mean of its batch, so rows must not ride together."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y - y.mean(0, keepdim=True)


class Normalised(nn.Module):
    """`x` float32 [N, 4] -> [N, 2], with batch normalisation, which keeps nothing while it infers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class Tokens(nn.Module):
    """`input_ids`, `attention_mask` int64 [N, L] -> [N, 3]: the mean of the embeddings that the mask leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(-1).to(torch.float32)
        pooled = (self.table(input_ids) * mask).sum(1) / mask.sum(1).clamp(min=1)
        answer: Tensor = self.last(pooled)
        return answer


class Pictures(nn.Module):
    """`x` float32 [N, 3, 28, 28] -> [N, 10]: a classifier that takes no other size."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(784, 10))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class Sequences(nn.Module):
    """`x` float32 [N, T, 5] -> [N, T, 7]."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(5, 7, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)[0]
        return y


class Both(NamedTuple):
    """What `Fields` gives."""

    sum: Tensor
    largest: Tensor


class Fields(nn.Module):
    """`x` float32 [N, 4] -> `sum` [N], `largest` [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Both:
        y = self.layer(x)
        return Both(y.sum(1), y.argmax(1))


class Named(nn.Module):
    """`x`, `y` float32 [N, 4] -> a dict of two, one of them bfloat16, which numpy does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"sum": self.layer(x) + y, "half": x.to(torch.bfloat16)}


class Nested(nn.Module):
    """`x` float32 [N, 4] -> a tensor, and a list of two."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        y = self.layer(x)
        return y, [y + 1, y + 2]


class Parameterless(nn.Module):
    """`x` of any shape -> its double."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class Texted(nn.Module):
    """Gives what no answer can carry."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return self.layer(x), "text"


class Numbered(nn.Module):
    """Wants a number beside its tensor."""

    def forward(self, x: Tensor, count: int) -> Tensor:
        return x * count
