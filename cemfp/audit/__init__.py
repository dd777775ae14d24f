"""A judge's audit: can this fingerprint have been made up, or chosen to suit a suspect?"""

from cemfp.audit.checks import AuditError, Check, Status, worst
from cemfp.audit.commitment import Papers, parse_date
from cemfp.audit.judge import Judge, audit

__all__ = ["AuditError", "Check", "Judge", "Papers", "Status", "audit", "parse_date", "worst"]
