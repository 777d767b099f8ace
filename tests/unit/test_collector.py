import gc
import weakref

from infraconsole.collector import settle, uncollected


def test_what_was_made_meanwhile_is_old_and_not_frozen() -> None:
    frozen = gc.get_freeze_count()
    with uncollected():
        made = [[number] for number in range(20_000)]
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen
    assert any(each is made for each in gc.get_objects(generation=2))
    assert gc.get_count()[0] < len(made), "the next small collection does not look at them"


def test_what_is_in_a_cycle_is_still_freed() -> None:
    class Screen:
        def __init__(self) -> None:
            self.itself = self

    gone = weakref.ref(Screen())
    settle()
    for _ in range(20):  # one that another thread is at lets no other begin
        gc.collect()
    assert gone() is None
