"""When a suspect is asked: not too often, again after what passes, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from cemfp.suspects.base import NoAnswer, TryAgain

Answer = TypeVar("Answer")

RETRIES = 5
DEADLINE = 3600.0
LONGEST_PAUSE = 60.0


class Pace:
    """Asks one question after the other, each as often as it takes within the bounds.

    A question that fails with `TryAgain` is repeated after 1, 2, 4, ... 60 seconds, or later if the
    suspect says so. A suspect that says when to come back is asked until the deadline; one that
    does not, `retries` times more.

    Attributes:
        rate: Most questions a second; None for as many as are answered.
        retries: Repetitions of a question, see above.
        deadline: Seconds from now until all asking has to be over.
    """

    def __init__(
        self,
        *,
        rate: float | None = None,
        retries: int = RETRIES,
        deadline: float = DEADLINE,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start the time; `say` gets a line on each wait for a suspect that failed."""
        self.rate, self.retries, self.deadline = rate, retries, deadline
        self._say, self._clock, self._sleep = say, clock, sleep
        self._end = clock() + deadline
        self._next = clock()

    def left(self) -> float:
        """Seconds until the deadline; none of them is negative."""
        return max(self._end - self._clock(), 0.0)

    def __call__(self, ask: Callable[[], Answer]) -> Answer:
        """Return what `ask` returns.

        Raises:
            NoAnswer: The deadline is over, or all repetitions failed.
        """
        failures = unasked = 0
        while True:
            self._wait_for_turn()
            try:
                return ask()
            except TryAgain as error:
                pause = min(2.0**failures, LONGEST_PAUSE)
                failures, unasked = failures + 1, unasked + (error.after is None)
                if unasked > self.retries:
                    raise NoAnswer(f"{error} ({failures} times)") from error
                self._pause(max(pause, error.after or 0.0), str(error))

    def _wait_for_turn(self) -> None:
        self._pause(max(self._next - self._clock(), 0.0), "")
        if self.rate is not None:
            self._next = self._clock() + 1.0 / self.rate

    def _pause(self, seconds: float, why: str) -> None:
        """Wait, unless the deadline comes first."""
        left = self.left()
        if not left:
            raise NoAnswer(f"the deadline of {self.deadline:g} s is over (--deadline)")
        if seconds > left:
            raise NoAnswer(
                f"{why or 'the rate is kept'}; the next question would be in {seconds:.0f} s, "
                f"after the deadline of {self.deadline:g} s (--deadline)"
            )
        if seconds > 0 and why and self._say is not None:
            self._say(f"{why}; asking again in {seconds:.0f} s")
        if seconds > 0:
            self._sleep(seconds)
