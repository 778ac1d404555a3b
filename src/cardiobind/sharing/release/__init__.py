"""The proof that what leaves a closed place holds nobody who was in it."""

from cardiobind.sharing.release.findings import Finding
from cardiobind.sharing.release.membership import Membership, membership
from cardiobind.sharing.release.verify import Release, verify_release

__all__ = ["Finding", "Membership", "Release", "membership", "verify_release"]
