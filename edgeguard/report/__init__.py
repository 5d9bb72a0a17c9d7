"""What became of a drive: alarms and levels as they came, a summary in numbers, a report for people."""

from edgeguard.report.drive import DriveRecord, Episode
from edgeguard.report.html import load, require_libraries, write_report
from edgeguard.report.summary import Summary, summarise

__all__ = ["DriveRecord", "Episode", "Summary", "load", "require_libraries", "summarise", "write_report"]
