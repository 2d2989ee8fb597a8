"""A forkserver whose workers do not notice that the server is gone: for the sabotage of the lifelines only."""

from __future__ import annotations

from engines import forkserver, lifeline

lifeline.die_with_parent = lambda _parent: None
lifeline.watch_death_pipe = lambda _fd: None  # type: ignore[assignment]
forkserver.Forkserver._end_children = lambda _self: None  # type: ignore[method-assign]

if __name__ == "__main__":
    forkserver.main()
