"""READMEs of packages as HTML that can do no harm.

Raw HTML is never passed through: it shows as the text it is. Links go only where `safe_url` allows;
pictures become links, because a page makes no request to another origin. Headings start
below the page's own. Parser: markdown-it-py (CommonMark), whose tokens are rendered with escaping.
"""

import functools
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from cosgen.site.text import safe_url, visible

LIMIT = 200_000  # characters of a README that are shown; what is longer is cut
_SHIFT = 2  # `#` becomes <h3>: the page has h1 and the section h2


def render_readme(text: str) -> str:
    """Return the README as HTML made of plain structure only.

    Args:
        text: Markdown from package metadata; anything may be in it.

    Returns:
        HTML without scripts, styles, ids, pictures, frames, forms, or links to unsafe schemes.
    """
    parser = _parser()
    tokens = parser.parse(visible(text[:LIMIT].replace("\r\n", "\n")))
    _level_headings(tokens)
    rendered: str = parser.renderer.render(tokens, parser.options, {})
    return rendered


def _level_headings(tokens: Sequence[Token]) -> None:
    """Put headings below the page's own, none more than one level under the one before it."""
    last = _SHIFT
    for token in tokens:
        if token.type == "heading_open":
            last = min(6, int(token.tag[1]) + _SHIFT, last + 1)
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{last}"
        if token.type in {"th_open", "td_open"}:
            token.attrs = {}  # alignment comes as a style, which the content policy forbids


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]  # the documented way to tighten it
    parser.add_render_rule("image", _render_image)
    parser.add_render_rule("fence", _render_code)
    parser.add_render_rule("code_block", _render_code)
    parser.add_render_rule("table_open", _render_table_open)
    parser.add_render_rule("table_close", _render_table_close)
    parser.add_render_rule("link_open", _render_link)
    return parser


def _is_safe_link(url: str) -> bool:
    return bool(safe_url(url))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _render_image(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    del self, options, env
    token = tokens[index]
    label = _escape(token.content or "picture")
    url = safe_url(str(token.attrGet("src") or ""))
    return f'<a rel="nofollow noreferrer" href="{_escape(url)}">{label}</a>' if url else label


def _render_code(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    del self, options, env
    return f'<pre tabindex="0"><code>{_escape(tokens[index].content)}</code></pre>\n'


def _render_table_open(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    del self, tokens, index, options, env
    return '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n'


def _render_table_close(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    del self, tokens, index, options, env
    return "</table></div>\n"


def _render_link(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    del self, options, env
    url = _escape(str(tokens[index].attrGet("href") or ""))
    return f'<a rel="nofollow noreferrer" href="{url}">'
