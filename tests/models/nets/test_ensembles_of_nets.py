"""Every net of the table inside an ensemble, against the plain Keras model."""

import numpy as np
import pytest

from cemfp.ensemble.ensemble import Ensemble
from cemfp.models.nets import NETS
from tests.ensemble.test_ensemble import CLASSES, SHAPE, classifier, gradient, images, plain
from tests.models.nets.test_nets import TINY

QUICK = ("densenet", "mobilenetv2")


# The published nets: see test_imagenet.py. One net of each sort of step in every run.
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in TINY],
)
def test_an_ensemble_folds_every_net(name):
    member = classifier(NETS[name](SHAPE, CLASSES, **TINY[name] | {"width": 8}), seed=1)
    ensemble = Ensemble([member], precision="float32")
    assert len(ensemble.groups) == 1 and not ensemble.singles
    x = images()
    np.testing.assert_allclose(ensemble.logits(x)[0], member(x), rtol=1e-4, atol=1e-4)
    expected = gradient(plain([member]), x)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(
        gradient(ensemble.logits, x), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
    )


def test_a_net_with_group_norm_is_called_as_it_is():
    member = classifier(NETS["resnet20"](SHAPE, CLASSES, norm="group", **TINY["resnet20"]), seed=1)
    ensemble = Ensemble([member], precision="float32")
    assert not ensemble.groups and len(ensemble.singles) == 1
    np.testing.assert_allclose(ensemble.logits(images())[0], member(images()), rtol=1e-5)
