"""What the dispatcher has in its queue for a request, or for a part of a large one."""

from collections.abc import Hashable
from dataclasses import dataclass

from serving.batch import ride_key, split
from serving.batcher import Batch, Entry
from serving.parts import Part, Tell
from serving.runs import Split
from serving.signature import Inputs


@dataclass(slots=True, eq=False)
class Ticket:
    """A request's arrays, their shape but for the rows, whom its outcome is told, and what takes that out of a run."""

    inputs: Inputs
    shape: Hashable | None
    tell: Tell
    split: Split


def entry_for(whole: Part, deadline: float, splitting: Split, *, joins: bool) -> Entry[Ticket]:
    """A request's place in the queue, until it is started or its time is up, at `deadline` in monotonic seconds.

    `splitting` makes of the outputs of a run what it is told; `joins` says whether it may ride with others.
    """
    shape = ride_key(whole.inputs)
    return Entry(Ticket(whole.inputs, shape, whole.tell, splitting), whole.rows, shape if joins else None, deadline)


def splitting_of(batch: Batch[Ticket]) -> Split:
    """What all of a batch are told at once, where they are to be told it in one way; else each its own part."""
    first = batch[0].payload.split
    return first if len(batch) > 1 and all(entry.payload.split is first for entry in batch) else split
