"""What holds for all tests: none of them asserts how long something takes."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("vswitch", deadline=None)
settings.load_profile("vswitch")
