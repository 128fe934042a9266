/** The languages that are highlighted. Loaded with the first block of code that names one. */

import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import markdown from "highlight.js/lib/languages/markdown";
import nginx from "highlight.js/lib/languages/nginx";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";
import type { CodeNode } from "./highlight";

const known = createLowlight({
  bash, c, cpp, css, diff, dockerfile, go, ini, java, javascript, json, markdown, nginx, python, rust, sql, typescript,
  xml, yaml,
});
known.registerAlias({ bash: ["console", "shell-session", "shellscript"], json: ["json5"], xml: ["vue"] });

/** The code in coloured pieces; null for a language that is not known. */
export function highlight(code: string, language: string): readonly CodeNode[] | null {
  return known.registered(language) ? (known.highlight(language, code).children as CodeNode[]) : null;
}
