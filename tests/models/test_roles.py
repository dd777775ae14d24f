"""No evaluation model gets where it must not be, and the error says which one tried."""

from types import SimpleNamespace

import pytest

from cemfp.models.roles import (
    CALIBRATION_ROLES,
    GENERATION_ROLES,
    Role,
    RoleError,
    require_origin,
    require_roles,
)


def model(role, origin="reference"):
    return SimpleNamespace(role=role, origin=origin, weights_sha256="0123456789abcdef" * 4)


def test_allowed_roles_pass_as_enum_or_text():
    require_roles([model("source"), model(Role.DEFENDER)], GENERATION_ROLES, "CEM")
    require_roles([], GENERATION_ROLES, "CEM")


@pytest.mark.parametrize("role", ["calibration", "evaluation", "attacker", None, "Source"])
def test_other_roles_are_named(role):
    with pytest.raises(RoleError) as caught:
        require_roles([model("source"), model(role)], GENERATION_ROLES, "CEM generation")
    text = str(caught.value)
    assert text.startswith("CEM generation: expected classifiers with role source or defender.")
    assert f"classifier 2 (weights 0123456789ab) with role {role}" in text
    assert "\n" not in text


@pytest.mark.parametrize("role", [role for role in Role if role != "calibration"])
def test_calibration_accepts_calibration_models_only(role):
    with pytest.raises(RoleError, match=role):
        require_roles([model(role)], CALIBRATION_ROLES, "calibration")


def test_an_object_without_role_is_refused():
    with pytest.raises(RoleError, match="classifier 1 with role None"):
        require_roles([object()], GENERATION_ROLES, "CEM")


def test_origin():
    require_origin([model("calibration", "surrogate")], ["surrogate"], "surrogates")
    with pytest.raises(RoleError, match="expected classifiers with origin surrogate"):
        require_origin([model("calibration", "reference")], ["surrogate"], "surrogates")
