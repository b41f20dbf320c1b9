"""What people type as Markdown can harm nobody."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.web.markdown import SCHEMES, TAGS, render
from tests.web.page import Page

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "![x](https://example.org/pixel.png)",
    '[x](https://example.org "\\" onmouseover=alert(1) \\"")',
    "[x]: javascript:alert(1)\n\n[x]",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "```js onload=alert(1)\nx\n```",
    "|a|b|\n|-|-|\n|<script>alert(1)</script>|![x](y)|",
    "<style>*{display:none}</style>",
    "<form action=https://example.org><input name=password>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<math><mtext></p><style><img src=x onerror=alert(1)>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u0000<script\u0000>alert(1)</script>",
    ">" * 500 + "x",
    "[" * 2000,
    "*" * 2000 + "a",
    "- " * 500 + "x",
]


def check(text: str) -> None:
    page = Page(f"<main>{render(text)}</main>")
    for element in page.root.walk():
        assert element.tag in TAGS | {"main"}
        assert set(element.attributes) <= ({"href", "title", "rel"} if element.tag == "a" else set())
        if element.tag == "a" and ":" in (scheme := re.split("[/?#]", element.attributes.get("href", ""))[0]):
            assert scheme.partition(":")[0].lower() in SCHEMES
        if "href" in element.attributes:
            assert element.attributes["rel"] == "nofollow noopener noreferrer"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_gets_through(text):
    check(text)


@given(st.lists(st.sampled_from([*HOSTILE[:28], "\n", "\n\n", "    ", "> ", "1. ", "`", "|", "*", "_", "]("]), max_size=8))
def test_no_mixture_of_it_gets_through(parts):
    check("".join(parts))


@given(st.text(max_size=200))
def test_any_text_is_rendered(text):
    check(text)


def test_headings_stand_below_those_of_the_page():
    assert str(render("# One\n\n## Two\n\n###### Six")) == "<h3>One</h3>\n<h4>Two</h4>\n<h6>Six</h6>\n"


def test_a_picture_is_its_words():
    assert str(render("see ![a **red** cat](https://example.org/cat.png) here")) == "<p>see a red cat here</p>\n"


def test_tables_lists_and_code_are_kept():
    rendered = render("|a|b|\n|-|-|\n|1|2|\n\n- x\n\n`y` **z** ~~w~~")
    page = Page(f"<main>{rendered}</main>")
    assert [len(page.all(tag)) for tag in ("table", "td", "li", "code", "strong", "s")] == [1, 2, 1, 1, 1, 1]


def test_html_is_text():
    assert str(render("a <b>bold</b> claim")) == "<p>a &lt;b&gt;bold&lt;/b&gt; claim</p>\n"
