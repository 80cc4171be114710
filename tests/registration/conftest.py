import pytest

from backend.evaluation.sources import Source, true_source
from backend.evaluation.truth import TruthSubject, load_subject
from backend.registration.fit import fit_body
from backend.stages import Registration

from .people import Person, person


@pytest.fixture(scope="session")
def seen(model) -> Person:
    """Somebody, seen whole by a perfect detector."""
    return person(model, 1)


@pytest.fixture(scope="session")
def registration(seen, model) -> Registration:
    """What the fit makes of `seen`."""
    return fit_body(seen.observations, model)


@pytest.fixture(scope="session", params=["subject_a", "subject_b"])
def dressed(request, truth, model) -> tuple[TruthSubject, Source]:
    """A truth subject with its true body, and the clothes and hair that we find on it."""
    subject = load_subject(truth / request.param)
    return subject, true_source(subject, model)
