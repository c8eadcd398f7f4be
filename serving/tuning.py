"""What is found out about a model once it is in service, when nobody waits for it any more.

    join      whether its rows may ride together, where warm-up has left that for now
    divide    how many of its runs at once are best
    tidy      what was in use only until then is given back, and what is in use put into huge pages

Called from the loader's thread; the runs that are measured are made while no request is.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from serving.allocator import give_back
from serving.division import Division, divide
from serving.huge_pages import collapse
from serving.loader import Loaded
from serving.mailbox import Mailbox
from serving.mapped import let_go
from serving.service import Service
from serving.warmup import conclude

log = logging.getLogger(__name__)

T = TypeVar("T")


class Tuning:
    """Of the default model.

    Args:
        service: has it in service.
        loaded: the model, and what warm-up has shown.
        mailbox: the way to the event loop, to which the service belongs.
    """

    def __init__(self, service: Service, loaded: Loaded, mailbox: Mailbox) -> None:
        self._service = service
        self._loaded = loaded
        self._mailbox = mailbox

    def join(self) -> None:
        """Have requests ride together, if they may, where that has not been tried yet."""
        if self._loaded.warm_up.untried is None:
            return
        found = self._alone(partial(conclude, self._loaded.model, self._loaded.warm_up))
        log.info("tried %s", found.line)
        self._mailbox.call(self._service.join, found.max_rows)
        self._loaded = self._loaded._replace(warm_up=found)

    def divide(self) -> None:
        """Make as many runs at once as are best."""
        loaded = self._loaded
        division = divide(loaded.model, loaded.prepared.plan, loaded.warm_up, self._alone, self._use)
        log.info("lanes: %d: %s", division.formation.lanes, division.reason)
        self._use(division)

    def _alone(self, work: Callable[[], T]) -> T:
        """Have this done while no request is run."""
        return self._mailbox.run(self._service.alone(work)).result()

    def _use(self, division: Division) -> None:
        """Have requests run so from now on."""
        self._mailbox.ask(self._service.divide, division)


def tidy() -> None:
    """Give back what was in use only until now; the model as it was loaded at first may be part of that."""
    give_back()
    log.info("huge pages: %d MB; let go: %d MB", collapse() >> 20, let_go() >> 20)
