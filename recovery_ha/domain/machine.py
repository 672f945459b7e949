"""State machines as tables: which state may follow which, and why.

Diagrams in the documentation are drawn from these tables, and the database
layer takes the states it may leave from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class StateMachine(Generic[S]):
    """A table of moves.

    :ivar name: what it is the life of; used in messages and diagrams.
    :ivar initial: the state a new one has.
    :ivar moves: for each state the states that may follow; a state without
        followers is terminal.
    """

    name: str
    initial: S
    moves: Mapping[S, frozenset[S]]

    @property
    def terminal(self) -> frozenset[S]:
        """The states which nothing follows."""
        return frozenset(s for s, after in self.moves.items() if not after)

    @property
    def unfinished(self) -> frozenset[S]:
        """The states which something follows."""
        return frozenset(s for s, after in self.moves.items() if after)

    def sources(self, target: S) -> frozenset[S]:
        """Return the states from which ``target`` may be entered."""
        return frozenset(
            s for s, after in self.moves.items() if target in after
        )

    def to_dot(self) -> str:
        """Return the table as a Graphviz digraph, states in table order."""
        lines = [f'digraph "{self.name}" {{', "  rankdir=LR;"]
        for state, after in self.moves.items():
            shape = "doublecircle" if not after else "ellipse"
            lines.append(f"  {state} [shape={shape}];")
            lines += [f"  {state} -> {target};" for target in sorted(after)]
        return "\n".join([*lines, "}", ""])
