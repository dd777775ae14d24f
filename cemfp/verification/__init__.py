"""Verification: a threshold from known models, and a verdict on an unknown one."""

from cemfp.fingerprint.artifact import Calibration
from cemfp.verification.calibration import CalibrationError, calibrate, choose_threshold
from cemfp.verification.decision import Decision, Verdict, VerificationError, decide, verify

__all__ = [
    "Calibration",
    "CalibrationError",
    "Decision",
    "Verdict",
    "VerificationError",
    "calibrate",
    "choose_threshold",
    "decide",
    "verify",
]
