"""Many callers at once, with other seeds, in Spanish and in English: the long form of the twenty calls."""

from collections import Counter

import pytest

from tests.acceptance import playbooks
from tests.acceptance.world import PERSONAS, RIGHT, simulators, start

CALLS = 24
EVERY_S = 0.8

pytestmark = [pytest.mark.long, pytest.mark.realtime, pytest.mark.timeout(300)]


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("book", [playbooks.shipped, playbooks.english])
def test_every_caller_gets_the_right_ending(tmp_path, book, seed):
    with simulators(tmp_path / "world", seed=seed) as world:
        arguments = ("serve", "--playbook", book(tmp_path), "--port", "0", "--calls", CALLS, "--json")
        serve = start(*arguments, env=world.account(tmp_path / "home"), cwd=tmp_path)
        serve.said("Ctrl-C")
        world.post("/sim/inbound", calls=CALLS, every_s=EVERY_S)
        calls = serve.finish(200).document["calls"]
        personas = {record["sid"]: record["persona"] for record in world.calls()}
    endings = Counter((personas[call["carrier_call_id"]], call["disposition"]) for call in calls)
    right = sum(number for (persona, ending), number in endings.items() if RIGHT[persona] == ending)
    print(f"seed {seed}, {book.__name__}: {right} of {len(calls)} calls ended right: {dict(endings)}")
    assert len(calls) == CALLS
    assert endings == Counter({(persona, RIGHT[persona]): CALLS // len(PERSONAS) for persona in PERSONAS})
