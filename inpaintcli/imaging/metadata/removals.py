"""What was taken out of a file's metadata, and why; the sentences that say so."""

from dataclasses import dataclass, field


@dataclass
class Removals:
    """Collects names of what does not stay, each once, in the order in which it was met.

    `previews` show the photo as it was, or are of no other use. `stale` are statements that are no
    longer true. `unread` cannot be looked into, so that nobody knows what they show.
    """

    previews: dict[str, None] = field(default_factory=dict)
    stale: dict[str, None] = field(default_factory=dict)
    unread: dict[str, None] = field(default_factory=dict)

    def preview(self, name: str) -> None:
        """`name` shows the photo as it was, or may, and is of no other use."""
        self.previews[name] = None

    def outdated(self, name: str) -> None:
        """`name` is no longer true of the filled photo."""
        self.stale[name] = None

    def unreadable(self, name: str) -> None:
        """`name` cannot be looked into."""
        self.unread[name] = None

    def names(self) -> list[str]:
        """All names."""
        return [*self.previews, *self.stale, *self.unread]

    def previews_sentence(self) -> str:
        """A sentence on the previews; empty where there was none."""
        if not self.previews:
            return ""
        return f"removed, as it may show the unfilled photo: {', '.join(self.previews)}"

    def losses_sentence(self) -> str:
        """A sentence on what else is missing now; empty where nothing is."""
        parts = []
        if self.stale:
            parts.append(f"removed, as it is no longer true: {', '.join(self.stale)}")
        if self.unread:
            unread = ", ".join(self.unread)
            parts.append(
                f"removed, as it may show the unfilled photo and cannot be looked into: {unread} "
                "(--metadata keep keeps it)"
            )
        return "; ".join(parts)
