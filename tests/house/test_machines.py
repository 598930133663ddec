"""The page of state diagrams says what the machines do."""

from tests.house import machines


def test_the_page_of_machines_is_drawn_from_the_code_as_it_is():
    assert machines.PAGE.read_text("utf-8") == machines.page(), "python -m tests.house.machines"


def test_every_state_of_the_writer_leads_back_to_idle():
    arrows = machines.writer_arrows()
    back = {"idle"}
    for _ in arrows:
        back |= {start for start, end in arrows if end in back}
    assert back == {state for arrow in arrows for state in arrow}


def test_no_arrow_between_phases_goes_back_and_nothing_leaves_the_end():
    order = [phase.name.lower() for phase in machines.Phase]
    for start, end in machines.phase_arrows():
        assert order.index(start) < order.index(end)
        assert start != "ended"
