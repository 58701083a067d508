from __future__ import annotations

SUMMARIES: dict[str, str] = {}
