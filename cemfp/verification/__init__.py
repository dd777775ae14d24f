"""Verification: a threshold from known models, and a verdict on an unknown one."""

from cemfp.fingerprint.artifact import Calibration
from cemfp.verification.asked import Asked, check_asked, find_convention
from cemfp.verification.calibration import CalibrationError, calibrate, choose_threshold
from cemfp.verification.decision import Decision, Verdict, VerificationError, decide, verify

__all__ = [
    "Asked",
    "Calibration",
    "CalibrationError",
    "Decision",
    "Verdict",
    "VerificationError",
    "calibrate",
    "check_asked",
    "choose_threshold",
    "decide",
    "find_convention",
    "verify",
]
