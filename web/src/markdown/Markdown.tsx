/**
 * Model output as React nodes. HTML in it is text like any other, so there is nothing to
 * sanitise (docs/adr/0011-markdown-as-nodes.md); the only attribute taken from it is a link's address, and only for some schemes.
 */

import type { Token, Tokens } from "marked";
import { Fragment, memo, useMemo, useState, type JSX, type ReactNode } from "react";
import { GrowingBlocks } from "./blocks";
import { CodeBlock } from "./CodeBlock";
import { Formula } from "./Formula";
import type { MathToken } from "./grammar";
import "./markdown.css";

/** Blocks that did not change keep their nodes, so a growing text redraws its last block only. */
export function Markdown({ text, isGrowing }: { text: string; isGrowing: boolean }): JSX.Element {
  const [growing] = useState(() => new GrowingBlocks());
  const { blocks, definitions } = useMemo(() => growing.of(text, isGrowing), [growing, text, isGrowing]);
  return (
    <div className="markdown">
      {blocks.map((token, index) => (
        <Block
          // oxlint-disable-next-line no-array-index-key -- a block's place is its identity
          key={index}
          token={token}
          definitions={definitions}
          isGrowing={isGrowing && index === blocks.length - 1}
        />
      ))}
    </div>
  );
}

interface BlockProps {
  token: Token;
  definitions: string;
  isGrowing: boolean;
}

const Block = memo(
  ({ token, isGrowing }: BlockProps) =>
    token.type === "code" ? fenced(token as Tokens.Code, isGrowing) : block(token),
  (before, after) =>
    (before.token === after.token ||
      (before.token.raw === after.token.raw && before.token.type === after.token.type)) &&
    before.definitions === after.definitions &&
    before.isGrowing === after.isGrowing,
);
Block.displayName = "Block";

const SAFE_SCHEMES = new Set(["http:", "https:", "mailto:"]);

/** The address if it leads where a link may lead, else undefined. */
export function safeAddress(href: string): string | undefined {
  try {
    return SAFE_SCHEMES.has(new URL(href).protocol) ? href : undefined;
  } catch {
    return undefined; // relative: a model cannot know this site
  }
}

function block(token: Token): ReactNode {
  const it = token as MarkedToken;
  switch (it.type) {
    case "heading": {
      // the page has its own h1 and h2
      const Heading = `h${Math.min(it.depth + 2, 6)}` as "h3";
      return <Heading>{inlines(it.tokens)}</Heading>;
    }
    case "paragraph":
      return <p>{inlines(it.tokens)}</p>;
    case "code":
      return fenced(it, false);
    case "math":
      return <Formula tex={it.tex} isDisplay />;
    case "blockquote":
      return <blockquote>{it.tokens.map(keyed(block))}</blockquote>;
    case "list":
      return list(it);
    case "table":
      return <Table token={it} />;
    case "hr":
      return <hr />;
    case "html":
      return <p className="plain">{it.raw.trim()}</p>;
    case "space":
    case "def":
      return null;
    default:
      return inline(token);
  }
}

function fenced({ text, lang = "" }: Tokens.Code, isGrowing: boolean): ReactNode {
  return <CodeBlock code={text} language={lang.split(/\s/, 1)[0] ?? ""} isGrowing={isGrowing} />;
}

function list(token: Tokens.List): ReactNode {
  const items = token.items.map((item, index) => (
    // oxlint-disable-next-line no-array-index-key -- an item's place is its identity
    <li key={index} className={item.task ? "task" : undefined}>
      {item.task && <input type="checkbox" checked={item.checked ?? false} readOnly aria-label={item.text} />}
      {item.tokens.map(keyed(block))}
    </li>
  ));
  if (!token.ordered) return <ul>{items}</ul>;
  return <ol start={token.start === "" ? 1 : token.start}>{items}</ol>;
}

function Table({ token }: { token: Tokens.Table }): JSX.Element {
  return (
    // a wide table scrolls by itself; the keyboard must reach it to do so
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="table-box" tabIndex={0}>
      <table>
        <thead>
          <tr>{token.header.map(cell("th"))}</tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            // oxlint-disable-next-line no-array-index-key -- a row's place is its identity
            <tr key={index}>{row.map(cell("td"))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function cell(Cell: "th" | "td") {
  return (it: Tokens.TableCell, index: number): JSX.Element => (
    <Cell key={index} style={it.align ? { textAlign: it.align } : undefined}>
      {inlines(it.tokens)}
    </Cell>
  );
}

function inlines(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, index) => {
    const closing = closingOf(token, tokens[index + 1]);
    const begun = closingOf(tokens[index - 1], token);
    const own = inline(begun === "" ? token : ({ ...token, text: textOf(token).slice(begun.length) } as Token));
    const drawn = closing === "" ? own : <Unbroken closing={closing}>{own}</Unbroken>;
    // oxlint-disable-next-line no-array-index-key -- a token's place is its identity
    return <Fragment key={index}>{drawn}</Fragment>;
  });
}

function Unbroken({ closing, children }: { closing: string; children: ReactNode }): JSX.Element {
  return (
    <span className="unbroken">
      {children}
      {closing}
    </span>
  );
}

const CLOSING = /^[,.;:!?)，。；：！？、）」』”]+/;
const SHORT_FORMULA = 24; // a longer one must be able to break

/** What ends a sentence after a short formula: browsers would begin a line with it. */
function closingOf(token: Token | undefined, next: Token | undefined): string {
  const math = token as MarkedToken | undefined;
  if (math?.type !== "inlineMath" || math.isDisplay || math.tex.length > SHORT_FORMULA) return "";
  return next?.type === "text" && !next.tokens ? (CLOSING.exec(textOf(next))?.[0] ?? "") : "";
}

function textOf(token: Token): string {
  return (token as Tokens.Text).text;
}

function inline(token: Token): ReactNode {
  const it = token as MarkedToken;
  switch (it.type) {
    case "strong":
      return <strong>{inlines(it.tokens)}</strong>;
    case "em":
      return <em>{inlines(it.tokens)}</em>;
    case "del":
      return <del>{inlines(it.tokens)}</del>;
    case "codespan":
      return <code>{it.text}</code>;
    case "br":
      return <br />;
    case "inlineMath":
      return <Formula tex={it.tex} isDisplay={it.isDisplay} />;
    case "link":
      return <Link href={it.href}>{inlines(it.tokens)}</Link>;
    case "image":
      // loading it would tell another site who reads this
      return <Link href={it.href}>{it.text || it.href}</Link>;
    case "text":
      return it.tokens ? inlines(it.tokens) : decodeEntities(it.text);
    case "escape":
      return it.text;
    case "checkbox":
      return null; // drawn by its item
    default:
      return token.raw;
  }
}

function Link({ href, children }: { href: string; children: ReactNode }): JSX.Element {
  const address = safeAddress(href);
  if (address === undefined) return <span>{children}</span>;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,6})|#x([\da-f]{1,6})|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name) return ENTITIES[name as string] ?? whole;
    const code = decimal ? Number(decimal) : Number.parseInt(hex as string, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

function keyed(draw: (token: Token) => ReactNode) {
  return (token: Token, index: number): ReactNode => <Fragment key={index}>{draw(token)}</Fragment>;
}

type MarkedToken =
  | MathToken
  | Tokens.Heading
  | Tokens.Paragraph
  | Tokens.Code
  | Tokens.Blockquote
  | Tokens.List
  | Tokens.Table
  | Tokens.Hr
  | Tokens.HTML
  | Tokens.Space
  | Tokens.Def
  | Tokens.Strong
  | Tokens.Em
  | Tokens.Del
  | Tokens.Codespan
  | Tokens.Br
  | Tokens.Link
  | Tokens.Image
  | Tokens.Text
  | Tokens.Escape
  | Tokens.Checkbox;
