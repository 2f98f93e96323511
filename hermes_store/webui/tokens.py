"""What `SessionStorage` gives and takes besides dicts: the token of a session's version, and what a save adopted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Never, Self

from ..errors import InvalidInputError
from ..quoting import quoted
from ..storage.engine import Database
from .field_policy import UPDATED
from .saving import Saved
from .state import LONG_KEYS, Extent, State, digests_of
from .versions import Base, Local


class Addition(NamedTuple):
    """Messages that were about to be added."""

    #: The row id of the last one.
    last_row: int
    digests: tuple[bytes, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Token:
    """Which version of a session was read or saved; a save with it writes what differs from that version.

    It does not change: each save returns another one. Threads may share it, and so may copies of the object that holds
    it. It is good in this process alone, and in its forked children. It keeps digests, and to find what did not change,
    the texts of the messages and values that were read, which are the very ones in the dicts.
    """

    _base: Base
    _database: Database
    #: What a save with this token that did not return was about to make of the session.
    _attempts: list[Base] = field(default_factory=list)
    #: What an append with this token that did not return (yet) was about to add.
    _appends: list[Addition] = field(default_factory=list)

    @classmethod
    def of(cls, state: State, database: Database) -> Token:
        """Return the token of a session that was just read."""
        return cls(Base.of(state), database)

    @property
    def session_id(self) -> str:
        """The session's id at that version."""
        return self._base.session_id

    @property
    def revision(self) -> int:
        """The session's revision, for caches: the same one means that nothing was written since."""
        return self._base.revision

    @property
    def message_count(self) -> int:
        """How many messages the session had, also if they were not read."""
        return self._base.message_count

    @property
    def has_messages(self) -> bool:
        """Whether the messages were read, so that they can be saved."""
        return self._base.messages is not None

    def __repr__(self) -> str:
        return f"<Token of session {self.session_id!r} at revision {self.revision}>"

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        """Return the token itself, so that objects that hold one can be copied."""
        return self

    def __reduce__(self) -> Never:
        """Refuse to be pickled.

        Raises:
            InvalidInputError: always.
        """
        raise InvalidInputError(f"{quoted(self)} is good in this process alone; load the session in the other one.")

    def base_in(self, database: Database) -> Base:
        """Return the version to compare with.

        Raises:
            InvalidInputError: the token is of another database.
        """
        if not self._database.is_same(database):
            raise InvalidInputError(f"{quoted(self)} is of another database. Nothing was written.")
        return self._base

    def require_read(self, keys: Set[str], *, messages: bool) -> None:
        """Make sure that what is saved was read.

        Raises:
            InvalidInputError: something was not: a save would overwrite what nobody has seen.
        """
        unread = sorted(keys & LONG_KEYS) if self._base.extent is Extent.METADATA else []
        unread += ["messages"] if messages and not self.has_messages else []
        if unread:
            raise InvalidInputError(
                f"{', '.join(unread)} of session {self.session_id!r} cannot be saved: only the metadata was read. "
                "Nothing was written; load the session, or save `only` other keys."
            )

    def for_save(self, compared: Set[str] | None, *, messages: bool) -> Base:
        """Return what a save compares with: this version, or a part of it.

        Args:
            compared: the keys to compare; all when None.
            messages: whether the messages are compared.
        """
        if compared is not None:
            return self._base.limited_to(compared, messages=messages)
        return replace(self._base, attempt=None, messages=self._base.messages if messages else None)

    def attempted(self, base: Base, local: Local) -> Base | None:
        """Return what an earlier save with this token wrote, if it was to write the same: this is it once more."""
        for attempt in self._attempts:
            same = (attempt.only, attempt.messages) == (base.only, local.message_digests)
            if same and _but_time(attempt.values) == _but_time(local.digests):
                return attempt
        return None

    def note_attempt(self, attempt: Base | None) -> None:
        """Keep what a save that did not return was about to write; it may have been committed."""
        if attempt is not None:
            self._attempts[:] = [attempt]

    def note_append(self, addition: Addition | None) -> None:
        """Keep what an append is about to add, until it has returned; it may be committed and not return."""
        self._appends[:] = [] if addition is None else [addition]

    def earlier_append(self, digests: Sequence[bytes]) -> Addition | None:
        """Return what an earlier append that did not return was about to add, if that is the same."""
        return next((one for one in self._appends if one.digests == tuple(digests)), None)

    def appended(
        self,
        *,
        revision: int,
        session_id: str,
        values: Mapping[str, Any],
        messages: list[bytes] | None,
        message_count: int,
    ) -> Token:
        """Return the token of a version with more messages.

        Args:
            revision, session_id, message_count: its own.
            values: what else changed.
            messages: the digests of all its messages; None where they were not read.
        """
        known = self._base.of_values.made
        base = replace(
            self._base,
            revision=revision,
            session_id=session_id,
            message_count=message_count,
            of_values=replace(known, digests=known.digests | digests_of(values)),
            messages=messages,
        )
        return Token(base, self._database)

    def after(self, saved: Saved, compared: Base) -> Token:
        """Return the token of what a save made of this version.

        Args:
            compared: the part of it that was compared with the store.
        """
        new, base = saved.base, self._base
        if compared.only is None and (compared.messages is not None or base.messages is None):
            return Token(new, self._database)
        return Token(base.joined(new, compared, is_alone=saved.is_alone), self._database)


def _but_time(digests: dict[str, bytes]) -> dict[str, bytes]:
    return {key: digest for key, digest in digests.items() if key != UPDATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What the store has after a save, where that is not what was saved: copy it into the object that was saved."""

    #: The session's id: another one if others renamed it.
    session_id: str
    #: The values of others, those that were made of both sides' changes, and `updated_at` if the save set it; by key.
    values: dict[str, Any]
    #: The keys whose values others removed.
    removed: frozenset[str] = frozenset()
    #: The whole transcript, if others changed it, too; the messages that were saved are the very objects in it.
    messages: list[Any] | None = None

    @classmethod
    def of(cls, saved: Saved, local: Local) -> Adopted:
        """Return what a save adopted."""
        values = dict(saved.fields.adopted)
        if local.touched:
            values.setdefault(UPDATED, local.values[UPDATED])
        transcript = saved.transcript
        return cls(
            session_id=saved.base.session_id,
            values=values,
            removed=frozenset(saved.fields.gone),
            messages=None if transcript is None else transcript.messages,
        )
