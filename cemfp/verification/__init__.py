"""Verification: a threshold from known models, and a verdict on an unknown one."""

from cemfp.fingerprint.artifact import Calibration
from cemfp.verification.asked import Asked, check_asked, find_convention
from cemfp.verification.calibration import CalibrationError, calibrate, choose_threshold
from cemfp.verification.decision import make_rule, verify
from cemfp.verification.verdict import Decision, OverModels, Verdict, VerificationError, decide

__all__ = [
    "Asked",
    "Calibration",
    "CalibrationError",
    "Decision",
    "OverModels",
    "Verdict",
    "VerificationError",
    "calibrate",
    "check_asked",
    "choose_threshold",
    "decide",
    "find_convention",
    "make_rule",
    "verify",
]
