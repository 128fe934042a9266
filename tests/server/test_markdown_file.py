"""Whatever is said in a conversation, its Markdown file reads back as it was."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwell.server.markdown_file import Said, read, write

LINES = st.sampled_from(
    ["", "text", "# x", "## 🧑 User", "<!-- qwell: user -->", "<!-- \\qwell: user -->", "缓存", " "]
)
CONTENTS = st.lists(LINES, max_size=5).map("\n".join) | st.text(
    st.characters(exclude_characters="\r", exclude_categories=["Cs"])
)
MESSAGES = st.lists(
    st.builds(Said, st.sampled_from(["user", "assistant", "system"]), CONTENTS), min_size=1
)


@given(MESSAGES)
@example([Said("user", "\n"), Said("assistant", "")])
def test_what_is_written_is_read(messages: list[Said]) -> None:
    assert read(write("a title", messages)) == ("a title", messages)


def test_people_can_read_it() -> None:
    text = write("Caches", [Said("user", "What is it?"), Said("assistant", "Fast.")])
    assert text == (
        "# Caches\n\n"
        "<!-- qwell: user -->\n## 🧑 User\n\nWhat is it?\n\n"
        "<!-- qwell: assistant -->\n## 🤖 Assistant\n\nFast.\n"
    )


def test_a_file_saved_by_an_editor_of_another_system() -> None:
    text = write("t", [Said("user", "a\nb")]).replace("\n", "\r\n")
    assert read("\ufeff" + text) == ("t", [Said("user", "a\nb")])


@pytest.mark.parametrize("text", ["", "hello", "# only a title", "<!-- qwell: user -->\nhi"])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        read(text)
