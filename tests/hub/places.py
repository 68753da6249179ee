"""Workshops and seats put straight into the workspace's tables, for tests of what comes after them."""

from sqlalchemy import func, insert, select, update

from hub_config import db

DAY = 86_400


def add_workshop(engine, slug, now, team="bike"):
    with engine.begin() as connection:
        team_id = connection.execute(select(db.teams.c.id).where(db.teams.c.slug == team)).scalar_one()
        connection.execute(
            insert(db.workshops).values(
                slug=slug,
                title=slug,
                team_id=team_id,
                notebook="",
                created_at=int(now),
                ends_at=int(now) + DAY,
                homes_until=int(now) + 30 * DAY,
            )
        )


def add_seat(engine, workshop, number):
    """A participant's place; its name."""
    name = f"seat-{workshop}-{number:02d}"
    with engine.begin() as connection:
        last = connection.execute(select(func.max(db.persons.c.uid_offset))).scalar_one() or 0
        person = connection.execute(
            insert(db.persons)
            .values(
                name=name, display_ko=f"자리 {number}", display_en=name, language="ko", uid_offset=last + 1
            )
            .returning(db.persons.c.id)
        ).scalar_one()
        place = _id(connection, workshop)
        connection.execute(insert(db.person_roles).values(person_id=person, role="participant"))
        connection.execute(insert(db.seats).values(person_id=person, workshop_id=place, number=number))
        team = select(db.workshops.c.team_id).where(db.workshops.c.id == place).scalar_subquery()
        connection.execute(insert(db.memberships).values(person_id=person, team_id=team))
    return name


def move_all(engine, workshop):
    """Every seat is in `workshop` now."""
    with engine.begin() as connection:
        connection.execute(update(db.seats).values(workshop_id=_id(connection, workshop)))


def end(engine, workshop, now):
    with engine.begin() as connection:
        connection.execute(
            update(db.workshops).where(db.workshops.c.slug == workshop).values(ended_at=int(now))
        )


def _id(connection, workshop):
    return connection.execute(select(db.workshops.c.id).where(db.workshops.c.slug == workshop)).scalar_one()
