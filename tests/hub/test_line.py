"""Who waits for a seat is let in in the order in which people came."""

import asyncio

import pytest

from hub_config.limits.line import FIRST_GUESS_S, Line
from tests.hub.waiting import Clock


def settle():
    return asyncio.sleep(0)


def test_some_start_at_once_and_the_others_in_the_order_in_which_they_came():
    async def story():
        line, order = Line(2), []

        async def come(who):
            await line.enter(who)
            order.append(who)

        tasks = [asyncio.create_task(come(who)) for who in "abcde"]
        await settle()
        assert order == ["a", "b"]
        assert [line.place(who) for who in "abcde"] == [None, None, 1, 2, 3]
        line.leave("b")
        await settle()
        assert order == ["a", "b", "c"]
        assert line.place("e") == 2
        line.leave("a"), line.leave("c")
        await settle()
        line.leave("d")
        await asyncio.gather(*tasks)
        assert order == list("abcde")

    asyncio.run(story())


def test_nobody_passes_those_who_wait_and_who_gives_up_keeps_nobody_waiting():
    async def story():
        line = Line(1)
        await line.enter("a")
        waiting = {who: asyncio.create_task(line.enter(who)) for who in "bcd"}
        await settle()
        waiting["b"].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting["b"]
        line.leave("a")
        assert line.place("c") is None  # hers is the turn, though her task has not run yet
        waiting["c"].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting["c"]
        await asyncio.wait_for(waiting["d"], 1)
        line.leave("somebody else")
        line.leave("d")
        line.leave("d")
        await asyncio.wait_for(line.enter("e"), 1)

    asyncio.run(story())


def test_how_long_it_takes_is_learnt_from_those_who_went_before():
    async def story():
        clock = Clock()
        line = Line(1, clock)
        assert line.seconds(1) == 2 * FIRST_GUESS_S
        for who in range(12):
            await line.enter(who)
            clock.now += 10.0
            line.leave(who)
        assert line.seconds(1) == pytest.approx(20, abs=1)
        assert line.seconds(3) == pytest.approx(40, abs=1)

    asyncio.run(story())
