"""Evidence that stands without trusting the owner: commitment, bundle, recheck, report.

Nothing here needs TensorFlow, and only asking for a timestamp needs the network.
"""
