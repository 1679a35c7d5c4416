from __future__ import annotations

collect_ignore = ["programs"]  # programs that the tests start
