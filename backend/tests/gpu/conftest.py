"""The fixtures of `tests/engines`: workers behind a forkserver."""

from tests.engines.conftest import image_forkserver, short_tmp  # noqa: F401
