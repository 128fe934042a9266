#!/bin/sh
# Rate a running page with Lighthouse in the installed Chromium:
#   scripts/lighthouse.sh http://127.0.0.1:8000/
# Not part of `make test`: its performance figure depends on what else the machine does.
set -eu
url=${1:?usage: scripts/lighthouse.sh URL}

CHROME_PATH=$(command -v chromium) npx --yes lighthouse@13.5.0 "$url" --quiet --preset=desktop \
    --only-categories=performance,accessibility,best-practices --output=json --output-path=stdout \
    --chrome-flags="--headless=new --no-sandbox --disable-gpu" |
    node -e '
        const { categories, audits } = JSON.parse(require("fs").readFileSync(0, "utf8"));
        for (const it of Object.values(categories)) console.log(it.title, Math.round(it.score * 100));
        for (const id of ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift"])
            console.log(id, audits[id].displayValue);
        for (const it of Object.values(audits)) if (it.score !== null && it.score < 0.9) console.log("  below 90:", it.id);
    '
